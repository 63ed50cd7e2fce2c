"""When a request was made, by its own word: what is too old, too far ahead or older than the server's memory is not taken.

A client's sequence and the first characters of its nonces are such moments, in Unix milliseconds as the server counts them.
Within the bounds whoever remembers used moments (`Roster`) takes each once; outside of them nobody has to remember.
"""

from __future__ import annotations

from typing import NamedTuple

from moonlatch.client.replies import clock_wrong
from moonlatch.clock import DAY_MS, MINUTE_MS, SECOND_MS

PROTOCOL = 2
"""The first protocol whose requests tell their moment, and the newest."""

_AT_ONCE_MS = 100
"""Of a memory that has only just begun: who is told the time to take may ask again within the same millisecond."""

_FIRST_LOADER = 3
"""Version of the first loader that speaks it."""

PAST_MS = 2 * MINUTE_MS
"""How long ago a request may have been made."""

NONCE_TIME_CHARACTERS = 11
"""Hexadecimal digits of milliseconds that a nonce begins with."""


class Bounds(NamedTuple):
    """How far from the server's time a moment may be, in milliseconds."""

    past_ms: int
    ahead_ms: int

    def check(self, moment: int | None, now: int, since: int) -> None:
        """Raise RefusedError, with the time to take, for a moment outside; none is after everything forgotten by `since`."""
        # What was made when the memory began may have called itself later by as much as was allowed.
        earliest = max(now - self.past_ms, since + self.ahead_ms)
        if moment is None or not earliest < moment <= max(now, since + _AT_ONCE_MS) + self.ahead_ms:
            raise clock_wrong(self.time_to_take(now, since))

    def time_to_take(self, now: int, since: int) -> int:
        """The time for a client to go by."""
        return max(now, since + self.ahead_ms + 1)


STARTING = Bounds(PAST_MS, 10 * SECOND_MS)
"""By the client's own clock, until the server has told it the time."""

RUNNING = Bounds(PAST_MS, 2 * SECOND_MS)
"""By the time that the server told."""

STARTING_UNCORRECTED = Bounds(DAY_MS // 2, DAY_MS // 2)
"""Of a client that cannot be told the time: with both, a start is forgotten by the bounds before it is by the storage."""


def protocol_of(loader_version: int | None) -> int:
    """The protocol that loaders of a version speak: a request in an earlier one is not such a loader's."""
    return PROTOCOL if loader_version is not None and loader_version >= _FIRST_LOADER else 1


def moment_of(nonce: str) -> int | None:
    """The moment a nonce begins with, None when it begins with none."""
    try:
        return int(nonce[:NONCE_TIME_CHARACTERS], 16)
    except ValueError:
        return None
