"""How many obfuscations and seconds of build time an account has left. Pure: the caller brings the time and keeps the counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

_SECOND_MS = 1_000

PERIOD_MS = 30 * 24 * 60 * 60 * 1000
"""A period is 30 days. The next one starts with the first obfuscation, or look, after its end."""


@dataclass(frozen=True, slots=True)
class ObfuscationQuota:
    """What is used of one period that started at `period_start` (Unix milliseconds). A limit of None allows any number.

    Obfuscations are charged for what is published. Build time, in milliseconds, is what workers have spent, whatever came of it.
    """

    period_start: int
    used: int
    limit: int | None
    build_ms_used: int = 0
    build_seconds_limit: int | None = None

    @property
    def period_end(self) -> int:
        """First millisecond that is not in the period any more."""
        return self.period_start + PERIOD_MS

    @property
    def left(self) -> int | None:
        """Obfuscations that may still be made in the period; None is any number."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def at(self, now_ms: int) -> ObfuscationQuota:
        """The quota as it stands now: once its period is over, a new one starts with nothing used."""
        return replace(self, period_start=now_ms, used=0, build_ms_used=0) if now_ms >= self.period_end else self

    def covers(self, count: int) -> bool:
        """Return whether `count` more obfuscations may be made."""
        return self.left is None or count <= self.left

    @property
    def build_seconds_used(self) -> int:
        """Whole seconds of build time that are gone."""
        return self.build_ms_used // _SECOND_MS

    @property
    def has_build_time(self) -> bool:
        """Return whether workers may still be busy with an update."""
        return self.build_seconds_limit is None or self.build_ms_used < self.build_seconds_limit * _SECOND_MS
