"""Live for many processes: each holds its own sockets (`LocalLive`), and Redis tells all of them who is where.

Implements `Live` and `Roster`. Redis keeps nothing that cannot be said again; `docs/why/processes.md` tells what happens without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from moonlatch.clock import SECOND_MS
from moonlatch.licensing.verdict import SUPERSEDED, TOO_MANY_INSTANCES
from moonlatch.live.interface import (
    EARLIEST_MOMENT,
    AliveAlreadyError,
    Connection,
    Instance,
    LiveCounts,
    LiveUnavailableError,
    MessageOutcome,
    NonceUsedError,
    NoPlaceError,
    RunningCopy,
    Session,
    SessionFilter,
    Told,
    VariableOwner,
)
from moonlatch.live.memory import FIRST_SESSION_MS, NEXT_SESSION_MS
from moonlatch.live.records import (
    filter_suffixes,
    instance_record,
    read_instance,
    read_session,
    session_record,
)
from moonlatch.live.redis_connection import Connected

_NO_PLACE = {b"full": TOO_MANY_INSTANCES, b"superseded": SUPERSEDED}
"""What the directory answers, as what the customer hears."""


class RedisLive(Connected):
    """One process's share of everybody who is connected. `start` connects, `close_all` and `close` end it."""

    @property
    def open_sessions(self) -> int:
        """Sessions whose sockets this process holds."""
        return self.here.open_sessions

    @property
    def alive_instances(self) -> int:
        """Running copies that this process knows of."""
        return self.here.alive_instances

    # What the management API asks.

    async def counts(self, script_id: str) -> LiveCounts:
        sessions, instances = await self._directory.ask("counts", script_id, self._clock())
        return LiveCounts(sessions, instances)

    async def sessions(self, script_id: str, where: SessionFilter, offset: int, limit: int) -> list[Session]:
        ids, records = await self._directory.ask("list", script_id, filter_suffixes(where), offset, limit)
        return [
            read_session(session_id, record).session
            for session_id, record in zip(ids, records, strict=True)
            if record is not None
        ]

    async def session(self, session_id: str) -> Session | None:
        member = self.here.member(session_id)
        if member is not None:
            return member.session
        record = await self._directory.ask("session", session_id)
        return None if record is None else read_session(session_id, record).session

    async def alive(self, instance_ids: Sequence[str]) -> set[str]:
        now = self._clock()
        found = await asyncio.gather(*(self._directory.ask("find", each, now) for each in instance_ids))
        return {each for each, record in zip(instance_ids, found, strict=True) if record is not None}

    async def copies(self, script_id: str, offset: int, limit: int) -> list[RunningCopy]:
        ids, records, sessions = await self._directory.ask("copies", script_id, offset, limit, self._clock())
        return [
            RunningCopy(read_instance(each.decode(), record), None if session is None else session.decode())
            for each, record, session in zip(ids, records, sessions, strict=True)
            if record is not None
        ]

    async def instance(self, instance_id: str) -> Instance | None:
        return await self.find(instance_id)

    async def end_copy(self, instance_id: str) -> None:
        await self._end(instance_id)
        # Of a session that is being opened elsewhere the directory knows nothing yet.
        self._directory.tell("change", self._who, "instance", instance_id)

    async def stop_copies_of(self, user_id: str) -> None:
        await self.here.stop_copies_of(user_id)
        try:
            copies = await self._directory.ask("copies_of_key", user_id)
        except LiveUnavailableError:
            return
        for each in copies:
            await self._end(each.decode())

    async def _end(self, instance_id: str) -> None:
        await self.here.end_copy(instance_id)
        if not self._directory.tell("stop_copy", instance_id, self.process):
            self._leave_unsaid(instance_id)

    async def message(self, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        if self.here.member(session_id) is not None:
            return await self.here.message(session_id, key, data, timeout_seconds)
        return await self._calls.call(self.process, session_id, key, data, timeout_seconds)

    async def script_changed(self, script_id: str) -> None:
        self._directory.tell("change", self._who, "script", script_id)
        await self.here.script_changed(script_id)

    async def user_changed(self, user_id: str) -> None:
        self._directory.tell("change", self._who, "user", user_id)
        await self.here.user_changed(user_id)

    async def project_changed(self, project_id: str) -> None:
        self._directory.tell("change", self._who, "project", project_id)
        await self.here.project_changed(project_id)

    async def variable_changed(self, owner: VariableOwner, owner_id: str, name: str) -> None:
        self._directory.tell("change", self._who, "variable", f"{owner} {owner_id} {name}")
        await self.here.variable_changed(owner, owner_id, name)

    # What the client protocol does.

    @property
    def changes(self) -> int:
        return self.here.changes

    async def look_again(self, session_id: str) -> None:
        await self.here.look_again(session_id)

    @property
    def since(self) -> int:
        if self._directory.is_up or self._is_apart:
            return max(self._since, self.here.since)
        # From now on this process sees only what comes to it.
        self._is_apart = True
        self._since = self._clock()
        return self._since

    async def spend(self, instance_id: str, moment: int, until_ms: int) -> None:
        await self.here.spend(instance_id, moment, until_ms)
        now = self._clock()
        self._directory.tell("spend", instance_id, moment, now, until_ms - now)

    async def spend_early(self, instance_id: str, moment: int, until_ms: int) -> None:
        await self.here.spend_early(instance_id, moment, until_ms)
        self._directory.tell("spend_early", instance_id, moment, until_ms - self._clock())

    async def take_moment(self, instance_id: str, moment: int, until_ms: int) -> bool:
        try:
            return bool(await self._directory.ask("take_moment", instance_id, moment, until_ms - self._clock()))
        except LiveUnavailableError:
            return moment > self.since and await self.here.take_moment(instance_id, moment, until_ms)

    async def find(self, instance_id: str) -> Instance | None:
        try:
            record = await self._directory.ask("find", instance_id, self._clock())
        except LiveUnavailableError:
            return await self.here.find(instance_id)
        return None if record is None else read_instance(instance_id, record)

    async def instances_of(self, user_id: str) -> int:
        try:
            return int(await self._directory.ask("count_user", user_id, self._clock()))
        except LiveUnavailableError:
            return await self.here.instances_of(user_id)

    async def claim(
        self, instance: Instance, limit: int | None, *, beats: bool, place_ms: int = 0, moment: int = 0
    ) -> None:
        now = self._clock()
        instance.session_due = now + FIRST_SESSION_MS
        try:
            outcome = await self._directory.ask(
                "claim",
                instance.id,
                instance_record(instance),
                _or_false(limit),
                now + self._lease_ms,
                now,
                now + self._overdue_ms,
                beats,
                bool(place_ms) and now + place_ms,
                moment,
            )
        except LiveUnavailableError:
            self._leave_unsaid(instance.id)  # it may be claimed there
            if limit is not None and instance.user_id is not None:
                raise
            self._unsaid.pop(instance.id, None)
            if EARLIEST_MOMENT <= moment <= self.since:
                raise AliveAlreadyError from None
            await self.here.claim(instance, None, beats=beats)
            return
        if isinstance(outcome, int):
            self._since = max(self._since, outcome)  # another process has just begun the memory anew
            raise AliveAlreadyError
        if outcome == b"alive":
            raise AliveAlreadyError
        if outcome == b"full":
            raise NoPlaceError
        for replaced in outcome:
            await self.here.release(replaced.decode())
        self.here.remember(instance)

    async def keeps_place(self, instance: Instance, limit: int) -> bool:
        """As `LocalLive.keeps_place`, among all processes; without Redis nobody has to go."""
        try:
            return bool(await self._directory.ask("keeps_place", instance.id, limit, self._clock()))
        except LiveUnavailableError:
            return True

    async def release(self, instance_id: str) -> None:
        await self.here.release(instance_id)
        if self.here.holds(instance_id):
            return
        if not self._directory.tell("release", instance_id):
            self._leave_unsaid(instance_id)

    async def beat(self, instance: Instance, sequence: int, session_required: bool, *, limit: int | None) -> bool:
        now = self._clock()
        try:
            outcome = await self._directory.ask(
                "beat",
                instance.id,
                instance_record(instance),
                sequence,
                session_required,
                now + NEXT_SESSION_MS,
                now + self._lease_ms,
                _or_false(limit),
                now,
            )
        except LiveUnavailableError:
            if EARLIEST_MOMENT <= sequence <= self.since:
                return False
            return await self.here.beat(instance, sequence, session_required, limit=None)
        if outcome == b"repeated":
            return False
        if outcome == b"ended":
            await self.here.end_copy(instance.id)
            return True  # it counts nowhere, and whoever asked looks again, since something has changed
        if outcome != b"taken":
            await self.here.release(instance.id)
            raise NoPlaceError(_NO_PLACE[outcome])
        instance.sequence = sequence
        self.here.remember(instance)
        return True

    async def join(
        self,
        session: Session,
        instance: Instance,
        connection: Connection,
        told: Told,
        nonce: str,
        *,
        limit: int | None,
        moment: int = 0,
    ) -> bool:
        before = instance.sequence
        # Where it stands is settled before the others hear of it: one of them may take it over at once.
        if not await self.here.join(session, instance, connection, told, nonce, limit=None, moment=moment):
            return False
        record = instance_record(instance)
        # What counts are the nonces of the directory, the new one not among them, and its moments, this one not yet.
        record[2], record[4] = before, ""
        try:
            outcome = await self._directory.ask(
                "join",
                session.id,
                session_record(self.process, session),
                record,
                nonce,
                _or_false(limit),
                self._clock(),
                moment,
            )
        except LiveUnavailableError:
            return True  # announced when Redis is back
        if outcome == b"joined":
            return True
        self.here.drop(session.id)
        if outcome == b"used":
            raise NonceUsedError
        raise NoPlaceError(_NO_PLACE[outcome])

    async def leave(self, session_id: str) -> None:
        if self.here.member(session_id) is not None:
            now = self._clock()
            self._directory.tell("leave", session_id, self.process, now + self._return_ms, now + NEXT_SESSION_MS)
        await self.here.leave(session_id)

    async def takes_turn(self, name: str, seconds: float) -> bool:
        """Return whether this process is to do what one of many does; nobody is asked again for that time. Nobody does without Redis."""
        try:
            return bool(await self._directory.ask("turn", name, int(seconds * SECOND_MS)))
        except LiveUnavailableError:
            return False

    async def close_all(self, spread_seconds: float = 0.0) -> None:
        """Ask every session to come back, over that time, take no more, and end the background work of this process's own."""
        await self.here.close_all(spread_seconds)


def _or_false(limit: int | None) -> int | bool:
    """In the directory nil would end the list of arguments."""
    return False if limit is None else limit
