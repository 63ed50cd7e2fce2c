"""What the rest of the program knows of running copies: presence (who is alive) and the bus (reaching a session)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from moonlatch.licensing.verdict import TOO_MANY_INSTANCES, Refusal


class Instance(msgspec.Struct, kw_only=True, gc=False):
    """One running copy of a script. Times in Unix milliseconds."""

    id: str
    script_id: str
    project_id: str
    user_id: str | None
    build: int
    started_at: int
    alive_until: int
    """Without a session, gone after this time of the clock of leases; a session keeps it alive by itself."""
    place_until: int = 0
    """Its place is taken until this time of the clock of leases at least, whether or not anything is heard of it."""
    sequence: int = 0
    """The highest heartbeat sequence seen."""
    fingerprint: bytes | None = None
    """Keyed hash of the device it was started on."""
    session_due: int | None = None
    """When its script requires sessions: without one, it is stopped after this time."""
    nonces: tuple[str, ...] = ()
    """What its latest sessions were opened with; none may be used twice."""


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An instance's open WebSocket, as the management API shows it. `created_at` in Unix milliseconds."""

    id: str
    instance_id: str
    script_id: str
    project_id: str
    user_id: str | None
    roblox_id: int | None
    place_id: int | None
    job_id: str | None
    created_at: int
    executor: str | None
    """The host program, as long as the detail of the start is kept."""
    build: int


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Exact conditions, combined with AND; None means any."""

    user_id: str | None = None
    roblox_id: int | None = None
    place_id: int | None = None
    job_id: str | None = None


class MessageOutcome(msgspec.Struct, frozen=True):
    """What became of a message: the handler's `response` when processed, otherwise the documented `reason`."""

    processed: bool
    response: Any = None
    reason: str | None = None


class RunningCopy(msgspec.Struct, frozen=True):
    """A copy that runs, and its open session if it has one."""

    instance: Instance
    session_id: str | None


NEVER_RESPONDED = MessageOutcome(processed=False, reason="client never responded")


VariableOwner = Literal["project", "script", "user"]


class LiveCounts(msgspec.Struct, frozen=True):
    sessions: int
    instances: int


class Told(msgspec.Struct, frozen=True):
    """What a session's script knows of its user, so that only changes are sent. `key_expires` in Unix milliseconds."""

    variables: int
    """Hash of the variables' values."""
    key_expires: int | None


