"""How fast a server is beside a baseline, from rounds of both that alternate. Measures nothing itself."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple, Protocol

ROUNDS, SECONDS = 27, 0.5
"""Many short rounds: what disturbs a machine for some seconds then disturbs both."""


class Rate(Protocol):
    """What one round found."""

    @property
    def per_second(self) -> float: ...

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time for each."""


class Counted(NamedTuple):
    """A round of which nothing but its rate is kept."""

    per_second: float
    cpu_us: float


Pairs = Sequence[tuple[Rate, Rate]]
"""Ours and the baseline's, round by round."""


def speed(pairs: Pairs) -> float:
    """Ours, of the baseline's: by the clock or by processor time, whichever says less; each as the median over the rounds.

    On a quiet machine both say the same. On a busy one the clock measures the others.
    """
    by_clock = statistics.median(ours.per_second / bare.per_second for ours, bare in pairs)
    by_cpu = statistics.median(bare.cpu_us / ours.cpu_us for ours, bare in pairs)
    return min(by_clock, by_cpu)


def in_words(pairs: Pairs) -> str:
    """Both sides' medians."""
    return " against ".join(
        f"{statistics.median(one.per_second for one in ones):,.0f}/s ({statistics.median(one.cpu_us for one in ones):.0f} us)"
        for ones in zip(*pairs, strict=True)
    )


def side_by_side(ours: Rate, bare: Rate) -> str:
    """One round of both."""
    return (
        f"ours {ours.per_second:,.0f}/s ({ours.cpu_us:.0f} us) | bare {bare.per_second:,.0f}/s ({bare.cpu_us:.0f} us)"
    )
