"""Which moments of copies that are over were used, for as long as a recorded request of theirs could be taken. Reads no clock."""

from __future__ import annotations

from collections import OrderedDict

from moonlatch.live.interface import KEPT_MOMENTS_MS

MOST = 100_000
"""Copies to remember. Beyond, `since` says up to when nobody knows any more."""

MOST_EXACT = 100_000
"""Single moments to remember. Beyond, none is taken that is not later than one that was forgotten."""

MOST_EARLY = 10_000
"""Starts to remember whose clocks were ahead; beyond, the oldest are forgotten."""


class UsedMoments:
    """The latest moment of each copy, in Unix milliseconds; what is kept longer than usual is a start of a fast clock."""

    def __init__(self, most: int = MOST, most_early: int = MOST_EARLY, most_exact: int = MOST_EXACT) -> None:
        self._most = most
        self._most_early = most_early
        self._most_exact = most_exact
        self._moments: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._early: OrderedDict[str, int] = OrderedDict()
        self._exact: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._exact_since = 0
        self.since = 0
        """A moment up to here may have been used and forgotten early."""

    def took(self, instance_id: str, moment: int) -> bool:
        """Return whether that moment of an instance may not be taken any more."""
        return moment <= self.of(instance_id) or (bool(self._early) and _exactly(instance_id, moment) in self._early)

    def of(self, instance_id: str) -> int:
        """The latest moment that was used; 0 when none is known."""
        found = self._moments.get(instance_id)
        return self._early.get(instance_id, 0) if found is None else found[0]

    def note(self, instance_id: str, moment: int, now_ms: int, kept_ms: int) -> None:
        """Remember a moment for so long, from `now_ms` of any clock that all are noted by."""
        if kept_ms > KEPT_MOMENTS_MS:
            self._keep_early(instance_id, moment)
            return
        self._moments[instance_id] = max(moment, self.of(instance_id)), now_ms + kept_ms
        self._moments.move_to_end(instance_id)
        while self._moments:
            oldest, until = next(iter(self._moments.values()))
            if until > now_ms:
                if len(self._moments) <= self._most:
                    break
                self.since = max(self.since, oldest)
            self._moments.popitem(last=False)

    def take(self, instance_id: str, moment: int, now_ms: int, kept_ms: int) -> bool:
        """Take exactly this moment, for so long; False where it was taken, or where that is not known any more."""
        name = _exactly(instance_id, moment)
        if name in self._exact or name in self._early or moment <= self._exact_since:
            return False
        self._exact[name] = moment, now_ms + kept_ms
        while self._exact:
            oldest, until = next(iter(self._exact.values()))
            if until > now_ms:
                if len(self._exact) <= self._most_exact:
                    break
                self._exact_since = max(self._exact_since, oldest)
            self._exact.popitem(last=False)
        return True

    def note_early(self, instance_id: str, moment: int) -> None:
        """Remember one moment that has not come yet; earlier and later ones may be taken."""
        self._keep_early(_exactly(instance_id, moment), moment)

    def _keep_early(self, name: str, moment: int) -> None:
        self._early[name] = moment
        if len(self._early) > self._most_early:
            self._early.popitem(last=False)


def _exactly(instance_id: str, moment: int) -> str:
    return f"{instance_id}@{moment}"
