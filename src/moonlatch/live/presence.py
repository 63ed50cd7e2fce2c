"""Who is alive in this process: instances held by a lease or by an open session. Reads no clock and no database."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from moonlatch.licensing.verdict import SUPERSEDED, TOO_MANY_INSTANCES
from moonlatch.live.interface import EARLIEST_MOMENT, KEPT_MOMENTS_MS, AliveAlreadyError, Instance, NoPlaceError
from moonlatch.live.used import UsedMoments

MAX_INSTANCES = 500_000
"""Instances to remember. Beyond, those silent for longest are forgotten early; their next beat brings them back."""

SUPERSEDED_MS = 900_000
"""For so long a copy whose place was taken is told so. A loader that cannot reach its server gives up sooner."""

MAX_SUPERSEDED = 100_000
_FEW = 1_000

_Age = tuple[int, str]


def overdue_ms(lease_ms: int, return_ms: int) -> int:
    """How much of a lease is left, at most, of a copy that is not connected: its session has ended, or it has missed a beat."""
    return max(lease_ms - return_ms, return_ms)


class Presence:
    """Instances by id, by script and by key.

    There are two lengths of leases, `lease_ms` after a beat and `return_ms` after a session. All of one length are kept
    together, so the order in which they began is the order in which they end. Places that outlast a lease are of any length.
    """

    def __init__(self, lease_ms: int, return_ms: int, max_instances: int = MAX_INSTANCES) -> None:
        self.used = UsedMoments()
        """Of instances that are not known any more."""
        self._lease_ms = lease_ms
        self._return_ms = return_ms
        self._max_instances = max_instances
        self._leased: OrderedDict[str, Instance] = OrderedDict()
        self._returning: OrderedDict[str, Instance] = OrderedDict()
        self._held: dict[str, Instance] = {}
        self._placed: dict[str, Instance] = {}
        """Those whose lease is over, and whose place is not."""
        self._ends_of_places: list[_Age] = []
        """A heap of when the places of `_placed` end, and of such as are there no longer."""
        self._silent_at = 0
        """Until then no lease ends: of those that run now the first, and one that begins later runs longer."""
        self._scripts: defaultdict[str, list[_Age]] = defaultdict(list)
        """A script's copies, the oldest first."""
        self._ages: defaultdict[str, list[_Age]] = defaultdict(list)
        """A key's copies, the oldest first."""
        self._superseded: OrderedDict[str, int] = OrderedDict()
        """Until when those whose place was taken are told so, by id."""

    def find(self, instance_id: str, now_ms: int) -> Instance | None:
        if now_ms >= self._silent_at:
            self._forget_silent(now_ms)
        return self._known(instance_id)

    def _known(self, instance_id: str) -> Instance | None:
        return (
            self._held.get(instance_id)
            or self._leased.get(instance_id)
            or self._returning.get(instance_id)
            or self._placed.get(instance_id)
        )

    def _copies_of(self, user_id: str) -> Iterator[Instance]:
        return filter(None, (self._known(instance_id) for _, instance_id in self._ages.get(user_id, ())))

    def alive(self, now_ms: int) -> int:
        self._forget_silent(now_ms)
        return len(self)

    def leased(self, now_ms: int) -> list[Instance]:
        """Those that no session holds."""
        self._forget_silent(now_ms)
        return [*self._returning.values(), *self._leased.values()]

    def of_script(self, script_id: str, now_ms: int) -> int:
        self._forget_silent(now_ms)
        return len(self._scripts.get(script_id, ()))

    def page_of_script(self, script_id: str, offset: int, limit: int, now_ms: int) -> list[Instance]:
        """Some of a script's copies, the oldest first."""
        self._forget_silent(now_ms)
        page = self._scripts.get(script_id, [])[offset : offset + limit]
        return [instance for _, instance_id in page if (instance := self._known(instance_id)) is not None]

    def copies_of_key(self, user_id: str, now_ms: int) -> list[Instance]:
        """All copies of a user's key, the oldest first."""
        self._forget_silent(now_ms)
        return list(self._copies_of(user_id))

    def of_key(self, user_id: str, now_ms: int) -> int:
        self._forget_silent(now_ms)
        return len(self._ages.get(user_id, ()))

    def claim(self, instance: Instance, limit: int | None, now_ms: int, *, beats: bool, place_ms: int = 0) -> None:
        """Add a starting instance, as `Roster.claim` tells. Nothing can come between counting and adding.

        Raises AliveAlreadyError, NoPlaceError.
        """
        if self.find(instance.id, now_ms) is not None or self.used.of(instance.id):
            raise AliveAlreadyError
        if limit is not None and instance.user_id is not None:
            lacking = self.of_key(instance.user_id, now_ms) - limit + 1
            if lacking > 0:
                self._supersede(self._replaceable(instance, lacking, now_ms, beats=beats), now_ms)
            if place_ms:
                instance.place_until = now_ms + place_ms
        self._lease(instance, now_ms)

    def require_place(self, instance: Instance, limit: int | None, now_ms: int) -> None:
        """Raise NoPlaceError unless the instance may be one of the `limit` copies of its key: one of the oldest, or a new one while there is room."""
        if limit is None or instance.user_id is None:
            return
        is_alive = self.find(instance.id, now_ms) is not None
        ages = self._ages.get(instance.user_id, [])
        if len(ages) < limit or (is_alive and (len(ages) == limit or bisect_left(ages, _age(instance)) < limit)):
            return
        raise NoPlaceError(SUPERSEDED if self._superseded.get(instance.id, 0) > now_ms else TOO_MANY_INSTANCES)

    def _replaceable(self, instance: Instance, number: int, now_ms: int, *, beats: bool) -> list[Instance]:
        """So many copies whose places a starting one may take, those first that would be forgotten first. Raises NoPlaceError."""
        unheard = now_ms + overdue_ms(self._lease_ms, self._return_ms)
        found = [
            one
            for one in self._copies_of(instance.user_id or "")
            if one.id not in self._held
            and one.alive_until <= unheard
            and one.fingerprint is not None
            and one.fingerprint == instance.fingerprint
            and one.script_id == instance.script_id
            and (beats or one.nonces or one.alive_until <= now_ms)
        ]
        if len(found) < number:
            raise NoPlaceError
        return sorted(found, key=_end_of_lease)[:number]

    def _supersede(self, replaced: list[Instance], now_ms: int) -> None:
        for instance in replaced:
            self.remove(instance.id, now_ms)
            self._superseded[instance.id] = now_ms + SUPERSEDED_MS
            self._superseded.move_to_end(instance.id)
        while self._superseded:
            oldest, until = next(iter(self._superseded.items()))
            if until > now_ms and len(self._superseded) <= MAX_SUPERSEDED:
                break
            del self._superseded[oldest]

    def renew(self, instance: Instance, now_ms: int) -> None:
        """Start the instance's lease anew, adding it when it is not known. One held by a session stays held."""
        if instance.id in self._held:
            return
        if instance.id in self._leased:
            instance.alive_until = now_ms + self._lease_ms
            self._leased[instance.id] = instance  # it may be told of anew
            self._leased.move_to_end(instance.id)
        elif (self._returning.pop(instance.id, None) or self._placed.pop(instance.id, None)) is not None:
            instance.alive_until = now_ms + self._lease_ms
            self._leased[instance.id] = instance
        else:
            self._forget_silent(now_ms)
            self._lease(instance, now_ms)

    def _lease(self, instance: Instance, now_ms: int) -> None:
        """Add an instance that is not known, behind all the others."""
        if len(self) >= self._max_instances:
            self._make_room(now_ms)
        self._count(instance)
        instance.alive_until = now_ms + self._lease_ms
        self._leased[instance.id] = instance

    def hold(self, instance: Instance) -> None:
        """A session stands: the instance is alive until `let_go`."""
        if self._release(instance.id) is None:
            self._count(instance)
        self._held[instance.id] = instance

    def let_go(self, instance_id: str, now_ms: int) -> None:
        """The session is gone: the instance has a short time to come back or to beat."""
        instance = self._held.pop(instance_id, None)
        if instance is not None:
            instance.alive_until = now_ms + self._return_ms
            self._returning[instance_id] = instance

    def remove(self, instance_id: str, now_ms: int) -> None:
        """Forget an instance now; an unknown one is fine."""
        instance = self._release(instance_id)
        if instance is not None:
            self._forget(instance, now_ms)

    def __len__(self) -> int:
        return len(self._leased) + len(self._returning) + len(self._held) + len(self._placed)

    def _release(self, instance_id: str) -> Instance | None:
        """Take an instance out of whatever keeps it alive; its counts stay."""
        for keeper in (self._held, self._leased, self._returning, self._placed):
            instance = keeper.pop(instance_id, None)
            if instance is not None:
                return instance
        return None

    def _make_room(self, now_ms: int) -> None:
        while len(self) >= self._max_instances and self._placed:
            self._end_first_place(now_ms)
        while len(self) >= self._max_instances and (waiting := self._returning or self._leased):
            self._forget(waiting.popitem(last=False)[1], now_ms)

    def _forget_silent(self, now_ms: int) -> None:
        if now_ms < self._silent_at:
            return
        self._silent_at = now_ms + min(self._lease_ms, self._return_ms)
        for waiting in (self._returning, self._leased):
            while waiting:
                instance = next(iter(waiting.values()))
                if instance.alive_until > now_ms:
                    self._silent_at = min(self._silent_at, instance.alive_until)
                    break
                waiting.popitem(last=False)
                if instance.place_until > now_ms:
                    self._place(instance)
                else:
                    self._forget(instance, now_ms)
        while self._placed:
            if self._ends_of_places[0][0] > now_ms:
                self._silent_at = min(self._silent_at, self._ends_of_places[0][0])
                break
            self._end_first_place(now_ms)

    def _place(self, instance: Instance) -> None:
        """Keep a copy's place after its lease."""
        self._placed[instance.id] = instance
        heappush(self._ends_of_places, (instance.place_until, instance.id))
        if len(self._ends_of_places) > 2 * len(self._placed) + _FEW:
            self._ends_of_places = [(one.place_until, one.id) for one in self._placed.values()]
            heapify(self._ends_of_places)

    def _end_first_place(self, now_ms: int) -> None:
        until, instance_id = heappop(self._ends_of_places)
        instance = self._placed.get(instance_id)
        if instance is not None and instance.place_until == until:
            del self._placed[instance_id]
            self._forget(instance, now_ms)

    def spend(self, instance_id: str, moment: int, now_ms: int, kept_ms: int) -> None:
        """Take nothing of an instance by this moment, for so long."""
        known = self._known(instance_id)
        if known is not None:
            known.sequence = max(known.sequence, moment)
        elif moment >= EARLIEST_MOMENT:
            self.used.note(instance_id, moment, now_ms, kept_ms)

    def _count(self, instance: Instance) -> None:
        instance.sequence = max(instance.sequence, self.used.of(instance.id))
        if self._superseded:
            self._superseded.pop(instance.id, None)  # it is back
        age = _age(instance)
        _insert(self._scripts[instance.script_id], age)
        if instance.user_id is not None:
            _insert(self._ages[instance.user_id], age)

    def _forget(self, instance: Instance, now_ms: int) -> None:
        if instance.sequence >= EARLIEST_MOMENT:
            self.used.note(instance.id, instance.sequence, now_ms, KEPT_MOMENTS_MS)
        instance.place_until = 0  # should it come back
        age = _age(instance)
        _discard(self._scripts, instance.script_id, age)
        if instance.user_id is not None:
            _discard(self._ages, instance.user_id, age)


def _age(instance: Instance) -> _Age:
    """Its place among its key's copies; what is known of an instance says the same for ever."""
    return instance.started_at, instance.id


def _insert(ages: list[_Age], age: _Age) -> None:
    if ages and age < ages[-1]:
        insort(ages, age)
    else:  # nearly always
        ages.append(age)


def _discard(index: defaultdict[str, list[_Age]], name: str, age: _Age) -> None:
    ages = index[name]
    del ages[bisect_left(ages, age)]
    if not ages:
        del index[name]


def _end_of_lease(instance: Instance) -> tuple[int, str]:
    return instance.alive_until, instance.id
