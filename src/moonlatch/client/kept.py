"""Keeps what was asked for last, up to so many bytes. Only for what never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The most recently used values, as long as their sizes, which `size_of` gives in bytes, fit into `most_bytes`."""

    def __init__(self, most_bytes: int, size_of: Callable[[V], int]) -> None:
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._values: OrderedDict[K, V] = OrderedDict()
        self._bytes = 0

    def get(self, key: K) -> V | None:
        """The value if it is still kept."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def put(self, key: K, value: V) -> None:
        """Keep a value, in the place of those that were not used for longest; a key that is there keeps its value."""
        if key in self._values:
            return
        self._values[key] = value
        self._bytes += self._size_of(value)
        while self._bytes > self._most_bytes:
            self._bytes -= self._size_of(self._values.popitem(last=False)[1])
