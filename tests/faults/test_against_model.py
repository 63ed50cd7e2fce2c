"""Random histories of management calls, starts, beats, sessions and passing time: the server and a small model never disagree."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import UTC, datetime
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
from websockets.exceptions import ConnectionClosed

from support import client as protocol
from support.client import Client, Copy, Wire
from support.database import ENGINES, engine_url
from support.management import Developer, done
from support.model import LEASE, RETURN, SILENT, Model
from support.model_events import DAY, GRACE, Actor, Refused
from support.model_server import ModelServer, discords, grouped, predicted, seldom, try_histories
from support.rounds import rounds

T = TypeVar("T")

EXAMPLES, STEPS = rounds(14, 300), rounds(50, 60)
SETTLED_SECONDS = 10.0
"""Less than the server's sweep takes: what it is told of a change has to do, the sweep does not make up for it."""

devices = st.sampled_from(["one", "two", None])
counts = st.none() | st.integers(1, 3)
mostly = st.sampled_from([True] * 4 + [False])
pauses = st.sampled_from([1, 30_000, LEASE - 1, LEASE, LEASE + 1, RETURN - 1, RETURN, RETURN + 1])
UNLIMITED: dict[str, Any] = {
    "discord_id": None,
    "days": None,
    "instances": None,
    "executions": None,
    "fingerprintless": False,
}
new_users = st.fixed_dictionaries(
    {
        "discord_id": discords,
        "days": st.none() | st.integers(1, 3),
        "instances": counts,
        "executions": counts,
        "fingerprintless": st.booleans(),
    }
)
rows_of_devices = st.lists(st.sampled_from(["one"] * 6 + ["two", None]), min_size=3, max_size=5)
ends = st.none() | st.integers(1, 3 * DAY)
periods = st.one_of(st.integers(1, 120_000), st.integers(1, 2 * DAY), st.sampled_from([38_000, 104_000, DAY, 3 * DAY]))


