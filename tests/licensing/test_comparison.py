"""What halts a rollout: the exact test against counting all cases, and many simulated rollouts."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.licensing.comparison import ALPHA, FEWEST, LOOKS, Arm, Compared, Halting, judge, looks_due, next_look
from support.rounds import rounds

ROLLOUTS = rounds(short=400, long=10_000)
STEPS = ((0, 100, 3), (100, 400, 3), (400, 12_801, 1))
"""Of a simulated rollout: from which start of the new build to which, and how many others there are for each."""


def compared(new: tuple[int, int], control: tuple[int, int], silent: tuple[int, int] = (0, 0)) -> dict[int, Compared]:
    return {500: Compared(Arm(new[0], new[1], silent[0]), Arm(control[0], control[1], silent[1]))}


def chance(bad: int, starts: int, other: int, others: int) -> float:
    """By counting, of as many bad starts of the new build or more."""
    total = bad + other
    ways = sum(math.comb(starts, k) * math.comb(others, total - k) for k in range(bad, min(total, starts) + 1))
    return ways / math.comb(starts + others, total)


@given(st.integers(50, 400), st.integers(50, 400), st.data())
def test_one_step_is_judged_by_fishers_exact_test(starts: int, others: int, data: st.DataObject) -> None:
    bad, other = data.draw(st.integers(0, starts)), data.draw(st.integers(0, others))
    halting = judge(compared((starts, bad), (others, other)))
    exact = chance(bad, starts, other, others)
    if abs(exact - ALPHA / 2) > 1e-9:
        assert (halting is not None) == (exact <= ALPHA / 2)
    if halting is not None:
        assert halting.p_value == pytest.approx(exact, rel=1e-6)


def test_several_steps_are_judged_each_by_its_own_starts() -> None:
    """One step's errors are all on the side with more starts: together they would look like the new build's doing."""
    quiet = Compared(Arm(1_000, 0, 0), Arm(4_000, 0, 0))
    outage = Compared(Arm(1_000, 100, 0), Arm(100, 10, 0))
    assert judge({500: quiet, 5_000: outage}) is None
    assert judge({1: Compared(quiet.new + outage.new, quiet.control + outage.control)}) is not None
    worse = Compared(Arm(1_000, 100, 0), Arm(1_000, 20, 0))
    assert judge({500: quiet, 5_000: worse}) == Halting(
        "errors", Arm(2_000, 100, 0), Arm(5_000, 20, 0), pytest.approx(chance(100, 1_000, 20, 1_000), rel=1e-6)
    )


def test_the_chance_of_several_steps_is_that_of_all_their_cases() -> None:
    tables = [(4, 30, 1, 40), (5, 25, 0, 30)]
    found = 0.0
    for first, second in itertools.product(range(6), range(6)):
        if first + second >= 9:
            ways = [
                math.comb(starts, k) * math.comb(others, bad + other - k) / math.comb(starts + others, bad + other)
                for k, (bad, starts, other, others) in zip((first, second), tables, strict=True)
            ]
            found += ways[0] * ways[1]
    steps = {at: Compared(Arm(table[1], table[0], 0), Arm(table[3], table[2], 0)) for at, table in enumerate(tables)}
    halting = judge(steps)
    assert (halting is not None) == (found <= ALPHA / 2)
    harder = {at: Compared(Arm(each.new.starts, each.new.errors + 4), each.control) for at, each in steps.items()}
    judged = judge(harder)
    assert judged is not None
    assert judged.p_value < found


@pytest.mark.parametrize(("new", "control"), [(FEWEST - 1, 1_000), (1_000, FEWEST - 1)])
def test_nothing_is_concluded_from_few_starts(new: int, control: int) -> None:
    assert judge(compared((new, new), (control, 0))) is None
    assert judge(compared((FEWEST, FEWEST), (FEWEST, 0))) is not None


def test_starts_that_fell_silent_count_as_well() -> None:
    halting = judge(compared((200, 0), (600, 0), silent=(40, 30)))
    assert halting is not None
    assert halting.reason == "failures"
    assert judge(compared((200, 0), (600, 0), silent=(20, 60))) is None


def test_a_better_build_is_never_halted() -> None:
    assert judge(compared((10_000, 0), (10_000, 5_000))) is None


def test_looks_are_taken_at_fixed_numbers_of_starts() -> None:
    assert [looks_due(starts) for starts in (0, 49, 50, 99, 100, 12_799, 10**6)] == [0, 0, 1, 1, 2, 9, 10]
    assert [next_look(taken) for taken in (0, 1, 10)] == [50, 100, None]
    assert len(LOOKS) * ALPHA <= 0.01


def halted_at(rng: random.Random, *, errors: float, silent: float, broken: float, most: int) -> int | None:
    """After how many of its starts a simulated rollout is halted."""
    steps: dict[int, Compared] = {}
    taken = before = 0
    for look in LOOKS:
        if look > most:
            return None
        for at, (first, last, others) in enumerate(STEPS):
            number = max(0, min(look, last) - max(before, first))
            if number:
                seen = steps.get(at, Compared(Arm(), Arm()))
                steps[at] = Compared(
                    seen.new + arm(rng, number, errors + broken, silent),
                    seen.control + arm(rng, number * others, errors, silent),
                )
        before, taken = look, taken + 1
        if judge(steps) is not None:
            return look
    return None


def arm(rng: random.Random, starts: int, errors: float, silent: float) -> Arm:
    failed = drawn(rng, starts, errors)
    return Arm(starts, failed, drawn(rng, starts - failed, silent))


def drawn(rng: random.Random, number: int, share: float) -> int:
    """So many of them by chance: the gaps between those that are have a geometric distribution."""
    if share <= 0:
        return 0
    found, at, scale = 0, 0, math.log1p(-share)
    while True:
        at += 1 + int(math.log(1 - rng.random()) / scale)
        if at > number:
            return found
        found += 1


def share_of(rollouts: int, simulate: Callable[[random.Random], bool]) -> float:
    rng = random.Random(20_26)
    return sum(simulate(rng) for _ in range(rollouts)) / rollouts


def test_at_most_one_of_a_hundred_good_builds_is_halted() -> None:
    def is_halted(rng: random.Random) -> bool:
        errors, silent = rng.uniform(0, 0.05), rng.uniform(0, 0.2)
        return halted_at(rng, errors=errors, silent=silent, broken=0, most=rng.choice(LOOKS)) is not None

    assert share_of(ROLLOUTS, is_halted) <= 0.01


def test_a_build_that_breaks_every_tenth_start_is_halted_before_400_of_them() -> None:
    def is_halted(rng: random.Random) -> bool:
        errors, silent = rng.uniform(0, 0.02), rng.uniform(0, 0.2)
        return halted_at(rng, errors=errors, silent=silent, broken=0.1, most=399) is not None

    assert share_of(ROLLOUTS, is_halted) >= 0.95
