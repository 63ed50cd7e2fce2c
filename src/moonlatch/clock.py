"""The only place that reads the time, so that tests and rules can be given another."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], int]
"""Gives the current time in Unix milliseconds."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def now_ms() -> int:
    """Current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_seconds() -> float:
    """Seconds of a clock that never goes backwards, for measuring how long something took."""
    return time.monotonic()


def utc_day(at_ms: int) -> str:
    """The UTC day of a time in Unix milliseconds, as `YYYY-MM-DD`."""
    return _day(at_ms // DAY_MS)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_MS / SECOND_MS, UTC).strftime("%Y-%m-%d")


def end_of_utc_day_ms(day: str) -> int:
    """The last millisecond of a `YYYY-MM-DD` day, as Unix milliseconds. Raises ValueError when it is no such day."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000) + DAY_MS - 1
