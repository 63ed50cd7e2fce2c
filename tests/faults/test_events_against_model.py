"""Random histories of everything that can be done to an account: each change leaves exactly its events, and nothing else leaves any.

A call is made as it is, as a dry run, twice with one idempotency key, about a version of before, with its transaction broken
off at its very end, or by somebody who may not make it. `model.py` says what each does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from moonlatch.crypto import new_id
from moonlatch.jobs.expiry import remove_expired_users
from moonlatch.licensing.roles import Permission
from moonlatch.management.events import EventView
from moonlatch.operations import accounts as operations
from moonlatch.operations import context
from moonlatch.operations.changing import Intent, Operation, perform
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotAllowed
from moonlatch.operations.refusals import Refused as OperationRefused
from moonlatch.storage import events
from moonlatch.storage.events import EventFilter
from support import client as protocol
from support.client import DEVICE, Client, Copy, Wire
from support.database import ENGINES, engine_url
from support.doom import DOOMED, doom, write_doom
from support.management import NOBODY, Developer, done
from support.model import Model
from support.model_events import DAY, EXPIRED_USERS_STAY, RESTORABLE, Actor, Outcome, Refused
from support.model_server import ModelServer, discords, grouped, predicted, seldom, try_histories
from support.rounds import rounds

T = TypeVar("T")

EXAMPLES, STEPS = rounds(8, 300), rounds(50, 60)

NOT_KEPT = (400, 403)
"""Statuses of refusals that are not replayed: the same call may well get another answer later."""

HELD_ELSEWHERE = {
    *(
        kind
        for kind in EventKind
        if kind.startswith(("member.", "endpoint.", "ad_", "variable.", "remote.", "error.", "discord."))
    ),
    EventKind.USER_SHARING_SUSPECTED,
    EventKind.USER_HELD,
    EventKind.USER_RELEASED,
    EventKind.USER_DEVICE_NAMED,
    EventKind.PROJECT_BARS_LIFTED,
    EventKind.USER_LICENSED,
    EventKind.SCRIPT_ROLLED_BACK,
    EventKind.SCRIPT_BUILD_YANKED,
    EventKind.SCRIPT_CHANNEL_SET,
    EventKind.SCRIPT_CHANNEL_REMOVED,
    EventKind.USER_PINNED,
    EventKind.SCRIPT_BUILD_SCHEDULED,
    EventKind.SCRIPT_BUILD_UNSCHEDULED,
    *(kind for kind in EventKind if kind.startswith("script.rollout_")),
    EventKind.USER_REDEEMED,
    EventKind.SCRIPT_TRACED,
}
"""Of people who sign in, of webhooks, of server variables, of remotes, of errors, of checkpoints, of Discord, of rules about shared keys, of several devices, of licences and of releases the model knows nothing.
That each call about those leaves exactly its events is held by `test_every_call.py`; what the events hold, by `tests/management`."""

OPERATOR = Actor("cli", "ops", "Operator")

hows = st.sampled_from(["plain"] * 4 + ["dry", "replayed", "stale", "fresh", DOOMED])
whos = st.sampled_from(["owner"] * 6 + ["limited", "viewer"])
reasons = st.sampled_from([None, "charge-back"])
ends = st.none() | st.integers(1, 2 * DAY)
periods = st.sampled_from([1, 1_000, 61_000, EXPIRED_USERS_STAY, DAY, RESTORABLE])
notes = st.sampled_from(["paid", "moved"])
edits_of_users = st.fixed_dictionaries(
    {},
    optional={
        "note": notes,
        "discord_id": discords.filter(bool),
        "max_instances": st.integers(1, 3),
        "key_days": st.integers(1, 3),
        "fingerprintless": st.booleans(),
    },
)
edits_of_projects = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A game", "Another game"]),
        "allow_fingerprint_resets": st.booleans(),
        "delete_expired_users": st.booleans(),
        "fingerprint_reset_cooldown": st.sampled_from([0, 60_000, DAY]),
        "execution_webhook": st.sampled_from(["https://hooks.test/secret", "https://other.test/secret"]),
    },
)
edits_of_scripts = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A script", "Mine"]),
        "free_for_all": st.booleans(),
        "kick_outdated": st.booleans(),
    },
)
bulk_actions = st.one_of(
    st.tuples(st.just("extend"), st.fixed_dictionaries({"days": st.integers(1, 3)})),
    st.tuples(st.just("edit"), st.fixed_dictionaries({"note": notes})),
    st.tuples(st.just("blacklist"), st.fixed_dictionaries({"expires": st.none(), "reason": reasons})),
    st.tuples(st.just("unblacklist"), st.just({})),
    st.tuples(st.just("reset_fingerprint"), st.fixed_dictionaries({"force": st.booleans()})),
    st.tuples(st.just("remove"), st.fixed_dictionaries({"forever": st.booleans()})),
)

Does = Callable[[Model], Any]
"""What the call does to a model, and how it ends there."""
Follows = Callable[[Model, Any], None]
"""What else it does where it succeeds, given its reply: ids are the server's to choose."""


