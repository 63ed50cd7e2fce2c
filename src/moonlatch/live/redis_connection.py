"""One process as the directory in Redis knows it: it stays connected, says anew what it holds, and hears what the others say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from typing import Any, cast

import msgspec

from moonlatch.clock import SECOND_MS, Clock
from moonlatch.config.sections import HEARTBEAT_SECONDS, MAX_SESSIONS
from moonlatch.crypto import new_id
from moonlatch.licensing.verdict import DISCONNECTED, Policy
from moonlatch.live.hub import Member
from moonlatch.live.interface import (
    Instance,
    LiveUnavailableError,
    VariableOwner,
)
from moonlatch.live.memory import NEXT_SESSION_MS, LocalLive, lease_ms
from moonlatch.live.presence import overdue_ms
from moonlatch.live.records import (
    instance_record,
    session_record,
)
from moonlatch.live.redis_directory import Entry, RedisDirectory
from moonlatch.live.remote_calls import RemoteCalls, Request, answer_to, request_of
from moonlatch.storage.interface import Database

PROCESS_LEASE_MS = 10 * SECOND_MS
"""A process that is not heard of for so long is dead, and its sessions leave every list."""

TICK_SECONDS = 2.0
RECONNECT_SECONDS = 0.5
READ_MS = 1_000
MAX_UNSAID = 10_000
_ANNOUNCED_AT_ONCE = 500
logger = logging.getLogger(__name__)


class Connected(ABC):
    """A process's sessions, and its place in the directory. `start` connects, `close` ends it."""

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

    @abstractmethod
    async def keeps_place(self, instance: Instance, limit: int) -> bool:
        """As `LocalLive.keeps_place`, among all processes."""

    @property
    def process(self) -> str:
        """What this process is called; anew after each connection, so that what it said before can be told apart."""
        return f"{self._who}.{self._times_connected}"

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
            case b"variable":
                if entry[b"origin"].decode() != self._who:
                    owner, owner_id, name = entry[b"id"].decode().split(" ")
                    await self.here.variable_changed(cast("VariableOwner", owner), owner_id, name)
            case kind if entry[b"origin"].decode() != self._who:
                self._start(self._look_again(kind.decode(), entry[b"id"].decode()))

    async def _look_again(self, kind: str, name: str) -> None:
        await {
            "script": self.here.script_changed,
            "user": self.here.user_changed,
            "project": self.here.project_changed,
            "instance": self.here.copy_ended,
        }[kind](name)

    def _answer(self, entry: Entry) -> None:
        request = request_of(entry[b"body"])
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
