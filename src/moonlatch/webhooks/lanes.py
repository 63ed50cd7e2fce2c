"""Who may be sent to now: how many calls go on to each endpoint, each account and in all. Sends nothing and reads no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from moonlatch.licensing.webhooks import EndpointKind
from moonlatch.storage.deliveries import Claimed
from moonlatch.storage.endpoints import Endpoint

MOST_OF_ENDPOINT = 4
MOST_OF_ACCOUNT = 16
MOST_CLAIMED = 256
"""Of one endpoint, by one process."""

LONGEST_PAUSE_SECONDS = 60.0
_FOR_KNOWN = 4
"""One place in so many is kept for endpoints that answered last time: those that do not answer cannot take them all."""


@dataclass(slots=True, eq=False)
class Lane:
    """One endpoint's way. What is claimed waits in `queue`; it opens by doubling while all goes well, and one failure narrows it."""

    endpoint: Endpoint
    queue: deque[Claimed] = field(default_factory=deque)
    running: int = 0
    room: int = 1
    failures: int = 0
    is_known: bool = False
    paused_until: float = 0.0

    @property
    def width(self) -> int:
        """Calls at once. One to Discord: how many more are allowed, the answer of the last one tells."""
        return MOST_OF_ENDPOINT if self.is_known and self.endpoint.kind != EndpointKind.DISCORD else 1

    def may_be_asked(self, now: float) -> bool:
        """Return whether nothing is left of what was claimed for it, and no pause lasts (`now` in seconds)."""
        return not self.queue and self.paused_until <= now

    def worked(self) -> None:
        self.is_known = True
        self.failures = 0
        self.room = min(2 * self.room, MOST_CLAIMED)

    def failed(self, now: float) -> None:
        """Ask less of it, and leave it alone for a second, two, four ... (`now` in seconds)."""
        self.is_known = False
        self.room = 1
        self.paused_until = now + min(LONGEST_PAUSE_SECONDS, 2.0 ** min(self.failures, 6))
        self.failures += 1


@dataclass(slots=True, eq=False)
class _Account:
    running: int = 0
    unknown: int = 0
    lanes: deque[Lane] = field(default_factory=deque)


class Traffic:
    """All lanes of a process. `most` is the number of calls at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._unknown = 0
        self._lanes: dict[str, Lane] = {}
        self._accounts: dict[str, _Account] = {}

    @property
    def running(self) -> int:
        return self._running

    def lane(self, endpoint: Endpoint) -> Lane:
        """The endpoint's lane, with its settings as they are now."""
        lane = self._lanes.get(endpoint.id)
        if lane is None:
            lane = self._lanes[endpoint.id] = Lane(endpoint)
        lane.endpoint = endpoint
        return lane

    def wants(self, lane: Lane, now: float) -> int:
        """How many deliveries to claim for it now (in seconds)."""
        if not lane.may_be_asked(now) or not self._has_room(lane):
            return 0
        return lane.room

    def fill(self, lane: Lane, claimed: list[Claimed]) -> None:
        """Put what was claimed into its lane."""
        lane.queue.extend(claimed)
        account = self._account(lane)
        if lane not in account.lanes:
            account.lanes.append(lane)

    def starting(self, account_id: str) -> Lane | None:
        """A lane of the account from which something may be sent now, counted as begun; None when there is none."""
        account = self._accounts.get(account_id)
        if account is None:
            return None
        for _ in range(len(account.lanes)):
            lane = account.lanes.popleft()
            if not lane.queue:
                continue
            account.lanes.append(lane)
            if lane.running < lane.width and self._has_room(lane):
                self._count(lane, 1)
                return lane
        return None

    def ended(self, lane: Lane, *, was_known: bool) -> None:
        """A call has ended that began when the endpoint was known, or was not."""
        self._count(lane, -1, was_known=was_known)
        account = self._account(lane)
        if not account.running and not account.lanes:
            del self._accounts[lane.endpoint.account_id]
        if not lane.running and not lane.queue and lane.is_known is False and lane.failures == 0:
            self._lanes.pop(lane.endpoint.id, None)

    def left(self) -> list[Claimed]:
        """Everything that is claimed and was not begun; it is in no lane any more."""
        found = [each for lane in self._lanes.values() for each in lane.queue]
        for lane in self._lanes.values():
            lane.queue.clear()
        return found

    def _account(self, lane: Lane) -> _Account:
        return self._accounts.setdefault(lane.endpoint.account_id, _Account())

    def _has_room(self, lane: Lane) -> bool:
        account = self._account(lane)
        if account.running >= MOST_OF_ACCOUNT or self._running >= self._most:
            return False
        if lane.is_known:
            return True
        return (
            account.unknown < MOST_OF_ACCOUNT - MOST_OF_ACCOUNT // _FOR_KNOWN
            and self._unknown < self._most - self._most // _FOR_KNOWN
        )

    def _count(self, lane: Lane, by: int, *, was_known: bool | None = None) -> None:
        is_known = lane.is_known if was_known is None else was_known
        account = self._account(lane)
        lane.running += by
        account.running += by
        self._running += by
        if not is_known:
            account.unknown += by
            self._unknown += by
