"""How many updates may be under way or wait at once, so that what waits stays bounded. Knows no work and no worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class PoolBusyError(Exception):
    """All places are taken; try again later."""


class Places:
    """So many places, of which one owner gets half at most. Belongs to one event loop."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken.total()

    @contextmanager
    def admission(self, owner: str) -> Iterator[None]:
        """A place for the duration of the block. Raises PoolBusyError when all are taken, or half of them by this owner."""
        if self.taken >= self._places or self._taken[owner] >= (self._places + 1) // 2:
            raise PoolBusyError
        self._taken[owner] += 1
        try:
            yield
        finally:
            self._taken[owner] -= 1
            if not self._taken[owner]:
                del self._taken[owner]
