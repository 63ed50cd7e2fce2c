"""Live for one process: everybody is connected here, so presence, hub and calls are local. Implements `Live` and `Roster`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from moonlatch.clock import SECOND_MS, Clock
from moonlatch.licensing.verdict import DISCONNECTED, Policy, Refusal
from moonlatch.live.hub import Hub, Member
from moonlatch.live.interface import (
    RESTARTING,
    TAKEN_OVER,
    Connection,
    Instance,
    LiveCounts,
    MessageOutcome,
    Session,
    SessionFilter,
    Told,
)
from moonlatch.live.presence import Presence
from moonlatch.storage.executions import stop
from moonlatch.storage.interface import Database

FIRST_SESSION_MS = 30 * SECOND_MS
"""How soon an instance opens its session, where its script requires one."""

NEXT_SESSION_MS = 60 * SECOND_MS
"""How long it may then be without."""

MISSED_BEATS = 3
_JITTER = 1.1
_GRACE_MS = 5 * SECOND_MS
_CLOSING_SECONDS = 2.0


def lease_ms(heartbeat_seconds: float, beats: int = MISSED_BEATS) -> int:
    """How long an instance is alive without a sign: that many beats, late by their jitter, and a grace for the way."""
    return int(heartbeat_seconds * beats * _JITTER * SECOND_MS) + _GRACE_MS


class LocalLive:
    """Everybody who is connected to this process.

    Its background work starts with the first session; `close_all` ends it.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        policy: Policy | None = None,
        heartbeat_seconds: float = 30,
        max_sessions: int = 50_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_sessions = max_sessions
        # Most sessions end because their program did; a copy that runs on reconnects in seconds, or beats once by then.
        self._presence = Presence(lease_ms(heartbeat_seconds), lease_ms(heartbeat_seconds, beats=1))
        self._hub = Hub(database, clock, policy or Policy(), self._stop)
        self._work: asyncio.Task[None] | None = None
        self._closing = False
        self._emptied = asyncio.Event()

    @property
    def open_sessions(self) -> int:
        """Sessions whose sockets this process holds."""
        return len(self._hub)

    @property
    def alive_instances(self) -> int:
        """Running copies that this process knows of."""
        return self._presence.alive(self._clock())

    # What the management API asks.

    async def counts(self, script_id: str) -> LiveCounts:
        return LiveCounts(
            sessions=self._hub.directory.count(script_id),
            instances=self._presence.of_script(script_id, self._clock()),
        )

    async def sessions(self, script_id: str, where: SessionFilter, offset: int, limit: int) -> list[Session]:
        return self._hub.directory.page(script_id, where, offset, limit)

    async def session(self, session_id: str) -> Session | None:
        member = self._hub.member(session_id)
        return None if member is None else member.session

    async def disconnect(self, session_id: str) -> bool:
        member = self._hub.member(session_id)
        if member is None:
            return False
        await stop(self._database, member.instance.id, DISCONNECTED.code)
        # A reconnect may have replaced the socket while that was written.
        self._stop(self._hub.of_instance(member.instance.id) or member, DISCONNECTED)
        return True

    async def message(self, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        member = self._hub.member(session_id)
        if member is None:
            return MessageOutcome(processed=False, reason="client never responded")
        return await member.connection.call(key, data, timeout_seconds)

    async def script_changed(self, script_id: str) -> None:
        await self._hub.look_again_at_script(script_id)

    async def user_changed(self, user_key: str) -> None:
        await self._hub.look_again_at_key(user_key)

    async def project_changed(self, project_id: str) -> None:
        await self._hub.look_again_at_project(project_id)

    # What the client protocol does.

    async def find(self, instance_id: str) -> Instance | None:
        return self._presence.find(instance_id, self._clock())

    async def instances_of(self, user_key: str) -> int:
        return self._presence.of_key(user_key, self._clock())

    async def claim(self, instance: Instance, limit: int | None) -> bool:
        now = self._clock()
        instance.session_due = now + FIRST_SESSION_MS
        return self._presence.claim(instance, limit, now)

    async def release(self, instance_id: str) -> None:
        # A session that stands is the hub's to end.
        if self._hub.of_instance(instance_id) is None:
            self._presence.remove(instance_id)

    async def beat(self, instance: Instance, session_required: bool) -> None:
        now = self._clock()
        self._presence.renew(instance, now)
        if not session_required or self._hub.of_instance(instance.id) is not None:
            instance.session_due = None
        elif instance.session_due is None:  # the requirement is new, or the server was restarted
            instance.session_due = now + NEXT_SESSION_MS

    async def join(self, session: Session, instance: Instance, connection: Connection, told: Told) -> bool:
        before = self._hub.of_instance(instance.id)
        if before is None and (self._closing or len(self._hub) >= self._max_sessions):
            return False
        if before is not None:
            self._hub.remove(before.session.id)
            before.connection.close(*TAKEN_OVER)
        instance.session_due = None
        self._presence.hold(instance)
        self._hub.add(Member(session, instance, connection, told))
        if self._work is None:
            self._work = asyncio.create_task(self._hub.run(), name="live sessions")
        return True

    async def leave(self, session_id: str) -> None:
        member = self._hub.remove(session_id)
        if member is not None:
            now = self._clock()
            member.instance.session_due = now + NEXT_SESSION_MS
            self._presence.let_go(member.instance.id, now)
        if self._closing and not len(self._hub):
            self._emptied.set()

    async def close_all(self) -> None:
        """Ask every session to come back after the restart, take no more, and end the background work."""
        self._closing = True
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        for member in self._hub.all():
            member.connection.close(*RESTARTING)
        if len(self._hub):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), _CLOSING_SECONDS)

    def _stop(self, member: Member, refusal: Refusal) -> None:
        """The instance is over: nothing of it counts as alive from now on, whenever its socket closes."""
        self._hub.remove(member.session.id)
        self._presence.remove(member.instance.id)
        member.connection.stop(refusal)
