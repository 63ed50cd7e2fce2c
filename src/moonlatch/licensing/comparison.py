"""Whether a rollout's build breaks more starts than the one it is to replace: an exact test, made a fixed number of times. Pure.

`docs/why/releases.md` explains it. Starts of one step are compared with those of the same step, so that what changes with the hour of the
day, or while the share grows, is on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

ALPHA = 0.001
"""How likely a look at a build that is as good as the other one may halt it."""

LOOKS = (50, 100, 200, 300, 390, 800, 1_600, 3_200, 6_400, 12_800)
"""After so many starts of the new build it is compared, once each: all looks together halt at most one of a hundred good builds."""

FEWEST = 50
"""Starts of each build; with fewer nothing is concluded."""

SETTLED_MS = 120_000
"""After which a start counts: it has said how it went, or nothing is heard of it any more."""

_NEGLIGIBLE = 1e-18


class Arm(msgspec.Struct, frozen=True):
    """Starts of one build at one step: all, those that reported an error, and those of which nothing was heard."""

    starts: int = 0
    errors: int = 0
    silent: int = 0

    def __add__(self, other: Arm) -> Arm:
        return Arm(self.starts + other.starts, self.errors + other.errors, self.silent + other.silent)


class Compared(msgspec.Struct, frozen=True):
    """The starts of one step with either build."""

    new: Arm
    control: Arm


Reason = Literal["errors", "failures"]
"""Errors that were reported; or these and starts of which nothing was heard."""


class Halting(msgspec.Struct, frozen=True):
    """Why a rollout is halted, in numbers."""

    reason: Reason
    new: Arm
    control: Arm
    p_value: float
    """How likely such a difference is between builds that are alike."""


def looks_due(new_starts: int) -> int:
    """How many of `LOOKS` are to have been taken with so many starts of the new build."""
    return sum(1 for look in LOOKS if new_starts >= look)


def next_look(taken: int) -> int | None:
    """The number of starts for the look after so many; None after the last."""
    return LOOKS[taken] if taken < len(LOOKS) else None


def totals(steps: Mapping[int, Compared]) -> Compared:
    """All steps together."""
    new = control = Arm()
    for each in steps.values():
        new, control = new + each.new, control + each.control
    return Compared(new, control)


def judge(steps: Mapping[int, Compared]) -> Halting | None:
    """Why a rollout with these starts, by step, is to be halted; None: nothing speaks against its build, or too little is known.

    Two questions share `ALPHA`: reported errors, which are rare where a build is good, and all starts that did not say they went well.
    """
    seen = totals(steps)
    if min(seen.new.starts, seen.control.starts) < FEWEST:
        return None
    compared = [each for each in steps.values() if each.new.starts and each.control.starts]
    reasons: tuple[Reason, ...] = ("errors", "failures")
    for reason in reasons:
        p_value = _p_value(
            [
                (_bad(each.new, reason), each.new.starts, _bad(each.control, reason), each.control.starts)
                for each in compared
            ]
        )
        if p_value <= ALPHA / len(reasons):
            return Halting(reason, seen.new, seen.control, p_value)
    return None


def _bad(arm: Arm, reason: Reason) -> int:
    return arm.errors if reason == "errors" else arm.errors + arm.silent


Table = tuple[int, int, int, int]
"""Bad ones and all of the new build, and of the other one."""


def _p_value(tables: list[Table]) -> float:
    """Of the one-sided exact test of R. A. Fisher for several tables: the chance of as many bad ones under the new build or more,
    when all the bad ones of each step are dealt out among its starts blindly.
    """
    observed = sum(bad for bad, *_ in tables)
    expected = sum((bad + other) * starts / (starts + others) for bad, starts, other, others in tables)
    if observed <= expected:
        return 1.0
    sums, least = [1.0], 0
    for table in tables:
        first, chances = _dealt(table)
        together = [0.0] * (len(sums) + len(chances) - 1)
        for at, one in enumerate(sums):
            if one > _NEGLIGIBLE:
                for further, other in enumerate(chances, at):
                    together[further] += one * other
        sums, least = together, least + first
    return min(1.0, math.fsum(sums[max(0, observed - least) :]))


def _dealt(table: Table) -> tuple[int, list[float]]:
    """The smallest number of bad ones that the new build can have got, and the chance of it and of each greater one."""
    bad, starts, other, others = table
    total = bad + other
    least, most = max(0, total - others), min(total, starts)
    whole = _log_choose(starts + others, total)
    chances = [
        math.exp(_log_choose(starts, k) + _log_choose(others, total - k) - whole) for k in range(least, most + 1)
    ]
    while len(chances) > 1 and chances[0] < _NEGLIGIBLE:
        least += 1
        del chances[0]
    while len(chances) > 1 and chances[-1] < _NEGLIGIBLE:
        del chances[-1]
    return least, chances


def _log_choose(among: int, chosen: int) -> float:
    return math.lgamma(among + 1) - math.lgamma(chosen + 1) - math.lgamma(among - chosen + 1)
