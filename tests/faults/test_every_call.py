"""Random histories of every call that changes something: it leaves exactly its events, and a call that changes nothing leaves nothing.

Each is made as it is, as a dry run, about a version of before, with its transaction broken off at its very end, twice with one
idempotency key, and by somebody who may not make it; all of the database is compared, before and after.
`test_events_against_model.py` says what events hold, here it is which and how many.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.operations.kinds import EventKind
from moonlatch.storage.interface import Query
from support import rows
from support.client import Client
from support.database import ENGINES, engine_url
from support.discord import GUILD, TOKEN, fake_discord
from support.doom import DOOMED, doom, write_doom
from support.management import NOBODY, Api, Developer, operations, running_api
from support.rounds import rounds

HISTORIES, STEPS = rounds(1, 20), rounds(40, 400)

SOURCE = "local some = 5 if some == 5 then print(some == 6, some < 7) end"

WAYS = ("refused", "dry", DOOMED, "stale", "replayed")
NO_CHANGE = {
    "/auth/": "somebody signs in, which `tests/management/test_member_events.py` holds",
    "/me/": "a member's own affairs, which `tests/management/test_member_events.py` holds",
    "/scripts/{script_id}/check": "reads a draft",
    "/scripts/{script_id}/sessions": "reads",
    "/sessions/message": "is a message, which is no change",
    "/sessions/{session_id}/message": "is a message, which is no change",
}
NOT_COMPARED = {"idempotency_records", "tokens"}
"""What every call writes: the record of its key, and when its token was used last."""

Place = Callable[["World"], str]
Body = Callable[["World"], Any]
Left = Callable[[Any, Any], Counter[EventKind]]
"""Which events a success leaves, given the body and the reply."""


@dataclass
class World:
    """What a history has made so far, by kind; what was removed stays among it."""

    api: Api
    me: Developer
    viewer: Developer
    chance: random.Random
    made: dict[str, list[str]] = field(default_factory=dict)
    is_steady: bool = True
    """It is always the same thing that calls are about."""

    def any(self, kind: str) -> str:
        found = self.made.get(kind) or [NOBODY]
        return found[0] if self.is_steady or self.chance.random() < 0.6 else self.chance.choice(found)

    def make(self, kind: str, *ids: str) -> None:
        known = self.made.setdefault(kind, [])
        known.extend(each for each in ids if each not in known)

    async def start(self) -> None:
        """A copy with a session, before all that there were."""
        script, key = self.made["script"][0], self.made["user"][0]
        await self.me.post(f"/scripts/{script}/toggle", {"state": True})
        for verb in ("unblacklist", "release"):
            await self.me.post(f"/users/{key}/{verb}", {})
        loader = await self.api.value("select loader from scripts where id = :id", id=script)
        client = Client(self.api.url, script, loader, self.api.keyring.loader_secret(loader), self.api.http)
        copy = await client.execute(key=key)
        wire = await copy.session()
        self.made.setdefault("instance", []).insert(0, copy.instance)
        self.made.setdefault("session", []).insert(0, wire.id)
        await self.api.history.settle()

    def learn(self, reply: Any) -> None:
        """Note what a reply tells of."""
        for kind in (
            "project",
            "script",
            "endpoint",
            "member",
            "token",
            "rollout",
            "delivery",
            "system",
            "step",
            "variable",
            "remote",
        ):
            if isinstance(reply.get(kind), dict) and "id" in reply[kind]:
                self.make(kind, reply[kind]["id"])
        self.make("user", *(user["key"] for user in reply.get("users", ()) if "key" in user))

    def later(self) -> int:
        return self.api.clock() + DAY_MS


@dataclass(frozen=True)
class Call:
    path: Place
    body: Body
    left: Left
    also: frozenset[EventKind] = frozenset()
    """What it may leave besides, by what it puts an end to."""


def call(template: str, body: Body | dict[str, Any], left: EventKind | Left, *also: EventKind) -> tuple[str, Call]:
    def path(world: World) -> str:
        found = template
        for name, kind in PLACES.items():
            if name in found:
                found = found.replace(name, world.any(kind))
        return found.replace("{number}", str(world.chance.choice([1, 2, 2, 3]))).replace("{name}", "beta")

    def once(_body: Any, _reply: Any) -> Counter[EventKind]:
        assert isinstance(left, EventKind)
        return Counter([left])

    return template, Call(
        path,
        body if callable(body) else lambda _world: body,
        once if isinstance(left, EventKind) else left,
        frozenset(also),
    )


PLACES = {
    "{script_id}": "script",
    "{project_id}": "project",
    "{key}": "user",
    "{endpoint_id}": "endpoint",
    "{delivery_id}": "delivery",
    "{variable_id}": "variable",
    "{remote_id}": "remote",
    "{error_id}": "error",
    "{member_id}": "member",
    "{token_id}": "token",
    "{rollout_id}": "rollout",
    "{system_id}": "system",
    "{step_id}": "step",
    "{instance_id}": "instance",
    "{session_id}": "session",
}
ENDS_ROLLOUT = EventKind.SCRIPT_ROLLOUT_SUPERSEDED, EventKind.SCRIPT_ROLLOUT_FINISHED
BULK = {
    "extend": EventKind.USER_EDITED,
    "edit": EventKind.USER_EDITED,
    "blacklist": EventKind.USER_BLACKLISTED,
    "unblacklist": EventKind.USER_UNBLACKLISTED,
    "reset_fingerprint": EventKind.USER_FINGERPRINT_RESET,
    "remove": EventKind.USER_REMOVED,
}


def times(kind: EventKind, count: Callable[[Any, Any], int]) -> Left:
    return lambda body, reply: Counter({kind: count(body, reply)} if count(body, reply) else {})


def in_bulk(body: Any, reply: Any) -> Counter[EventKind]:
    (verb,) = set(body) & set(BULK)
    return Counter({BULK[verb]: reply["changed"]} if reply["changed"] else {})


def bulk_body(world: World) -> Any:
    verb = world.chance.choice(["extend", "edit", "blacklist", "unblacklist", "reset_fingerprint", "edit"])
    fields = {"extend": {"days": 1}, "edit": {"note": world.chance.choice("abc")}, "blacklist": {"reason": "shared"}}
    return {"filter": {"all": True}, verb: fields.get(verb, {})}


def rollout_body(world: World) -> Any:
    return {"build": world.chance.choice([1, 2, 3]), "steps": [{"basis_points": 500}]}


CALLS = dict(
    [
        # In this order each finds what it needs, when all are made one after the other.
        call("/projects", {"name": "A game"}, EventKind.PROJECT_CREATED),
        call("/projects/{project_id}/edit", lambda w: {"name": w.chance.choice("abc")}, EventKind.PROJECT_EDITED),
        call("/projects/{project_id}/scripts", {"name": "A script"}, EventKind.SCRIPT_CREATED),
        call("/scripts/{script_id}/update", {"script": SOURCE}, EventKind.SCRIPT_PUBLISHED, *ENDS_ROLLOUT),
        call("/scripts/{script_id}/trace", {"file": SOURCE}, EventKind.SCRIPT_TRACED),
        call("/scripts/{script_id}/edit", lambda w: {"name": w.chance.choice("abc")}, EventKind.SCRIPT_EDITED),
        call(
            "/scripts/{script_id}/toggle",
            lambda w: {"state": w.chance.random() < 0.7},
            lambda body, _: Counter([EventKind.SCRIPT_ENABLED if body["state"] else EventKind.SCRIPT_DISABLED]),
        ),
        call("/scripts/{script_id}/rotate_loader", {"grace": 0}, EventKind.SCRIPT_LOADER_ROTATED),
        call("/scripts/{script_id}/channels", {"name": "beta", "build": 1}, EventKind.SCRIPT_CHANNEL_SET),
        call(
            "/users/{key}/pin",
            lambda w: {"script": w.any("script"), "build": w.chance.choice([None, 1]), "channel": "stable"},
            EventKind.USER_PINNED,
        ),
        call("/scripts/{script_id}/channels/{name}/remove", {}, EventKind.SCRIPT_CHANNEL_REMOVED),
        call(
            "/scripts/{script_id}/builds/{number}/schedule",
            lambda w: {"publish_at": w.later()},
            EventKind.SCRIPT_BUILD_SCHEDULED,
        ),
        call("/scripts/{script_id}/builds/{number}/unschedule", {}, EventKind.SCRIPT_BUILD_UNSCHEDULED),
        call("/scripts/{script_id}/rollouts", rollout_body, EventKind.SCRIPT_ROLLOUT_STARTED),
        call("/rollouts/{rollout_id}/pause", {}, EventKind.SCRIPT_ROLLOUT_PAUSED),
        call("/rollouts/{rollout_id}/resume", {"confirm": True}, EventKind.SCRIPT_ROLLOUT_RESUMED),
        call("/rollouts/{rollout_id}/halt", {}, EventKind.SCRIPT_ROLLOUT_HALTED),
        call("/rollouts/{rollout_id}/finish", {}, EventKind.SCRIPT_ROLLOUT_FINISHED),
        call(
            "/scripts/{script_id}/rollback",
            lambda w: {"build": w.chance.choice([1, 2, 3])},
            EventKind.SCRIPT_ROLLED_BACK,
            *ENDS_ROLLOUT,
        ),
        call("/scripts/{script_id}/builds/{number}/yank", {}, EventKind.SCRIPT_BUILD_YANKED, *ENDS_ROLLOUT),
        call(
            "/projects/{project_id}/users",
            lambda w: {"amount": w.chance.choice([1, 2])},
            times(EventKind.USER_CREATED, lambda _, reply: len(reply["users"])),
        ),
        call("/users/{key}/edit", lambda w: {"note": w.chance.choice("abc")}, EventKind.USER_EDITED),
        call("/users/{key}/release", {}, EventKind.USER_RELEASED),
        call(
            "/users/{key}/name_device",
            lambda w: {"device": w.any("device"), "name": w.chance.choice("abc")},
            EventKind.USER_DEVICE_NAMED,
        ),
        call(
            "/users/{key}/licence",
            lambda w: {"script_id": w.any("offline"), "device": "a device"},
            EventKind.USER_LICENSED,
        ),
        call("/users/{key}/reset_fingerprint", {"force": True}, EventKind.USER_FINGERPRINT_RESET),
        call("/users/{key}/revoke_instances", {}, EventKind.USER_INSTANCES_REVOKED),
        call("/users/{key}/blacklist", {"reason": "shared"}, EventKind.USER_BLACKLISTED),
        call(
            "/projects/{project_id}/bars/lift",
            lambda w: {"bars": [w.any("bar")]},
            times(EventKind.PROJECT_BARS_LIFTED, lambda _, reply: int(reply["lifted"] > 0)),
        ),
        call("/users/{key}/unblacklist", {}, EventKind.USER_UNBLACKLISTED),
        call("/projects/{project_id}/users/bulk", bulk_body, in_bulk),
        call("/sessions/{session_id}/disconnect", {}, EventKind.SESSION_DISCONNECTED),
        call(
            "/sessions/disconnect",
            lambda w: {"session_ids": [w.any("session")]},
            EventKind.SESSION_DISCONNECTED,
        ),
        call("/instances/{instance_id}/stop", {}, EventKind.INSTANCE_STOPPED),
        call("/users/{key}/remove", {}, EventKind.USER_REMOVED),
        call(
            "/projects/{project_id}/users/restore",
            lambda w: {"keys": [w.any("user")]},
            times(EventKind.USER_RESTORED, lambda body, _: len(body["keys"])),
        ),
        call("/account/tokens", {"name": "another"}, EventKind.TOKEN_CREATED),
        call("/account/tokens/{token_id}/revoke", {}, times(EventKind.TOKEN_REVOKED, lambda *_: 1)),
        call("/account/luraph", {"api_key": "a-key-of-luraph"}, EventKind.LURAPH_KEY_SET),
        call(
            "/members",
            lambda w: {"name": "M", "sign_in_name": f"m{w.chance.random()}", "role": "viewer"},
            EventKind.MEMBER_INVITED,
        ),
        call("/members/{member_id}/edit", lambda w: {"name": w.chance.choice("abc")}, EventKind.MEMBER_EDITED),
        call("/members/{member_id}/link", {}, EventKind.MEMBER_LINK_CREATED),
        call("/members/{member_id}/link/revoke", {}, EventKind.MEMBER_LINK_REVOKED),
        call("/members/{member_id}/reset_second_factor", {}, EventKind.MEMBER_SECOND_FACTOR_RESET),
        call("/members/{member_id}/sign_out", {}, EventKind.MEMBER_SIGNED_OUT),
        call("/members/{member_id}/remove", {}, EventKind.MEMBER_REMOVED),
        *(
            call(
                f"/{place}/variables", lambda w: {"name": "a", "value": w.chance.choice("abc")}, EventKind.VARIABLE_SET
            )
            for place in ("users/{key}", "scripts/{script_id}", "projects/{project_id}")
        ),
        call("/variables/{variable_id}/remove", {}, EventKind.VARIABLE_REMOVED),
        call("/errors/{error_id}/resolve", {}, EventKind.ERROR_RESOLVED),
        call("/errors/{error_id}/ignore", {}, EventKind.ERROR_IGNORED),
        call("/errors/{error_id}/reopen", {}, EventKind.ERROR_REOPENED),
        call("/projects/{project_id}/endpoints", {"url": "https://receiver.invalid/"}, EventKind.ENDPOINT_CREATED),
        *(
            call(
                f"/{place}/remotes",
                lambda w: {
                    "name": "a",
                    "kind": w.chance.choice(["webhook", "function"]),
                    "endpoint_id": w.any("endpoint"),
                },
                EventKind.REMOTE_SET,
            )
            for place in ("scripts/{script_id}", "projects/{project_id}")
        ),
        call("/remotes/{remote_id}/remove", {}, EventKind.REMOTE_REMOVED),
        call("/endpoints/{endpoint_id}/edit", lambda w: {"name": w.chance.choice("abc")}, EventKind.ENDPOINT_EDITED),
        call("/endpoints/{endpoint_id}/rotate_secret", {}, EventKind.ENDPOINT_SECRET_ROTATED),
        call("/endpoints/{endpoint_id}/test", {}, EventKind.ENDPOINT_TESTED),
        call(
            "/endpoints/{endpoint_id}/replay",
            lambda w: {"deliveries": [w.any("delivery")]},
            EventKind.ENDPOINT_REPLAYED,
        ),
        call("/deliveries/{delivery_id}/replay", {}, EventKind.ENDPOINT_REPLAYED),
        call("/endpoints/{endpoint_id}/remove", {}, EventKind.ENDPOINT_REMOVED),
        call(
            "/ads/systems/new",
            lambda w: {"project_id": w.any("project"), "name": "Free keys"},
            EventKind.AD_SYSTEM_CREATED,
        ),
        call("/ads/systems/{system_id}/edit", lambda w: {"name": w.chance.choice("abc")}, EventKind.AD_SYSTEM_EDITED),
        call(
            "/ads/systems/{system_id}/steps",
            {"provider": "custom", "settings": {"url": "https://gate.invalid/"}},
            EventKind.AD_STEP_ADDED,
        ),
        call(
            "/ads/steps/{step_id}/edit",
            lambda w: {"minimum_seconds": w.chance.choice([5, 10])},
            EventKind.AD_STEP_EDITED,
        ),
        call("/ads/steps/{step_id}/remove", {}, EventKind.AD_STEP_REMOVED),
        call("/ads/systems/{system_id}/remove", {}, EventKind.AD_SYSTEM_REMOVED),
        call("/account/discord", {"bot_token": TOKEN}, EventKind.DISCORD_CONNECTED),
        call("/account/discord/register", {}, EventKind.DISCORD_REGISTERED),
        call(
            "/projects/{project_id}/discord",
            lambda w: {"guild_id": GUILD, "panel_title": w.chance.choice("abc")},
            lambda *_: Counter(),
            EventKind.DISCORD_LINKED,  # the one or the other: whether it was linked before, the reply does not say
            EventKind.DISCORD_EDITED,
        ),
        call("/projects/{project_id}/discord/remove", {}, EventKind.DISCORD_UNLINKED),
        call("/account/discord/remove", {}, EventKind.DISCORD_DISCONNECTED),
        call("/scripts/{script_id}/remove", {}, EventKind.SCRIPT_REMOVED),
        call("/projects/{project_id}/remove", {}, EventKind.PROJECT_REMOVED),
    ]
)


async def hold(world: World) -> None:
    sql = "update users set held_by = 'devices', held_at = 1, forgiven_until = null"
    await world.api.change(sql)


async def see_bars(world: World) -> None:
    bars = await world.me.get(f"/projects/{world.any('project')}/bars")
    world.make("bar", *(bar["id"] for bar in bars.json()["bars"]))


async def resume(world: World) -> None:
    await world.me.post(f"/rollouts/{world.any('rollout')}/resume", {"confirm": True})


async def start(world: World) -> None:
    await world.start()


READY = {
    "/users/{key}/release": hold,
    "/rollouts/{rollout_id}/finish": resume,
    "/users/{key}/revoke_instances": start,
    "/projects/{project_id}/bars/lift": see_bars,
    "/sessions/{session_id}/disconnect": start,
    "/sessions/disconnect": start,
    "/instances/{instance_id}/stop": start,
}
"""What has to be done so that a call can succeed."""


async def begun(api: Api, chance: random.Random) -> World:
    """An account with something of everything that calls need and cannot make."""
    me = await api.developer()
    viewer = Developer(me.account, await api.token(me.account, permissions=("projects:read",)), api.http)
    world = World(api, me, viewer, chance)
    world.make("project", await me.new_project())
    script, _ = await rows.add_script(api.database, world.any("project"), mark_copies=True)
    for number in (2, 3):
        await rows.add_build(api.database, script, number)
    world.make("script", script)
    world.make("error", await rows.add_error(api.database, script), await rows.add_error(api.database, script))
    offline, _ = await rows.add_script(api.database, world.any("project"), offline_days=7)
    await me.post(f"/scripts/{offline}/update", {"script": "print(1)"})
    world.make("offline", offline)
    world.make("user", *[await me.new_user(world.any("project")) for _ in range(3)])
    await world.start()
    devices = (await me.get(f"/users/{world.any('user')}/devices")).json()["devices"]
    world.make("device", *(device["id"] for device in devices))
    return world


SHOWN = {
    "accounts": (
        "id",
        "name",
        "tier",
        "expires_at",
        "obfuscations_used",
    ),  # what is tried takes its time, too, and that is counted
}
COLUMNS = {
    "sqlite": """
        select m.name, p.name from sqlite_master m join pragma_table_info(m.name) p
        where m.type = 'table' and m.name not like 'sqlite%'
    """,
    "postgres": "select table_name, column_name from information_schema.columns where table_schema = 'public'",
}

Rows = Counter[tuple[str, str]]
"""Tables' names and their rows as text."""


