"""Live for one process: everybody is connected here, so presence, hub and calls are local. Implements `Live` and `Roster`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from moonlatch.clock import SECOND_MS, Clock
from moonlatch.config.sections import HEARTBEAT_SECONDS, MAX_SESSIONS
from moonlatch.licensing.verdict import DISCONNECTED, Policy, Refusal
from moonlatch.live.hub import Hub, Member
from moonlatch.live.interface import (
    EARLIEST_MOMENT,
    NEVER_RESPONDED,
    AliveAlreadyError,
    Connection,
    Instance,
    LiveCounts,
    MessageOutcome,
    NonceUsedError,
    NoPlaceError,
    RunningCopy,
    Session,
    SessionFilter,
    Told,
    VariableOwner,
)
from moonlatch.live.judge import Judge
from moonlatch.live.presence import Presence
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.licences import Licences
from moonlatch.web.close_codes import RESTARTING, TAKEN_OVER

FIRST_SESSION_MS = 30 * SECOND_MS
"""How soon an instance opens its session, where its script requires one."""

NEXT_SESSION_MS = 60 * SECOND_MS
"""How long it may then be without."""

MISSED_BEATS = 3
_JITTER = 1.1
_GRACE_MS = 5 * SECOND_MS
_CLOSING_SECONDS = 2.0
_SENT_AWAY_PER_SECOND = 250
_SENT_AWAY_AT_ONCE = 10
_KEPT_NONCES = 8

logger = logging.getLogger(__name__)


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
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        max_sessions: int = MAX_SESSIONS,
        stopped: Callable[[Member], None] | None = None,
        keeps_place: Callable[[Instance, int], Awaitable[bool]] | None = None,
        lease_clock: Clock | None = None,
        since: int = 0,
    ) -> None:
        """`stopped` hears of every session that a verdict ended. `keeps_place` answers for those who see more than this process.

        `lease_clock` counts the milliseconds of leases where the system's time, which may be changed, should not.
        `since`: before then (Unix milliseconds) another process may have taken what this one does not know of.
        """
        self._clock = clock
        self._lease_clock = lease_clock or clock
        self._max_sessions = max_sessions
        self._since = since
        self._stopped = stopped
        # Most sessions end because their program did; a copy that runs on reconnects in seconds, or beats once by then.
        self._presence = Presence(lease_ms(heartbeat_seconds), lease_ms(heartbeat_seconds, beats=1))
        self._hub = Hub(
            Judge(Licences(database), policy or Policy()),
            clock,
            stop=self._stop,
            keeps_place=keeps_place or self.keeps_place,
        )
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
        return self._presence.alive(self._lease_clock())

    # What the management API asks.

    async def counts(self, script_id: str) -> LiveCounts:
        return LiveCounts(
            sessions=self._hub.directory.count(script_id),
            instances=self._presence.of_script(script_id, self._lease_clock()),
        )

    async def sessions(self, script_id: str, where: SessionFilter, offset: int, limit: int) -> list[Session]:
        return self._hub.directory.page(script_id, where, offset, limit)

    async def session(self, session_id: str) -> Session | None:
        member = self._hub.member(session_id)
        return None if member is None else member.session

    async def alive(self, instance_ids: Sequence[str]) -> set[str]:
        now = self._lease_clock()
        return {each for each in instance_ids if self._presence.find(each, now) is not None}

    async def copies(self, script_id: str, offset: int, limit: int) -> list[RunningCopy]:
        found = self._presence.page_of_script(script_id, offset, limit, self._lease_clock())
        members = [self._hub.of_instance(each.id) for each in found]
        return [
            RunningCopy(each, None if member is None else member.session.id)
            for each, member in zip(found, members, strict=True)
        ]

    async def instance(self, instance_id: str) -> Instance | None:
        return await self.find(instance_id)

    async def end_copy(self, instance_id: str) -> None:
        self.stop_instance(instance_id, DISCONNECTED)
        await self.release(instance_id)

    async def stop_copies_of(self, user_id: str) -> None:
        for instance in self._presence.copies_of_key(user_id, self._lease_clock()):
            await self.end_copy(instance.id)

    async def message(self, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        member = self._hub.member(session_id)
        if member is None:
            return NEVER_RESPONDED
        return await member.connection.call(key, data, timeout_seconds)

    async def script_changed(self, script_id: str) -> None:
        await _looked_at(self._hub.look_again_at_script(script_id))

    async def user_changed(self, user_id: str) -> None:
        await _looked_at(self._hub.look_again_at_user(user_id))

    async def project_changed(self, project_id: str) -> None:
        await _looked_at(self._hub.look_again_at_project(project_id))

    async def variable_changed(self, owner: VariableOwner, owner_id: str, name: str) -> None:
        self._hub.forget_variable(owner, owner_id, name)

    # What the client protocol does.

    @property
    def changes(self) -> int:
        return self._hub.changes

    @property
    def since(self) -> int:
        return max(self._since, self._presence.used.since)

    async def spend(self, instance_id: str, moment: int, until_ms: int) -> None:
        self._presence.spend(instance_id, moment, self._lease_clock(), until_ms - self._clock())

    async def spend_early(self, instance_id: str, moment: int, until_ms: int) -> None:  # noqa: ARG002
        self._presence.used.note_early(instance_id, moment)

    async def take_moment(self, instance_id: str, moment: int, until_ms: int) -> bool:
        return self._presence.used.take(instance_id, moment, self._lease_clock(), until_ms - self._clock())

    async def find(self, instance_id: str) -> Instance | None:
        return self._presence.find(instance_id, self._lease_clock())

    async def instances_of(self, user_id: str) -> int:
        return self._presence.of_key(user_id, self._lease_clock())

    async def claim(
        self, instance: Instance, limit: int | None, *, beats: bool, place_ms: int = 0, moment: int = 0
    ) -> None:
        if EARLIEST_MOMENT <= moment <= self.since:
            raise AliveAlreadyError
        instance.session_due = self._clock() + FIRST_SESSION_MS
        self._presence.claim(instance, limit, self._lease_clock(), beats=beats, place_ms=place_ms)

    async def keeps_place(self, instance: Instance, limit: int) -> bool:
        """Return whether an instance that is alive is among the `limit` oldest of its key."""
        try:
            self._presence.require_place(instance, limit, self._lease_clock())
        except NoPlaceError:
            return False
        return True

    async def release(self, instance_id: str) -> None:
        # A session that stands is the hub's to end.
        if self._hub.of_instance(instance_id) is None:
            self._presence.remove(instance_id, self._lease_clock())

    async def beat(self, instance: Instance, sequence: int, session_required: bool, *, limit: int | None) -> bool:
        now = self._lease_clock()
        instance = self._presence.find(instance.id, now) or instance  # it may have become known, or been forgotten
        if sequence <= instance.sequence or self._presence.used.took(instance.id, sequence):
            return False
        if limit is not None:
            try:
                self._presence.require_place(instance, limit, now)
            except NoPlaceError:
                await self.release(instance.id)
                raise
        instance.sequence = sequence
        self._presence.renew(instance, now)
        if not session_required or self._hub.of_instance(instance.id) is not None:
            instance.session_due = None
        elif instance.session_due is None:  # the requirement is new, or the server was restarted
            instance.session_due = self._clock() + NEXT_SESSION_MS
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
        instance = self._presence.find(instance.id, self._lease_clock()) or instance  # it may have become known
        if (
            nonce in instance.nonces
            or 0 < moment <= instance.sequence
            or (moment and self._presence.used.took(instance.id, moment))
        ):
            raise NonceUsedError
        before = self._hub.of_instance(instance.id)
        if before is None and (self._closing or len(self._hub) >= self._max_sessions):
            return False
        try:
            self._presence.require_place(instance, limit, self._lease_clock())
        except NoPlaceError as error:
            self._presence.remove(instance.id, self._lease_clock())
            if before is not None:
                self._stop(before, error.refusal)
            raise
        if before is not None:
            self._hub.remove(before.session.id)
            before.connection.close(*TAKEN_OVER)
        instance.sequence = max(instance.sequence, moment)
        instance.nonces = (*instance.nonces[1 - _KEPT_NONCES :], nonce)
        instance.session_due = None
        self._presence.hold(instance)
        self._hub.add(Member(session, instance, connection, told))
        if self._work is None:
            self._work = asyncio.create_task(self._hub.run(), name="live sessions")
        return True

    async def leave(self, session_id: str) -> None:
        member = self._hub.remove(session_id)
        if member is not None:
            member.instance.session_due = self._clock() + NEXT_SESSION_MS
            self._presence.let_go(member.instance.id, self._lease_clock())
        if self._closing and not len(self._hub):
            self._emptied.set()

    # What an engine for many processes does with its own share.

    def member(self, session_id: str) -> Member | None:
        return self._hub.member(session_id)

    def members(self) -> list[Member]:
        return self._hub.all()

    def leased(self) -> list[Instance]:
        """The copies that are alive without a session."""
        return self._presence.leased(self._lease_clock())

    def holds(self, instance_id: str) -> bool:
        """Return whether a session of the instance stands."""
        return self._hub.of_instance(instance_id) is not None

    def remember(self, instance: Instance) -> None:
        """Somebody else has found the instance alive just now."""
        self._presence.renew(instance, self._lease_clock())

    def drop(self, session_id: str) -> None:
        """Forget a session and its instance without a word to either."""
        member = self._hub.remove(session_id)
        if member is not None:
            self._presence.remove(member.instance.id, self._lease_clock())

    def take_over(self, session_id: str) -> None:
        """The instance has a newer session elsewhere."""
        member = self._hub.member(session_id)
        if member is not None:
            self.drop(session_id)
            member.connection.close(*TAKEN_OVER)

    def stop_instance(self, instance_id: str, refusal: Refusal) -> None:
        """End the instance's session, if it stands here."""
        self._hub.changes += 1
        member = self._hub.of_instance(instance_id)
        if member is not None:
            self._stop(member, refusal)

    async def copy_ended(self, instance_id: str) -> None:
        """Another process has ended the copy, and may not have known that its session stands here."""
        await _looked_at(self._hub.look_again_at_instance(instance_id))
        await self.release(instance_id)

    async def look_again(self, session_id: str) -> None:
        member = self._hub.member(session_id)
        if member is not None:
            await _looked_at(self._hub.look_again_at([member]))

    async def look_again_at_all(self) -> None:
        """Something may have changed that nobody heard of."""
        await _looked_at(self._hub.look_again_at(self._hub.all()))

    async def takes_turn(self, _name: str, _seconds: float) -> bool:
        """Return whether this process is to do what one of many does; there are no others."""
        return True

    async def close_all(self, spread_seconds: float = 0.0) -> None:
        """Ask every session to come back after the restart, over that time, take no more, and end the background work."""
        self._closing = True
        members = self._hub.all()
        pause = min(spread_seconds / len(members), 1 / _SENT_AWAY_PER_SECOND) if members else 0.0
        for number, member in enumerate(members, start=1):
            member.connection.close(*RESTARTING)
            if pause and number % _SENT_AWAY_AT_ONCE == 0:
                await asyncio.sleep(pause * _SENT_AWAY_AT_ONCE)
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        if len(self._hub):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), _CLOSING_SECONDS)

    def _stop(self, member: Member, refusal: Refusal) -> None:
        """The instance is over: nothing of it counts as alive from now on, whenever its socket closes."""
        self._hub.remove(member.session.id)
        self._presence.remove(member.instance.id, self._lease_clock())
        member.connection.stop(refusal)
        if self._stopped is not None:
            self._stopped(member)


async def _looked_at(looking: Awaitable[None]) -> None:
    try:
        await looking
    except StorageError as error:
        # What changed is written; the sweep sees it as soon as it can be read.
        logger.warning("sessions could not be looked at: %s", error)