class History(RuleBasedStateMachine):
    """Each rule does the same to both sides and compares what they answer; invariants compare everything that can be read."""

    world: ModelServer
    scripts = Bundle("scripts")
    users = Bundle("users")
    copies = Bundle("copies")

    @initialize(target=scripts)
    def begin_with_a_script(self) -> Any:
        """Published already: what is interesting begins with a running copy."""
        self.begin()
        script = self.create_script_in_both(free_for_all=False)
        self.update(script, valid=True)
        return script

    @initialize(target=users)
    def begin_with_users(self) -> Any:
        self.begin()
        return multiple(*(self.create_user_in_both(**{**UNLIMITED, "instances": instances}) for instances in (None, 2)))

    def begin(self) -> None:
        if hasattr(self, "model"):
            return
        api = self.world.api
        self.me: Developer = self.run(api.developer())
        self.me.http = self.world.http
        # The live engine began a moment ago, and takes nothing that may have been used before.
        api.clock.ahead_ms += 10_000
        self.model = Model(now=api.clock())
        token = done(self.run(self.me.get("/account/tokens")))["tokens"][0]
        self.model.actor = Actor("token", token["id"], token["name"])
        self.project = self.model.home = self.run(self.me.new_project("A game"))
        self.model.begin()
        self.model.create_project(self.project, "A game")
        self.clients: dict[str, Client] = {}
        self.copies_by_id: dict[str, Copy] = {}
        self.wires: dict[str, Wire] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.world.run(work)

    def call(self, expected: Refused | None, path: str, body: dict[str, Any]) -> Any:
        """Make a management call that ends as the model says; gives the reply of a success."""
        reply = self.run(self.me.post(path, body))
        self.model.begin()
        if expected is None:
            return done(reply)
        assert (reply.status_code, reply.json()["error"]["code"]) == (expected.status, expected.code), reply.text
        return None

    def outcome(self, expected: Refused | None, work: Coroutine[Any, Any, T]) -> T | None:
        """Do something as a running copy that ends as the model says; gives the result of a success."""
        refused: Refused | None = None
        result: T | None = None
        try:
            result = self.run(work)
        except protocol.Refused as error:
            refused = Refused(error.code)
        assert refused == expected
        return result

    # Scripts.

    @rule(target=scripts, free_for_all=st.booleans(), published=mostly)
    def create_script(self, free_for_all: bool, published: bool) -> Any:
        script = self.create_script_in_both(free_for_all=free_for_all)
        if published and isinstance(script, str):
            self.update(script, valid=True)
        return script

    def create_script_in_both(self, *, free_for_all: bool) -> Any:
        expected = self.model.new_script_refusal(free_for_all=free_for_all)
        body = {"name": "A script", "free_for_all": free_for_all}
        reply = self.call(expected, f"/projects/{self.project}/scripts", body)
        if expected is not None:
            return multiple()
        script = reply["script"]["id"]
        self.model.create_script(script, free_for_all=free_for_all)
        return script

    @rule(script=scripts, valid=mostly)
    def update(self, script: str, valid: bool) -> None:
        expected = self.model.update(script, valid=valid)
        source = "print('hello')" if valid else "print('hello'"
        reply = self.call(expected, f"/scripts/{script}/update", {"script": source})
        if expected is None:
            assert reply["build"] == self.model.scripts[script].build

    @rule(script=scripts, on=mostly)
    def toggle(self, script: str, on: bool) -> None:
        self.call(self.model.toggle(script, on=on), f"/scripts/{script}/toggle", {"state": on})

    @rule(script=scripts, changes=st.dictionaries(st.sampled_from(["free_for_all", "kick_outdated"]), st.booleans()))
    def edit_script(self, script: str, changes: dict[str, bool]) -> None:
        self.call(self.model.edit_script(script, changes), f"/scripts/{script}/edit", changes)

    @rule(script=scripts, really=seldom)
    def remove_script(self, script: str, really: bool) -> None:
        if really:
            self.call(self.model.remove_script(script), f"/scripts/{script}/remove", {})

    # Users.

    @rule(target=users, fields=new_users)
    def create_user(self, fields: dict[str, Any]) -> Any:
        return self.create_user_in_both(**fields)

    def create_user_in_both(
        self,
        *,
        discord_id: str | None,
        days: int | None,
        instances: int | None,
        executions: int | None,
        fingerprintless: bool,
    ) -> Any:
        fields = {
            "discord_id": discord_id,
            "key_days": days,
            "max_instances": instances,
            "max_executions": executions,
            "fingerprintless": fingerprintless,
        }
        expected = self.model.new_user_refusal(self.project, discord_id, None, 1)
        reply = self.call(expected, f"/projects/{self.project}/users", fields)
        if expected is not None:
            return multiple()
        key: str = reply["users"][0]["key"]
        self.model.create_user(key, reply["users"][0]["id"], self.project, **fields)
        return key

    @rule(key=users, discord_id=discords, instances=counts, expires_in=st.sampled_from([None, -1, 1, 60_000, DAY]))
    def edit_user(self, key: str, discord_id: str | None, instances: int | None, expires_in: int | None) -> None:
        changes: dict[str, Any] = {"note": f"at {self.model.now}"}
        if discord_id is not None:
            changes["discord_id"] = discord_id
        if instances is not None:
            changes["max_instances"] = instances
        if expires_in is not None:
            changes["key_expires"] = self.model.now + expires_in
        self.call(self.model.edit_user(key, changes), f"/users/{key}/edit", changes)

    @rule(key=users, ends_in=ends)
    def blacklist(self, key: str, ends_in: int | None) -> None:
        expires = None if ends_in is None else self.model.now + ends_in
        self.call(self.model.blacklist(key, expires), f"/users/{key}/blacklist", {"expires": expires})

    @rule(key=users)
    def unblacklist(self, key: str) -> None:
        self.call(self.model.unblacklist(key), f"/users/{key}/unblacklist", {})

    @rule(key=users, force=st.booleans())
    def reset_fingerprint(self, key: str, force: bool) -> None:
        self.call(self.model.reset_device(key, force=force), f"/users/{key}/reset_fingerprint", {"force": force})

    @rule(key=users, really=seldom)
    def remove_user(self, key: str, really: bool) -> None:
        if really:
            self.call(self.model.remove_user(key), f"/users/{key}/remove", {})

    # Project and account.

    @rule(allowed=st.booleans())
    def allow_resets(self, allowed: bool) -> None:
        changes = {"allow_fingerprint_resets": allowed}
        self.call(self.model.edit_project(self.project, changes), f"/projects/{self.project}/edit", changes)

    @rule(required=st.sampled_from([True, False, False]))
    def require_fingerprint(self, required: bool) -> None:
        changes = {"require_fingerprint": required}
        self.call(self.model.edit_project(self.project, changes), f"/projects/{self.project}/edit", changes)

    @rule(expired=st.sampled_from([True, False, False, False]))
    def expire_or_renew_account(self, expired: bool) -> None:
        at = self.model.now if expired else None
        self.run(
            self.world.api.change("update accounts set expires_at = :at where id = :id", at=at, id=self.me.account.id)
        )
        self.model.account_expires = at

    # Running copies.

    @rule(target=copies, script=scripts, key=users, device=devices)
    def start_with_a_key(self, script: str, key: str, device: str | None) -> Any:
        return self.start_in_both(script, key, device)

    # Sequences that single steps, drawn among everything else, rarely make.

    @rule(target=copies, script=scripts, key=users, starts=rows_of_devices)
    def use_a_key_in_a_row(self, script: str, key: str, starts: list[str | None]) -> Any:
        return multiple(*(copy for device in starts for copy in self.start_in_both(script, key, device).values))

    @rule(target=copies, script=scripts, fields=new_users, starts=rows_of_devices)
    def use_a_new_key_in_a_row(self, script: str, fields: dict[str, Any], starts: list[str | None]) -> Any:
        key = self.create_user_in_both(**fields)
        return self.use_a_key_in_a_row(script, key, starts) if isinstance(key, str) else multiple()

    @rule(
        target=copies, script=scripts, barred=users, other=users, device=st.sampled_from(["one", "two"]), ends_in=ends
    )
    def bar_a_device(self, script: str, barred: str, other: str, device: str, ends_in: int | None) -> Any:
        """Start, blacklist the key, and try the device with another one."""
        first = self.start_in_both(script, barred, device).values
        self.blacklist(barred, ends_in)
        return multiple(*first, *self.start_in_both(script, other, device).values)

    @rule(instance=copies, times=st.lists(pauses, min_size=1, max_size=3))
    def beat_and_pause(self, instance: str, times: list[int]) -> None:
        for milliseconds in times:
            self.beat(instance, again=False)
            self.wait(milliseconds)
            self.scripts_agree()

    @rule(instance=copies)
    def repeat_a_beat(self, instance: str) -> None:
        self.beat(instance, again=False)
        self.beat(instance, again=True)

    @rule(
        target=copies,
        script=scripts,
        event=st.sampled_from(["a session closes", "the key expires", "a new build", "nothing"]),
        milliseconds=pauses,
    )
    def start_and_live_through(self, script: str, event: str, milliseconds: int) -> Any:
        key = self.create_user_in_both(**UNLIMITED)
        if not isinstance(key, str):
            return multiple()
        started = self.start_in_both(script, key, "one")
        for instance in started.values:
            if event == "a session closes":
                self.open_session(instance)
                self.close_session(instance)
                self.scripts_agree()  # the server has noticed, before time goes on
            elif event == "the key expires":
                self.edit_user(key, discord_id=None, instances=None, expires_in=1)
            elif event == "a new build":
                self.edit_script(script, {"kick_outdated": True})
                self.update(script, valid=True)
            self.wait(milliseconds)
            self.scripts_agree()
            self.beat(instance, again=False)
        return started

    @rule(
        target=copies,
        script=scripts,
        instances=st.integers(1, 2),
        device=devices,
        how=st.sampled_from(["its session ends", "it misses a beat", "it has just beaten"]),
        by=st.sampled_from([-1, 0, 1]),
    )
    def crash_and_start_again(self, script: str, instances: int, device: str | None, how: str, by: int) -> Any:
        key = self.create_user_in_both(**{**UNLIMITED, "instances": instances, "fingerprintless": True})
        if not isinstance(key, str):
            return multiple()
        started = [one for _ in range(instances) for one in self.start_in_both(script, key, "one").values]
        for instance in started[:1]:
            if how == "its session ends":
                self.open_session(instance)
                self.close_session(instance)
                self.scripts_agree()
            elif how == "it misses a beat":
                self.beat(instance, again=False)
                self.wait(LEASE - SILENT + by)
        again = [one for _ in range(2) for one in self.start_in_both(script, key, device).values]
        for instance in (*started, *again):
            self.beat(instance, again=False)
        return multiple(*started, *again)

    @rule(key=users, instances=st.integers(1, 2))
    def lower_a_limit(self, key: str, instances: int) -> None:
        self.edit_user(key, discord_id=None, instances=instances, expires_in=None)
        self.scripts_agree()
        for instance, copy in list(self.model.instances.items()):
            if copy.key == key:
                self.beat(instance, again=False)

    @rule(target=copies, script=scripts, device=devices)
    def bind_a_key_beside_a_session(self, script: str, device: str | None) -> Any:
        key = self.create_user_in_both(**UNLIMITED)
        if not isinstance(key, str):
            return multiple()
        started = self.start_in_both(script, key, None).values
        for instance in started:
            self.open_session(instance)
        return multiple(*started, *self.start_in_both(script, key, device).values)

    @rule(really=seldom, by=st.sampled_from([-1, 0, 1]))
    def live_through_the_grace(self, really: bool, by: int) -> None:
        if really:
            self.expire_or_renew_account(expired=True)
            self.wait(GRACE + by)

    @rule(target=copies, script=scripts, key=st.sampled_from([None, "nobody"]), device=devices)
    def start_without_a_key(self, script: str, key: str | None, device: str | None) -> Any:
        return self.start_in_both(script, key, device)

    def start_in_both(self, script: str, key: str | None, device: str | None) -> Any:
        """The copy, if there is one, as a `multiple`."""
        expected = self.model.start_refusal(script, key, device)
        copy = self.outcome(expected, self._client(script).execute(key=key, fingerprint=device))
        if copy is None:
            return multiple()
        self.model.start(copy.instance, script, key, device)
        self.run(self.world.api.history.settle())  # by which the device is known
        self.copies_by_id[copy.instance] = copy
        valid = self.model.valid_user(key)
        assert copy.variables["la_is_premium"] is (valid is not None)
        assert copy.variables["la_executions"] == (0 if valid is None else valid.executions)
        assert copy.variables["la_script_build"] == self.model.scripts[script].build
        return multiple(copy.instance)

    def _client(self, script: str) -> Client:
        """What the script's loader is; one that was never built, or is gone, is made up."""
        api = self.world.api
        known = self.clients.get(script)
        if known is None:
            loader = self.run(api.value("select loader from scripts where id = :id", id=script))
            secret = api.keyring.loader_secret(loader or "none")
            known = Client(api.url, script, loader or "none", secret, self.world.http, api.clock)
            if loader is not None:
                self.clients[script] = known
        return known

    @rule(instance=copies, again=st.sampled_from([False, False, False, True]))
    def beat(self, instance: str, again: bool) -> None:
        copy = self.copies_by_id[instance]
        moment = copy.sequence if again and copy.sequence else copy.moments.next()
        expected = self.model.beat(instance, moment)
        left = self.outcome(expected, copy.beat(moment))
        if expected is None:
            assert left == self.model.seconds_left(instance)

    @rule(instance=copies)
    def open_session(self, instance: str) -> None:
        if self.model.instances[instance].has_session:
            return
        expected = self.model.open_session(instance)
        wire = self.run(self.copies_by_id[instance].connect())
        if expected is not None and expected.code == "NOT_AUTHENTICATED":
            with pytest.raises(ConnectionClosed):
                self.run(wire.receive())
            return
        frame = self.run(wire.receive())
        if expected is not None:
            assert (frame["type"], frame["code"]) == ("stop", expected.code)
            return
        assert (frame["type"], frame["seconds_left"]) == ("opened", self.model.seconds_left(instance))
        wire.id = frame["session"]
        self.wires[instance] = wire

    @rule(instance=copies)
    def close_session(self, instance: str) -> None:
        if self.model.instances[instance].has_session:
            self.model.close_session(instance)
            self.run(self.wires.pop(instance).socket.close())

    @rule(instance=copies)
    def disconnect(self, instance: str) -> None:
        if self.model.instances[instance].has_session:
            session = self.wires[instance].id
            self.model.disconnect(instance, session, self.copies_by_id[instance].client.request()["job_id"])
            self.call(None, f"/sessions/{session}/disconnect", {})

    @rule(milliseconds=periods)
    def wait(self, milliseconds: int) -> None:
        was_abandoned = self.model.is_abandoned
        self.world.api.clock.ahead_ms += milliseconds
        self.model.pass_time(milliseconds)
        if self.model.is_abandoned and not was_abandoned:
            # Nobody tells the server: its sweep finds the sessions that may not go on, within 20 s.
            self.run(self.world.api.live.look_again_at_all())

    # What can be read.

    @invariant()
    def scripts_agree(self) -> None:
        listed = self.run(self._settled_scripts())
        assert listed == self._expected_scripts()

    @rule()
    def users_agree(self) -> None:
        reply = done(self.run(self.me.get(f"/projects/{self.project}/users?limit=1000")))
        assert {user["key"]: _shown(user) for user in reply["users"]} == {
            key: {
                "discord_id": user.discord_id,
                "note": user.note,
                "key_expires": user.key_expires,
                "key_days": user.key_days,
                "executions": user.executions,
                "fingerprint_assigned": user.device is not None,
                "total_fingerprint_resets": user.resets,
                "blacklisted": self.model.is_blacklisted(user),
            }
            for key, user in self.model.users.items()
        }

    @rule()
    def events_agree(self) -> None:
        assert grouped(self.world.events(self.me), self.model.events) == predicted(self.model.events)

    @rule()
    def executions_agree(self) -> None:
        project = self.run(self.me.project(self.project))
        by_script = sum(script.total_executions for script in self.model.scripts.values())
        assert project["total_executions"] == by_script + self.model.executions_of_removed
        for script in self.model.scripts:
            shown = done(self.run(self.me.get(f"/scripts/{script}/executions")))["executions"]
            today = self.model.now // DAY
            assert list(shown) == [_month_and_day(day) for day in range(today - 29, today + 1)]
            assert {day: times for day, times in shown.items() if times} == {
                _month_and_day(day): times
                for (of, day), times in self.model.days.items()
                if of == script and day > today - 30
            }

    async def _settled_scripts(self) -> Any:
        """The scripts as listed; sockets that close are noticed a moment later, so a difference is looked at again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_SECONDS):
                while (listed := await self._listed_scripts()) != self._expected_scripts():
                    await asyncio.sleep(0.05)
        return listed

    async def _listed_scripts(self) -> Any:
        reply = done(await self.me.get(f"/projects/{self.project}/scripts"))
        names = ("enabled", "free_for_all", "kick_outdated", "total_executions", "total_sessions", "total_instances")
        return {script["id"]: {name: script[name] for name in names} for script in reply["scripts"]}

    def _expected_scripts(self) -> Any:
        return {
            script_id: {
                "enabled": script.enabled,
                "free_for_all": script.free_for_all,
                "kick_outdated": script.kick_outdated,
                "total_executions": script.total_executions,
                "total_sessions": sum(one.has_session for one in self.model.of_script(script_id)),
                "total_instances": len(self.model.of_script(script_id)),
            }
            for script_id, script in self.model.scripts.items()
        }

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.users_agree()
            self.events_agree()
            self.executions_agree()
        for wire in getattr(self, "wires", {}).values():
            self.run(wire.socket.close())


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    names = (
        "discord_id",
        "note",
        "key_expires",
        "key_days",
        "executions",
        "fingerprint_assigned",
        "total_fingerprint_resets",
        "blacklisted",
    )
    return {name: user[name] for name in names}


def _month_and_day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY / 1000, UTC).strftime("%m/%d")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_server_and_the_model_never_disagree(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    with engine_url(request, engine) as url, ModelServer(tmp_path, url) as world:
        try_histories(History, world, examples=EXAMPLES, most_steps=STEPS)