async def reading(api: Api) -> Query:
    """Reads all rows of all tables, but for what every call writes."""
    columns: dict[str, list[str]] = {}
    for table, column in await api.database.search(Query("test.columns", COLUMNS[api.engine])):
        if table not in NOT_COMPARED and column in SHOWN.get(table, (column,)):
            columns.setdefault(table, []).append(column)
    text = "quote({})" if api.engine == "sqlite" else "coalesce(cast({} as text), 'null')"
    return Query(
        "test.everything",
        " union all ".join(
            f"select '{table}', {' || chr || '.join(map(text.format, names))} from {table}".replace("chr", "'|'")
            for table, names in columns.items()
        ),
    )


def changed(before: Rows, after: Rows) -> list[Any]:
    """What went and what came."""
    return [*(before - after).items(), *(after - before).items()]


class Histories:
    def __init__(self, world: World, everything: Query) -> None:
        self.world = world
        self.everything = everything
        self.calls = 0
        self.succeeded: set[str] = set()

    async def read(self) -> Rows:
        await self.world.api.history.settle()  # what running copies leave comes a moment later
        return Counter(map(tuple, await self.world.api.database.search(self.everything)))

    async def left(self, before: set[str]) -> Counter[str]:
        """The kinds of the events that are new."""
        return Counter(kind for event, kind in (await self.events()).items() if event not in before)

    async def events(self) -> dict[str, str]:
        return dict(await self.world.api.database.search(Query("test.events", "select id, kind from events")))

    async def make(self, template: str, way: str) -> bool:
        """Make a call in one way; gives whether it changed something for good."""
        world, made = self.world, CALLS[template]
        self.calls += 1
        path, body = made.path(world), made.body(world)
        who = world.viewer if way == "refused" else world.me
        headers = {"stale": {"if-match": '"before"'}}.get(way, {})
        if way in (DOOMED, "replayed"):
            headers = {"idempotency-key": f"{way}-{self.calls}"}
        if way == DOOMED:
            await doom(world.api, who.account.id, headers["idempotency-key"])
        before, events = await self.read(), set(await self.events())
        send = lambda: who.post(path + ("?dry_run=true" if way == "dry" else ""), body, headers=headers)  # noqa: E731
        reply = await send()
        after, kinds = await self.read(), await self.left(events)
        told = f"{way} POST {path} {body}: {reply.status_code} {reply.text[:300]}"
        if way == "refused":
            assert reply.status_code in (403, 404), told
            assert set(kinds) <= {EventKind.PERMISSION_REFUSED}, told
            assert {table for (table, _), _ in changed(before, after)} <= {"events"}, told
            return False
        if way in ("dry", DOOMED) or reply.status_code != 200:
            assert reply.status_code >= 400 if way != "dry" else reply.status_code < 500, told
            assert (reply.status_code == 500) <= (way == DOOMED), told
            assert changed(before, after) == [], told
            return False
        if changed(before, after):
            expected = made.left(body, reply.json())
            assert Counter({kind: count for kind, count in kinds.items() if kind not in made.also}) == expected, told
        else:
            assert not kinds, told
        world.learn(reply.json())
        self.succeeded.add(template)
        if way == "replayed":
            again = await send()
            assert (again.status_code, again.json()) == (200, reply.json()), told
            assert again.headers["idempotency-replayed"] == "true", told
            assert changed(after, await self.read()) == [], told
        return bool(kinds)


@pytest.mark.parametrize("engine", ENGINES)
async def test_every_call_leaves_exactly_its_events(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    with engine_url(request, engine) as url:
        async with fake_discord() as discord, running_api(tmp_path, database_url=url, discord_url=discord.url) as api:
            routes = {path for method, path, _ in operations(api.app) if method == "POST"}
            assert routes == set(CALLS) | {path for path in routes if any(path.startswith(each) for each in NO_CHANGE)}
            await write_doom(api)
            everything = await reading(api)
            for number in range(HISTORIES):
                chance = random.Random(number)
                histories = Histories(await begun(api, chance), everything)
                for template in CALLS:
                    for way in WAYS:
                        if template in READY:
                            await READY[template](histories.world)
                        for _ in range(20 if way == "replayed" else 1):
                            if await histories.make(template, way):
                                break
                assert histories.succeeded == set(CALLS), "a call that never succeeded needs something made ready"
                histories.world.is_steady = False
                for _ in range(STEPS):
                    await histories.make(chance.choice(list(CALLS)), chance.choice([*WAYS, *["replayed"] * 4]))
                # A bot is one account's, and the next history has its own.
                await histories.world.me.post("/account/discord/remove")