class Changes(RuleBasedStateMachine):
    """Each rule does the same to both sides and compares how it ends; after every step, all events are the model's."""

    world: ModelServer
    kinds: set[str]
    """Of all events of all histories."""

    scripts = Bundle("scripts")
    users = Bundle("users")
    tokens = Bundle("tokens")
    projects = Bundle("projects")

    @initialize(target=scripts)
    def begin_with_a_script(self) -> Any:
        """Published already."""
        self.begin()
        script: str = self.create_script_in_both("owner", "plain", free_for_all=False).values[0]
        self.publish(script, "owner", "plain", valid=True)
        return script

    @initialize(target=users)
    def begin_with_users(self) -> Any:
        self.begin()
        return self.create_users_in_both("owner", "plain", self.model.home, {"amount": 2})

    def begin(self) -> None:
        """An account of the operator's making, with a project and tokens of several sorts."""
        if hasattr(self, "model"):
            return
        api = self.world.api
        self.model = Model(now=api.clock())
        self.calls = 0
        self.wires: dict[str, Wire] = {}
        self.taken_name = self.run(api.developer()).account.name
        name = new_id()
        self.operator = context.Actor(account_id=new_id(), kind=context.ActorKind.CLI, id="ops", name="Operator")
        self.begin_call(OPERATOR)
        account, token, secret = self.run(
            perform(api.world, self.operator, lambda change: operations.create(change, name=name, tier="unlimited"))
        )
        owner = self.model.create_account(account.id, name, token.id, token.name)
        self.by = {"owner": (owner, Developer(account, secret, self.world.http))}
        self.model.home = self.create_project_in_both("owner", "plain", "A game").values[0]
        self.create_token_in_both("owner", "plain", "limited", None, [self.model.home])
        self.create_token_in_both("owner", "plain", "viewer", ["projects:read", "scripts:read", "keys:read"], None)
        self.create_token_in_both("owner", "plain", "bot", ["tokens:write", "keys:read"], None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.run(work)

    def begin_call(self, actor: Actor) -> None:
        self.model.actor = actor
        self.model.begin()

    def change(
        self,
        who: str,
        how: str,
        what: tuple[str, str],
        path: str,
        body: Any,
        does: Does,
        *,
        follows: Follows | None = None,
        read: str = "",
    ) -> Any:
        """Make a call that ends as the model says; gives the reply of a success that lasts.

        `what` is the route's template and the permission that it needs, `read` where the resource's version is read.
        """
        actor, developer = self.by[who]
        route, permission = what
        self.begin_call(actor)
        self.calls += 1
        if not actor.may(permission):
            does = _refusing(f"POST {route}", permission)
        headers: dict[str, str] = {}
        if how in ("replayed", DOOMED):
            headers["idempotency-key"] = f"{how} {self.calls}".replace(" ", "-")
            if how == DOOMED:
                self.run(doom(self.world.api, developer.account.id, headers["idempotency-key"]))
        elif how == "stale":
            headers["if-match"] = '"before"'
        elif how == "fresh" and read:
            headers["if-match"] = self.run(self.by["owner"][1].get(read)).headers.get("etag", "*")
        tried = copy.deepcopy(self.model)
        tried.is_stale = how == "stale"
        ended = does(tried)
        tried.is_stale = False
        call = lambda: self.run(  # noqa: E731 -- made twice
            developer.post(path + ("?dry_run=true" if how == "dry" else ""), body, headers=headers)
        )
        reply = call()
        if isinstance(ended, Refused):
            self.model = tried  # a refusal changes nothing, and may leave an event
            if how == DOOMED and ended.status not in NOT_KEPT:
                assert reply.status_code == 500, reply.text
                return None
            assert (reply.status_code, reply.json()["error"]["code"]) == (ended.status, ended.code), reply.text
            if how == "replayed":
                self.replays(reply, call(), is_kept=ended.status not in NOT_KEPT)
            return None
        if how == DOOMED:
            assert reply.status_code == 500, reply.text
            return None
        shown = done(reply)
        if isinstance(ended, Outcome):
            assert Outcome(shown["matched"], shown["changed"], shown["refused"]) == ended
        if how == "dry":
            assert shown["dry_run"] is True
            return None
        if follows is not None:
            follows(tried, shown)
        self.model = tried
        if how == "replayed":
            self.replays(reply, call(), is_kept=True)
        return shown

    def replays(self, first: Any, again: Any, *, is_kept: bool) -> None:
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers.get("idempotency-replayed") == ("true" if is_kept else None)

    # Projects and scripts.

    @rule(target=projects, who=whos, how=hows)
    def create_project(self, who: str, how: str) -> Any:
        return self.create_project_in_both(who, how, "Another")

    def create_project_in_both(self, who: str, how: str, name: str) -> Any:
        reply = self.change(
            who,
            how,
            ("/projects", "projects:write"),
            "/projects",
            {"name": name},
            lambda model: model.new_project_refusal(),
            follows=lambda model, made: model.create_project(made["project"]["id"], name),
        )
        return multiple() if reply is None else multiple(reply["project"]["id"])

    @rule(who=whos, how=hows, other=st.none() | projects, changes=edits_of_projects)
    def edit_project(self, who: str, how: str, other: str | None, changes: dict[str, Any]) -> None:
        project = other or self.model.home
        path = f"/projects/{project}"
        self.change(
            who,
            how,
            ("/projects/{project_id}/edit", "projects:write"),
            f"{path}/edit",
            changes,
            lambda model: model.edit_project(project, changes),
            read=path,
        )

    @rule(who=whos, how=hows, project=projects)
    def remove_project(self, who: str, how: str, project: str) -> None:
        path = f"/projects/{project}"
        self.change(
            who,
            how,
            ("/projects/{project_id}/remove", "projects:write"),
            f"{path}/remove",
            {},
            lambda model: model.remove_project(project),
            read=path,
        )

    @rule(target=scripts, who=whos, how=hows, free_for_all=st.booleans())
    def create_script(self, who: str, how: str, free_for_all: bool) -> Any:
        return self.create_script_in_both(who, how, free_for_all=free_for_all)

    def create_script_in_both(self, who: str, how: str, *, free_for_all: bool) -> Any:
        reply = self.change(
            who,
            how,
            ("/projects/{project_id}/scripts", "scripts:write"),
            f"/projects/{self.model.home}/scripts",
            {"name": "A script", "free_for_all": free_for_all},
            lambda model: model.new_script_refusal(free_for_all=free_for_all),
            follows=lambda model, made: model.create_script(made["script"]["id"], free_for_all=free_for_all),
        )
        return multiple() if reply is None else multiple(reply["script"]["id"])

    def change_script(self, script: str, who: str, how: str, verb: str, body: Any, does: Does) -> None:
        permission = "scripts:publish" if verb in ("update", "rotate_loader") else "scripts:write"
        path = f"/scripts/{script}"
        what = (f"/scripts/{{script_id}}/{verb}", permission)
        self.change(who, how, what, f"{path}/{verb}", body, does, read=path)

    @rule(script=scripts, who=whos, how=hows, valid=st.sampled_from([True, True, False]))
    def publish(self, script: str, who: str, how: str, valid: bool) -> None:
        left = self.obfuscations_left()
        body = {"script": "print('hello')" if valid else "print('hello'"}
        self.change_script(script, who, how, "update", body, lambda model: model.update(script, valid=valid, left=left))

    def obfuscations_left(self) -> int | None:
        quota = done(self.run(self.by["owner"][1].get("/account")))["account"]["obfuscations"]
        return None if quota["limit"] is None else max(0, quota["limit"] - quota["used"])

    @rule(script=scripts, who=whos, how=hows, grace=periods)
    def rotate_loader(self, script: str, who: str, how: str, grace: int) -> None:
        left, body = self.obfuscations_left(), {"grace": grace}
        does: Does = lambda model: model.rotate_loader(script, grace, left=left)  # noqa: E731 -- a line for two
        self.change_script(script, who, how, "rotate_loader", body, does)

    @rule(script=scripts, who=whos, how=hows, on=st.booleans())
    def toggle(self, script: str, who: str, how: str, on: bool) -> None:
        self.change_script(script, who, how, "toggle", {"state": on}, lambda model: model.toggle(script, on=on))

    @rule(script=scripts, who=whos, how=hows, changes=edits_of_scripts)
    def edit_script(self, script: str, who: str, how: str, changes: dict[str, Any]) -> None:
        self.change_script(script, who, how, "edit", changes, lambda model: model.edit_script(script, changes))

    @rule(script=scripts, who=whos, how=hows, really=seldom)
    def remove_script(self, script: str, who: str, how: str, really: bool) -> None:
        if really:
            self.change_script(script, who, how, "remove", {}, lambda model: model.remove_script(script))

    # Users.

    @rule(
        target=users,
        who=whos,
        how=hows,
        other=st.none() | projects,
        discord_id=discords,
        days=st.none() | st.integers(1, 3),
        ends_in=st.none() | st.sampled_from([1_000, DAY]),
    )
    def create_user(
        self, who: str, how: str, other: str | None, discord_id: str | None, days: int | None, ends_in: int | None
    ) -> Any:
        expiry = {"key_days": days} if ends_in is None else {"key_expires": self.model.now + ends_in}
        return self.create_users_in_both(who, how, other or self.model.home, {"discord_id": discord_id, **expiry})

    @rule(target=users, who=whos, how=hows, amount=st.integers(1, 3))
    def create_some_users(self, who: str, how: str, amount: int) -> Any:
        return self.create_users_in_both(who, how, self.model.home, {"amount": amount})

    @rule(target=users, who=whos, how=hows, taken=st.none() | users)
    def bring_a_user_along(self, who: str, how: str, taken: str | None) -> Any:
        return self.create_users_in_both(who, how, self.model.home, {"key": taken or f"OLD-{new_id()}"})

    def create_users_in_both(self, who: str, how: str, project: str, fields: dict[str, Any]) -> Any:
        discord_id, key, amount = (fields.get(name) for name in ("discord_id", "key", "amount"))
        settings = {name: value for name, value in fields.items() if name not in ("key", "amount")}

        def follows(model: Model, made: Any) -> None:
            for user in made["users"]:
                model.create_user(user["key"], user["id"], project, **settings)

        reply = self.change(
            who,
            how,
            ("/projects/{project_id}/users", "keys:write"),
            f"/projects/{project}/users",
            fields,
            lambda model: model.new_user_refusal(project, discord_id, key, amount or 1),
            follows=follows,
        )
        # A key that was brought along again is in the bundle already.
        return multiple(*(user["key"] for user in reply["users"])) if reply is not None else multiple()

    def change_user(self, key: str, by_id: bool, who: str, how: str, verb: str, body: Any, does: Does) -> None:
        user = self.model.users.get(key)
        permission = "sessions:stop" if verb == "revoke_instances" else "keys:write"
        path = f"/users/{user.id if by_id and user is not None else key}"
        self.change(who, how, (f"/users/{{key}}/{verb}", permission), f"{path}/{verb}", body, does, read=path)

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows)
    def revoke_instances(self, key: str, by_id: bool, who: str, how: str) -> None:
        self.change_user(key, by_id, who, how, "revoke_instances", {}, lambda model: model.revoke_instances(key))
        self.wait(1)  # a copy that starts within the same millisecond is one of those

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows, changes=edits_of_users)
    def edit_user(self, key: str, by_id: bool, who: str, how: str, changes: dict[str, Any]) -> None:
        self.change_user(key, by_id, who, how, "edit", changes, lambda model: model.edit_user(key, changes))

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows, ends_in=ends, reason=reasons)
    def blacklist(self, key: str, by_id: bool, who: str, how: str, ends_in: int | None, reason: str | None) -> None:
        expires = None if ends_in is None else self.model.now + ends_in
        body = {"expires": expires, "reason": reason}
        self.change_user(key, by_id, who, how, "blacklist", body, lambda model: model.blacklist(key, expires, reason))

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows)
    def unblacklist(self, key: str, by_id: bool, who: str, how: str) -> None:
        self.change_user(key, by_id, who, how, "unblacklist", {}, lambda model: model.unblacklist(key))

    @rule(key=users, who=whos, how=hows, reason=reasons)
    def blacklist_for_a_while(self, key: str, who: str, how: str, reason: str | None) -> None:
        self.blacklist(key, by_id=True, who="owner", how="plain", ends_in=DAY, reason=reason)
        self.unblacklist(key, by_id=True, who=who, how=how)

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows, force=st.booleans())
    def reset_fingerprint(self, key: str, by_id: bool, who: str, how: str, force: bool) -> None:
        does: Does = lambda model: model.reset_device(key, force=force)  # noqa: E731 -- too long for its place
        self.change_user(key, by_id, who, how, "reset_fingerprint", {"force": force}, does)

    @rule(script=scripts, key=users, how=hows, force=st.booleans())
    def bind_and_reset(self, script: str, key: str, how: str, force: bool) -> None:
        """Twice, so that the second time it cools down."""
        for _ in range(2):
            self.start_in_both(script, key)
            self.reset_fingerprint(key, by_id=False, who="owner", how=how, force=force)

    @rule(key=users, by_id=st.booleans(), who=whos, how=hows, forever=st.booleans())
    def remove_user(self, key: str, by_id: bool, who: str, how: str, forever: bool) -> None:
        does: Does = lambda model: model.remove_user(key, forever=forever)  # noqa: E731 -- too long for its place
        self.change_user(key, by_id, who, how, "remove", {"forever": forever}, does)

    @rule(
        keys=st.lists(users, min_size=1, max_size=2, unique=True),
        who=whos,
        how=hows,
        ends_in=st.none() | st.sampled_from([DAY]),
    )
    def restore_users(self, keys: list[str], who: str, how: str, ends_in: int | None) -> None:
        expires = None if ends_in is None else self.model.now + ends_in
        self.change(
            who,
            how,
            ("/projects/{project_id}/users/restore", "keys:write"),
            f"/projects/{self.model.home}/users/restore",
            {"keys": keys, "key_expires": expires},
            lambda model: model.restore_users(model.home, keys, expires),
        )

    @rule(key=users, who=whos, how=hows)
    def remove_and_restore(self, key: str, who: str, how: str) -> None:
        self.remove_user(key, by_id=False, who="owner", how="plain", forever=False)
        self.restore_users([key], who, how, ends_in=None)

    @rule(
        keys=st.none() | st.lists(users, min_size=1, max_size=3, unique=True),
        who=whos,
        how=hows,
        action=bulk_actions,
    )
    def change_many_users(self, keys: list[str] | None, who: str, how: str, action: tuple[str, dict[str, Any]]) -> None:
        verb, fields = action
        whom = {"filter": {"all": True}} if keys is None else {"users": keys}
        self.change(
            who,
            how,
            ("/projects/{project_id}/users/bulk", "keys:write"),
            f"/projects/{self.model.home}/users/bulk",
            {**whom, verb: fields},
            lambda model: model.bulk(model.home, keys, verb, fields),
        )

    @rule(key=users)
    def let_a_user_expire(self, key: str) -> None:
        self.edit_project("owner", "plain", None, {"delete_expired_users": True})
        changes = {"key_expires": self.model.now + 1}
        self.change_user(key, False, "owner", "plain", "edit", changes, lambda model: model.edit_user(key, changes))
        self.wait(EXPIRED_USERS_STAY)
        self.expire_users()
        self.events_agree()
        self.wait(1)
        self.expire_users()

    @rule()
    def expire_users(self) -> None:
        self.model.begin()
        self.run(remove_expired_users(self.world.api.world))
        self.model.expire_users()

    # Account and tokens.

    @rule(
        target=tokens,
        who=st.sampled_from(["owner", "limited", "viewer", "bot"]),
        how=hows,
        permissions=st.sampled_from([None, ["keys:read"], ["keys:read", "keys:write"]]),
        other=st.none() | projects,
    )
    def create_token(self, who: str, how: str, permissions: list[str] | None, other: str | None) -> Any:
        return self.create_token_in_both(who, how, "another", permissions, None if other is None else [other])

    def create_token_in_both(
        self, who: str, how: str, name: str, permissions: list[str] | None, reached: list[str] | None
    ) -> Any:
        def follows(model: Model, made: Any) -> None:
            actor = model.create_token(made["token"]["id"], name, permissions, reached)
            account = self.by["owner"][1].account
            self.by.setdefault(name, (actor, Developer(account, made["secret"], self.world.http)))

        reply = self.change(
            who,
            how,
            ("/account/tokens", "tokens:write"),
            "/account/tokens",
            {"name": name, "permissions": permissions, "projects": reached},
            lambda model: model.new_token_refusal("POST /account/tokens", permissions, reached),
            follows=follows,
        )
        return multiple() if reply is None else multiple(reply["token"]["id"])

    @rule(token=tokens, who=st.sampled_from(["owner", "limited", "viewer", "bot"]), how=hows)
    def revoke_token(self, token: str, who: str, how: str) -> None:
        route = "/account/tokens/{token_id}/revoke"
        self.change(
            who,
            how,
            (route, "tokens:write"),
            route.format(token_id=token),
            {},
            lambda model: model.revoke_token(f"POST {route}", token, list(Permission)),
        )

    @rule(who=whos, how=hows, key=st.sampled_from([None, "a-secret-of-luraph"]))
    def set_luraph_key(self, who: str, how: str, key: str | None) -> None:
        self.change(
            who,
            how,
            ("/account/luraph", "account:write"),
            "/account/luraph",
            {"api_key": key},
            lambda model: model.set_luraph_key(key),
        )

    @rule(
        dry=st.booleans(),
        tier=st.none() | st.sampled_from(["unlimited", "tiny"]),
        expired=st.sampled_from([None, True, False, False]),
    )
    def edit_account(self, dry: bool, tier: str | None, expired: bool | None) -> None:
        changes: dict[str, Any] = {} if tier is None else {"tier": tier}
        if expired is not None:
            changes["expires_at"] = self.model.now if expired else None
        self.operate(lambda change: operations.edit(change, **changes), is_dry_run=dry)
        if not dry:
            self.model.edit_account(**changes)

    @rule(dry=st.booleans(), taken=st.booleans())
    def rename_account(self, dry: bool, taken: bool) -> None:
        name = self.taken_name if taken else new_id()
        if taken:
            with pytest.raises(OperationRefused):
                self.operate(lambda change: operations.rename(change, name), is_dry_run=dry)
            return
        self.operate(lambda change: operations.rename(change, name), is_dry_run=dry)
        if not dry:
            self.model.rename_account(name)

    @rule()
    def try_what_the_operator_may(self) -> None:
        mere = context.Actor(
            account_id=self.operator.account_id, kind=context.ActorKind.TOKEN, id=self.by["owner"][0].id, name="owner"
        )
        with pytest.raises(NotAllowed):
            self.operate(lambda change: operations.edit(change, tier="unlimited"), actor=mere)
        with pytest.raises(OperationRefused):
            self.operate(lambda change: operations.remove(change, with_projects=False))

    def operate(self, operation: Operation[T], *, actor: context.Actor | None = None, is_dry_run: bool = False) -> T:
        self.begin_call(OPERATOR)
        work = perform(self.world.api.world, actor or self.operator, operation, Intent(is_dry_run=is_dry_run))
        return self.run(work)

    # Running copies, without which some changes have nothing to do. They leave no events.

    @rule(script=scripts, key=users)
    def start_and_open_a_session(self, script: str, key: str) -> None:
        copy = self.start_in_both(script, key)
        if copy is not None and self.model.open_session(copy.instance) is None:
            self.wires[copy.instance] = self.run(copy.session())

    @rule(script=scripts, who=whos, how=hows, at_once=st.booleans())
    def start_and_disconnect(self, script: str, who: str, how: str, at_once: bool) -> None:
        for key in self.create_users_in_both("owner", "plain", self.model.home, {"key_days": 3}).values:
            self.start_and_open_a_session(script, key)
        self.disconnect(who, how, at_once)

    def start_in_both(self, script: str, key: str) -> Copy | None:
        user = self.model.users.get(key)
        if user is not None and user.project != self.model.home:
            return None
        api = self.world.api
        starting = self.client(script).execute(key=key, fingerprint=DEVICE)
        refusal = self.model.start_refusal(script, key, DEVICE)
        if refusal is not None:
            with pytest.raises(protocol.Refused, match=str(refusal.code)):
                self.run(starting)
            return None
        copy = self.run(starting)
        self.model.start(copy.instance, script, key, DEVICE)
        self.run(api.history.settle())  # by which the device is known
        return copy

    def client(self, script: str) -> Client:
        api = self.world.api
        loader = self.run(api.value("select loader from scripts where id = :id", id=script)) or "none"
        return Client(api.url, script, loader, api.keyring.loader_secret(loader), self.world.http)

    @rule(who=whos, how=hows, at_once=st.booleans())
    def disconnect(self, who: str, how: str, at_once: bool) -> None:
        opened = [
            (instance, wire.id) for instance, wire in self.wires.items() if self.model.instances[instance].has_session
        ][: None if at_once else 1]
        if not opened:
            return

        def does(model: Model) -> None:
            for instance, session in opened:
                model.disconnect(instance, session, "job")

        if at_once:
            what, path = ("/sessions/disconnect", "sessions:stop"), "/sessions/disconnect"
            self.change(who, how, what, path, {"session_ids": [*(session for _, session in opened), NOBODY]}, does)
        else:
            what = ("/sessions/{session_id}/disconnect", "sessions:stop")
            self.change(who, how, what, f"/sessions/{opened[0][1]}/disconnect", {}, does)

    @rule(script=scripts, key=users, who=whos, how=hows)
    def start_and_stop(self, script: str, key: str, who: str, how: str) -> None:
        copy = self.start_in_both(script, key)
        if copy is not None:
            does: Does = lambda model: model.stop_instance(copy.instance)  # noqa: E731 -- too long for its place
            what = ("/instances/{instance_id}/stop", "sessions:stop")
            self.change(who, how, what, f"/instances/{copy.instance}/stop", {}, does)

    @rule(milliseconds=periods)
    def wait(self, milliseconds: int) -> None:
        self.world.api.clock.ahead_ms += milliseconds
        self.model.pass_time(milliseconds)

    def do_everything_once(self) -> None:
        """Every kind of change, which random histories make more or less often."""
        script = self.begin_with_a_script()
        (user, other) = self.begin_with_users().values
        self.toggle(script, "owner", "plain", on=False)
        self.toggle(script, "owner", "plain", on=True)
        self.edit_script(script, "owner", "plain", {"kick_outdated": True})
        self.rotate_loader(script, "owner", "plain", 0)
        self.edit_user(user, True, "owner", "plain", {"note": "paid"})
        self.blacklist_for_a_while(user, "owner", "plain", "charge-back")
        self.bind_and_reset(script, user, "plain", force=True)
        self.remove_and_restore(user, "owner", "plain")
        self.change_many_users(None, "owner", "plain", ("extend", {"days": 1}))
        self.let_a_user_expire(other)
        self.start_and_disconnect(script, "owner", "plain", at_once=True)
        for key in self.create_users_in_both("owner", "plain", self.model.home, {}).values:
            self.start_and_stop(script, key, "owner", "plain")
            self.revoke_instances(key, True, "owner", "plain")
        self.remove_script(script, "owner", "plain", really=True)
        (project,) = self.create_project("owner", "plain").values
        self.create_users_in_both("owner", "plain", project, {})
        self.edit_project("owner", "plain", project, {"name": "Another game"})
        self.remove_project("owner", "plain", project)
        (token,) = self.create_token("owner", "plain", ["keys:read"], None).values
        self.create_token("bot", "plain", ["keys:write"], None)
        self.revoke_token(token, "owner", "plain")
        self.set_luraph_key("owner", "plain", "a-secret-of-luraph")
        self.set_luraph_key("owner", "plain", None)
        self.edit_account(dry=False, tier="tiny", expired=True)
        self.rename_account(dry=False, taken=False)
        self.events_agree()

    # What can be read.

    @invariant()
    def events_agree(self) -> None:
        self.compare(self.world.events(self.by["owner"][1]))

    def compare(self, shown: list[Any]) -> None:
        assert grouped(shown, self.model.events) == predicted(self.model.events)
        self.kinds.update(event["kind"] for event in shown)

    def teardown(self) -> None:
        for wire in getattr(self, "wires", {}).values():
            self.run(wire.socket.close())
        if "owner" not in getattr(self, "by", {}):
            return
        self.operate(lambda change: operations.remove(change, with_projects=True))
        self.model.remove_account()
        stored = self.run(
            events.list_of_account(
                self.world.api.database, self.operator.account_id, EventFilter(), before_id=None, limit=100_000
            )
        )
        self.compare([EventView.of(event).model_dump(mode="json") for event in reversed(stored)])


def _refusing(route: str, permission: str) -> Does:
    return lambda model: model.refuse_permission(route, permission)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_change_leaves_exactly_its_events(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    with engine_url(request, engine) as url, ModelServer(tmp_path, url) as world:
        kinds: set[str] = set()
        world.run(write_doom(world.api))
        counting = type("CountingChanges", (Changes,), {"world": world, "kinds": kinds})
        whole = counting()
        whole.do_everything_once()
        whole.teardown()
        assert kinds == set(EventKind) - HELD_ELSEWHERE, "a kind that no step leaves needs a step"
        try_histories(counting, world, examples=EXAMPLES, most_steps=STEPS)