class Connection(Protocol):
    """The socket of a session, as live sees it. Nothing here waits for the client but `call`."""

    def show(self, variables: dict[str, Any]) -> None:
        """Give the script new values of some runtime variables."""
        ...

    def forget(self, name: str) -> None:
        """Have the script ask anew for the server variable of this name."""
        ...

    def assure(self) -> None:
        """Show the client that its session stands."""
        ...

    def stop(self, refusal: Refusal) -> None:
        """Stop the script: say why, then close for good."""
        ...

    def close(self, code: int, reason: str) -> None: ...

    async def call(self, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        """Call a handler in the script."""
        ...


class AliveAlreadyError(Exception):
    """An instance of this id is alive."""


class NoPlaceError(Exception):
    """The key runs as many copies as it may without this one; `refusal` is what the customer hears."""

    def __init__(self, refusal: Refusal = TOO_MANY_INSTANCES) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class NonceUsedError(Exception):
    """The instance opened a session with this nonce before."""


class LiveUnavailableError(Exception):
    """The engine that knows who is connected elsewhere cannot be asked now; nothing was done."""


EARLIEST_MOMENT = 100_000_000_000
"""A sequence from here on is a moment in Unix milliseconds; clients of protocol 1 count from 1 instead."""

KEPT_MOMENTS_MS = 150_000
"""So long it is remembered which moments of a copy that is over were used: longer than a request may be old."""


class Roster(Protocol):
    """Live as the client protocol sees it: who starts, beats, connects and leaves. Times in Unix milliseconds.

    A `limit` is how many copies the key of an instance may run at once (None: any number). Counting them and letting one
    in are one step, whoever else asks at the same time. One that is alive goes on if it is among the `limit` oldest that
    are, so that a limit which was lowered stops the youngest; one that is not needs room.

    What runs already goes on while an engine is away, whatever the limit: only `claim` may raise LiveUnavailableError.
    """

    @property
    def since(self) -> int:
        """Everything taken after this time is remembered as long as it may be repeated (Unix milliseconds)."""
        ...

    async def find(self, instance_id: str) -> Instance | None:
        """A copy that is alive."""
        ...

    async def spend(self, instance_id: str, moment: int, until_ms: int) -> None:
        """Take nothing of this copy that was made by this moment: neither a start, which was refused, nor a beat or a session.

        It is remembered until then, a time of the clock.
        """
        ...

    async def spend_early(self, instance_id: str, moment: int, until_ms: int) -> None:
        """Do not take what was made, by its own word, at exactly this moment, which has not come yet."""
        ...

    async def take_moment(self, instance_id: str, moment: int, until_ms: int) -> bool:
        """Take exactly this moment of a copy, remembered until then; earlier and later ones may still be. False for one that was taken, or
        was too early, or of which nobody knows any more.
        """
        ...

    async def instances_of(self, user_id: str) -> int:
        """How many copies the key runs now."""
        ...

    async def claim(
        self, instance: Instance, limit: int | None, *, beats: bool, place_ms: int = 0, moment: int = 0
    ) -> None:
        """Take one of the key's places and count the instance as alive.

        Where all are taken, it takes those of copies which its own device started from the same script and which are not
        connected: their session has ended, `beats` says that they should have beaten and the beat is overdue, or their
        lease is over. Such a copy counts no longer.

        With a `limit`, it counts for `place_ms` at least, also after its lease; else nothing rests on it. `moment` is that of its start, 0 where it has none.

        Raises AliveAlreadyError, also for one that was or is spent or may have been before the memory began, and leaves the one that is alive as it is; NoPlaceError; LiveUnavailableError where a limit
        cannot be looked after.
        """
        ...

    async def release(self, instance_id: str) -> None:
        """Give a claimed place back: the start came to nothing, or the copy was stopped."""
        ...

    async def beat(self, instance: Instance, sequence: int, session_required: bool, *, limit: int | None) -> bool:
        """Keep the instance alive for another lease; one that was forgotten is known again. False for a `sequence` seen before.

        Raises NoPlaceError; the instance counts no longer then, unless a session of it stands.
        """
        ...

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
        """Register an open session, closing the one the instance had; False when there are too many.

        Raises NonceUsedError (of an instance's latest sessions none may be opened with the same `nonce`, and none with a
        `moment` that is not after its latest beat and session, unless that is 0); NoPlaceError,
        and the instance and the session it had are over then.
        """
        ...

    async def leave(self, session_id: str) -> None:
        """The socket is gone; the instance lives on for a short lease, for a reconnect or a beat. Unknown ids are fine."""
        ...

    async def user_changed(self, user_id: str) -> None:
        """As in `Live`: the key's first use has bound it to a device, or begun its days."""
        ...

    @property
    def changes(self) -> int:
        """How many words about a change, or a copy's end, have come. What was asked before the latest of them may not hold any more."""
        ...

    async def look_again(self, session_id: str) -> None:
        """Check a session again, at once: it was let in by facts from before a change."""
        ...


class Live(Protocol):
    """Everybody who is connected, wherever. Each call is answered in order; none of it is durable.

    Questions and messages raise LiveUnavailableError when they concern what cannot be seen now. The words
    about a change raise nothing: whoever does not hear of one finds out by themselves, within `hub.SWEEP_SECONDS`.
    """

    async def counts(self, script_id: str) -> LiveCounts: ...

    async def sessions(self, script_id: str, where: SessionFilter, offset: int, limit: int) -> list[Session]:
        """A page of a script's open sessions, oldest first (by `created_at`, then id)."""
        ...

    async def session(self, session_id: str) -> Session | None: ...

    async def alive(self, instance_ids: Sequence[str]) -> set[str]:
        """Those of these copies that run now."""
        ...

    async def copies(self, script_id: str, offset: int, limit: int) -> list[RunningCopy]:
        """A page of a script's running copies, with and without a session, oldest first (by `started_at`, then id)."""
        ...

    async def instance(self, instance_id: str) -> Instance | None:
        """A copy that runs."""
        ...

    async def end_copy(self, instance_id: str) -> None:
        """End a copy, whether or not it has a session, and free its place at once. What keeps it from going on is the caller's to write before.

        Raises nothing: a copy that is not reached hears of it at its next beat, or when sessions are next looked at.
        """
        ...

    async def stop_copies_of(self, user_id: str) -> None:
        """End every copy of a user's key, and free their places at once. What keeps them from going on is the caller's to write before.

        Raises nothing: a copy that is not reached hears of it at its next beat, or when sessions are next looked at.
        """
        ...

    async def message(self, session_id: str, key: str, data: Any, timeout_seconds: float) -> MessageOutcome:
        """Call the handler `key` in the script and wait for its answer, at most `timeout_seconds`."""
        ...

    async def script_changed(self, script_id: str) -> None:
        """The script was edited, toggled, updated or removed: check its sessions again, at once."""
        ...

    async def user_changed(self, user_id: str) -> None:
        """The user was edited, blacklisted, unblacklisted or removed: check their sessions again, at once."""
        ...

    async def project_changed(self, project_id: str) -> None:
        """The project was removed, or a device barred from it: check its sessions again, at once."""
        ...

    async def variable_changed(self, owner: VariableOwner, owner_id: str, name: str) -> None:
        """A server variable of a project, script or user was set or removed: have their sessions' scripts ask anew for it."""
        ...


class LiveEngine(Live, Roster, Protocol):
    """What keeps live, for one process alone or together with others: all that a server and its jobs need of it."""

    @property
    def open_sessions(self) -> int:
        """Sessions whose sockets this process holds."""

    @property
    def alive_instances(self) -> int:
        """Running copies that this process knows of."""

    async def takes_turn(self, name: str, seconds: float) -> bool:
        """Return whether this process is to do what one of many does; nobody is asked again for that time."""

    async def close_all(self, spread_seconds: float = 0.0) -> None:
        """Ask every session to come back, over that time, take no more, and end the background work of this process's own."""
