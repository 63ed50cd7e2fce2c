"""Live for many processes: each holds its own sockets (`LocalLive`), and Redis tells all of them who is where.

Implements `Live` and `Roster`. Redis keeps nothing that cannot be said again; `docs/why/processes.md` tells what happens without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.clock import SECOND_MS, Clock
from moonlatch.config.settings import HEARTBEAT_SECONDS, MAX_SESSIONS
from moonlatch.crypto import new_id
from moonlatch.licensing.verdict import DISCONNECTED, SUPERSEDED, TOO_MANY_INSTANCES, Policy
from moonlatch.live.hub import Member
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
    Session,
    SessionFilter,
    Told,
)
from moonlatch.live.memory import FIRST_SESSION_MS, NEXT_SESSION_MS, LocalLive, lease_ms
from moonlatch.live.presence import overdue_ms
from moonlatch.live.records import (
    filter_suffixes,
    instance_record,
    read_instance,
    read_session,
    session_record,
)
from moonlatch.live.redis_directory import Entry, RedisDirectory
from moonlatch.live.remote_calls import RemoteCalls, Request, answer_to
from moonlatch.storage.executions import stop
from moonlatch.storage.interface import Database

PROCESS_LEASE_MS = 10 * SECOND_MS
"""A process that is not heard of for so long is dead, and its sessions leave every list."""

TICK_SECONDS = 2.0
RECONNECT_SECONDS = 0.5
READ_MS = 1_000
MAX_UNSAID = 10_000
_ANNOUNCED_AT_ONCE = 500
_NO_PLACE = {b"full": TOO_MANY_INSTANCES, b"superseded": SUPERSEDED}
"""What the directory answers, as what the customer hears."""

logger = logging.getLogger(__name__)


class RedisLive:
    """One process's share of everybody who is connected. `start` connects, `close_all` and `close` end it."""

    def __init__(
        self,
        *,
        directory: RedisDirectory,
        database: Database,
        clock: Clock,
        policy: Policy | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        self._directory = directory
        self._database = database
        self._clock = clock
        self._lease_ms = lease_ms(heartbeat_seconds)
        self._return_ms = lease_ms(heartbeat_seconds, beats=1)
        self._overdue_ms = overdue_ms(self._lease_ms, self._return_ms)
        self.here = LocalLive(
            database=database,
            clock=clock,
            policy=policy,
            heartbeat_seconds=heartbeat_seconds,
            max_sessions=max_sessions,
            stopped=self._stopped,
            keeps_place=self.keeps_place,
        )
        self._calls = RemoteCalls(directory)
        self._who = new_id()
        self._times_connected = 0
        self._since = clock()
        self._is_apart = True
        self._unsaid: dict[str, None] = {}
        """Instances that ended while nobody could be told."""
        self._positions: dict[str, str] = {}
        self._work: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def process(self) -> str:
        """What this process is called; anew after each connection, so that what it said before can be told apart."""
        return f"{self._who}.{self._times_connected}"

    @property
    def open_sessions(self) -> int:
        """Sessions whose sockets this process holds."""
        return self.here.open_sessions

    @property
    def alive_instances(self) -> int:
        """Running copies that this process knows of."""
        return self.here.alive_instances

    async def start(self) -> None:
        """Connect, and stay so from now on; without Redis, or when it refuses us, it starts all the same."""
        try:
            await self._connect(apart=False)
        except LiveUnavailableError as error:
            logger.warning("Redis cannot be used (%s); starting without it, and trying again", error)
        self._work = asyncio.create_task(self._stay_connected(), name="live directory")

    async def close(self) -> None:
        """Leave the directory."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        if self._directory.tell("resign", self.process):
            await self._directory.settle()
        await self._directory.close()

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

    async def disconnect(self, session_id: str) -> bool:
        if self.here.member(session_id) is not None:
            return await self.here.disconnect(session_id)
        session = await self.session(session_id)
        if session is None:
            return False
        await stop(self._database, session.instance_id, DISCONNECTED.code)
        # It is written: whoever is not told now is refused at the next look.
        self._directory.tell("stop", session_id, self.process)
        return True

    async def message(self, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        if self.here.member(session_id) is not None:
            return await self.here.message(session_id, key, data, timeout_seconds)
        return await self._calls.call(self.process, session_id, key, data, timeout_seconds)

    async def script_changed(self, script_id: str) -> None:
        self._directory.tell("change", self._who, "script", script_id)
        await self.here.script_changed(script_id)

    async def user_changed(self, user_key: str) -> None:
        self._directory.tell("change", self._who, "user", user_key)
        await self.here.user_changed(user_key)

    async def project_changed(self, project_id: str) -> None:
        self._directory.tell("change", self._who, "project", project_id)
        await self.here.project_changed(project_id)

    # What the client protocol does.

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

    async def find(self, instance_id: str) -> Instance | None:
        try:
            record = await self._directory.ask("find", instance_id, self._clock())
        except LiveUnavailableError:
            return await self.here.find(instance_id)
        return None if record is None else read_instance(instance_id, record)

    async def instances_of(self, user_key: str) -> int:
        try:
            return int(await self._directory.ask("count_key", user_key, self._clock()))
        except LiveUnavailableError:
            return await self.here.instances_of(user_key)

    async def claim(self, instance: Instance, limit: int | None, *, beats: bool) -> None:
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
            )
        except LiveUnavailableError:
            self._leave_unsaid(instance.id)  # it may be claimed there
            if limit is not None and instance.user_key is not None:
                raise
            self._unsaid.pop(instance.id, None)
            await self.here.claim(instance, None, beats=beats)
            return
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

    # Redis: staying connected, and what comes from the others.

    def _stopped(self, member: Member) -> None:
        if not self._directory.tell("stop", member.session.id, self.process):
            self._leave_unsaid(member.instance.id)

    def _leave_unsaid(self, instance_id: str) -> None:
        self._unsaid[instance_id] = None
        while len(self._unsaid) > MAX_UNSAID:
            del self._unsaid[next(iter(self._unsaid))]

    async def _connect(self, *, apart: bool) -> None:
        """`apart`: this process may have taken what the directory does not know of."""
        before = self.process
        await self._directory.connect()
        self._times_connected += 1
        inbox, changes, since = await self._directory.ask(
            "register", self.process, PROCESS_LEASE_MS, self._clock(), apart
        )
        self._since, self._is_apart = since, False
        reconnected = bool(self._positions)
        self._positions = {
            # What came into our inbox meanwhile is still for us, unless Redis forgot it all and counts anew.
            self._inbox: min(self._positions.get(self._inbox, inbox.decode()), inbox.decode(), key=_order),
            "changes": changes.decode(),
        }
        if reconnected:
            self._directory.tell("resign", before)
        await self._announce()
        if reconnected:
            logger.info("Redis answers again; %d sessions were announced", len(self.here.members()))
            await self.here.look_again_at_all()

    @property
    def _inbox(self) -> str:
        return f"inbox:{self._who}"

    async def _stay_connected(self) -> None:
        while True:
            try:
                if not self._directory.is_up:
                    await asyncio.sleep(RECONNECT_SECONDS)
                    await self._connect(apart=True)
                await self._serve()
            except LiveUnavailableError:
                pass
            except Exception:
                logger.exception("the directory of sessions failed")
            await self._directory.close()

    async def _serve(self) -> None:
        """Read and tick until either cannot. Raises LiveUnavailableError."""
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._tick())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _announce(self) -> None:
        for instance_id in list(self._unsaid):
            await self._directory.ask("release", instance_id)
            self._unsaid.pop(instance_id, None)
        now = self._clock()
        members, leased = self.here.members(), self.here.leased()
        for start in range(0, len(members), _ANNOUNCED_AT_ONCE):
            present = [one for one in members[start : start + _ANNOUNCED_AT_ONCE] if self.here.member(one.session.id)]
            asked = [
                self._directory.ask(
                    "announce",
                    one.session.id,
                    session_record(self.process, one.session),
                    instance_record(one.instance),
                    now,
                )
                for one in present
            ]
            for one, stands in zip(present, await asyncio.gather(*asked), strict=True):
                if not stands:
                    self.here.take_over(one.session.id)
        for start in range(0, len(leased), _ANNOUNCED_AT_ONCE):
            await asyncio.gather(
                *(
                    self._directory.ask("remind", one.id, instance_record(one), one.alive_until)
                    for one in leased[start : start + _ANNOUNCED_AT_ONCE]
                )
            )

    async def _tick(self) -> None:
        while True:
            now = self._clock()
            registered, more, up, self._since = await self._directory.ask(
                "tick",
                self.process,
                PROCESS_LEASE_MS,
                self._positions[self._inbox],
                now,
                now + self._return_ms,
                now + NEXT_SESSION_MS,
            )
            if not registered:  # this process was thought dead, or Redis lost everything
                raise LiveUnavailableError
            self._calls.give_up_except([name.decode() for name in up])
            if not more:
                await asyncio.sleep(TICK_SECONDS)

    async def _read(self) -> None:
        while True:
            for stream, entries in await self._directory.read(self._positions, READ_MS):
                for position, entry in entries:
                    self._positions[stream] = position
                    try:
                        await self._take(entry)
                    except (KeyError, ValueError, msgspec.MsgspecError):
                        logger.exception("an entry of %s was not understood", stream.partition(":")[0])

    async def _take(self, entry: Entry) -> None:
        match entry[b"kind"]:
            case b"call":
                self._answer(entry)
            case b"reply":
                self._calls.answered(entry[b"body"])
            case b"over":
                self.here.take_over(entry[b"session"].decode())
            case b"stop":
                self.here.stop_instance(entry[b"instance"].decode(), DISCONNECTED)
            case kind if entry[b"origin"].decode() != self._who:
                self._start(self._look_again(kind.decode(), entry[b"id"].decode()))

    async def _look_again(self, kind: str, name: str) -> None:
        await {
            "script": self.here.script_changed,
            "user": self.here.user_changed,
            "project": self.here.project_changed,
        }[kind](name)

    def _answer(self, entry: Entry) -> None:
        request = msgspec.json.decode(entry[b"body"], type=Request)
        caller = entry[b"caller"].decode()
        for number, session_id in msgspec.msgpack.decode(entry[b"calls"], type=list[tuple[int, str]]):
            self._start(self._call(request, caller, number, session_id))

    async def _call(self, request: Request, caller: str, number: int, session_id: str) -> None:
        until = asyncio.get_running_loop().time() + request.timeout_seconds
        outcome = await self.here.message(session_id, request.key, request.data, request.timeout_seconds)
        await answer_to(self._directory, caller, number, outcome, until)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


def _order(position: str) -> tuple[int, ...]:
    return tuple(int(part) for part in position.split("-"))


def _or_false(limit: int | None) -> int | bool:
    """In the directory nil would end the list of arguments."""
    return False if limit is None else limit
