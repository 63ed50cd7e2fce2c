"""The only place that reads the time, so that tests and rules can be given another."""

from __future__ import annotations

import asyncio
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

MIN_TIME_MS = 100_000_000_000
"""In March 1973. A smaller number is not a time that anybody means, but may be one in seconds, up to the year 5138."""

MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999; a larger number is one in microseconds or nanoseconds."""


def now_ms() -> int:
    """Current time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


monotonic_seconds = time.monotonic
"""Seconds of a clock that never goes backwards, for measuring how long something took."""


class SteadyClock:
    """Milliseconds of running: neither a changed system time moves it, nor a pause of the process or of its machine.

    What happened while nothing ran here was nobody's silence. Somebody has to keep it running (`run`).
    """

    TICK_SECONDS = 0.5

    def __init__(self, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        self._monotonic = monotonic
        self._read_at = monotonic()
        self._seconds = 0.0

    def __call__(self) -> int:
        now = self._monotonic()
        self._seconds += min(now - self._read_at, 2 * self.TICK_SECONDS)
        self._read_at = now
        return int(self._seconds * SECOND_MS)

    async def run(self) -> None:
        """Look at the time so often that only a pause is longer; for ever."""
        while True:
            await asyncio.sleep(self.TICK_SECONDS)
            self()


def utc_day(at_ms: int) -> str:
    """The UTC day of a time in Unix milliseconds, as `YYYY-MM-DD`."""
    return _day(at_ms // DAY_MS)


def utc_time(at_ms: int) -> str:
    """A time in Unix milliseconds as `YYYY-MM-DD HH:MM`, in UTC."""
    return datetime.fromtimestamp(at_ms / SECOND_MS, UTC).strftime("%Y-%m-%d %H:%M")


def iso_time(at_ms: int) -> str:
    """A time in Unix milliseconds as RFC 3339 has it, in UTC: `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    return datetime.fromtimestamp(at_ms / SECOND_MS, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % SECOND_MS:03}Z"


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_MS / SECOND_MS, UTC).strftime("%Y-%m-%d")


def end_of_utc_day_ms(day: str) -> int:
    """The last millisecond of a `YYYY-MM-DD` day, as Unix milliseconds. Raises ValueError when it is no such day."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000) + DAY_MS - 1
