"""Words of copies, and whom a leaked copy's word points to: the code's promises, and coalitions that put their copies together."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.crypto import KeyedStream
from moonlatch.licensing.tracing import BIASES, COALITIONS, WANTED_CHANCE, Code, Trial, strength
from support.rounds import rounds

KEYS = 10_000
BITS = st.sampled_from([0, 1, None])


def code(places: int, seed: int = 1) -> Code:
    return Code(KeyedStream(random.Random(seed).randbytes(32)).draw, places)


def written_out(of: Code, read: Sequence[int | None], holder: str) -> float:
    """The score as the paper has it, place by place."""
    total = 0.0
    for bit, has, threshold in zip(read, of.word(holder), of.thresholds, strict=True):
        odds = sqrt((256 - threshold) / threshold)
        if bit is not None:
            total += (odds if has else -1 / odds) if bit else (-odds if has else 1 / odds)
    return total


@given(read=st.lists(BITS, max_size=70), seed=st.integers(0, 99), holder=st.text(max_size=9))
def test_a_score_is_the_sum_of_what_each_place_is_worth(read: list[int | None], seed: int, holder: str) -> None:
    of = code(len(read), seed)
    assert of.trial(read).score(holder) == pytest.approx(written_out(of, read, holder), abs=1e-9)


@given(read=st.lists(BITS, min_size=1, max_size=12), share=st.floats(0.01, 1))
def test_no_innocent_scores_so_much_more_often_than_the_bound_says(read: list[int | None], share: float) -> None:
    """Exactly, over all words there are, each with its probability."""
    of = code(len(read))
    trial = of.trial(read)
    outcomes = {0.0: 1.0}
    for bit, threshold in zip(read, of.thresholds, strict=True):
        if bit is None:
            continue
        odds = sqrt((256 - threshold) / threshold)
        one, zero = (odds, -1 / odds) if bit else (-odds, 1 / odds)
        after: dict[float, float] = {}
        for score, probability in outcomes.items():
            for gain, chance in ((one, threshold / 256), (zero, 1 - threshold / 256)):
                after[score + gain] = after.get(score + gain, 0) + probability * chance
        outcomes = after
    wanted = share * max(outcomes)
    exact = sum(probability for score, probability in outcomes.items() if score >= wanted - 1e-9)
    assert trial.chance(wanted) >= exact * (1 - 1e-6)


@given(read=st.lists(BITS, max_size=60), seed=st.integers(0, 9))
def test_the_chance_falls_as_the_score_grows_and_is_a_probability(read: list[int | None], seed: int) -> None:
    trial = code(len(read), seed).trial(read)
    chances = [trial.chance(float(score)) for score in range(-5, 200, 5)]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)


def test_words_and_biases_are_those_of_the_secret_and_the_holder_alone() -> None:
    one, again, other = code(400), code(400), code(400, seed=2)
    assert list(one.word("a")) == list(again.word("a"))
    assert one.thresholds == again.thresholds != other.thresholds
    assert list(one.word("a")) != list(one.word("b"))
    assert list(one.word("a")) != list(other.word("a"))
    assert set(one.thresholds) == {*BIASES, *(256 - bias for bias in BIASES)}


def test_ones_are_as_frequent_as_their_places_are_biased() -> None:
    of = code(64)
    counts = [0] * 64
    for number in range(4_000):
        for place, bit in enumerate(of.word(f"user {number}")):
            counts[place] += bit
    for count, threshold in zip(counts, of.thresholds, strict=True):
        probability = threshold / 256
        assert abs(count / 4_000 - probability) < 5 * sqrt(probability * (1 - probability) / 4_000)


def test_what_was_read_must_be_as_long_as_a_word() -> None:
    with pytest.raises(ValueError, match="3 places read of 4"):
        code(4).trial([0, 1, None])


def test_nothing_read_names_nobody() -> None:
    suspects, count = code(8).trial([None] * 8).suspects(["a", "b"], most=5)
    assert [(one.score, one.chance, one.is_named) for one in suspects] == [(0.0, 1.0, False)] * 2
    assert count == 2


def test_places_that_are_missing_weaken_a_trace_and_accuse_nobody_else() -> None:
    of = code(512)
    word = [int(bit) for bit in of.word("leaker")]
    chances = []
    for kept in (512, 256, 128, 16):
        read = [bit if place < kept else None for place, bit in enumerate(word)]
        suspects, _ = of.trial(read).suspects([*map(str, range(500)), "leaker"], most=3)
        chances.append(suspects[0].chance)
        assert suspects[0].holder == "leaker" or not suspects[0].is_named
        assert not any(one.is_named for one in suspects[1:])
    assert chances == sorted(chances)


@pytest.mark.parametrize(
    ("places", "expected"), [(0, 0), (127, 0), (128, 1), (512, 2), (1_023, 2), (1_024, 3), (9_999, 5)]
)
def test_strength(places: int, expected: int) -> None:
    assert strength(places) == expected


# Coalitions: each knows the places where its copies differ, and writes there what it likes of what it has seen.

Choice = Callable[[random.Random, list[bool]], bool]
STRATEGIES: dict[str, Choice] = {
    "majority": lambda chance, bits: sum(bits) * 2 + chance.random() * 0.5 > len(bits),
    "minority": lambda chance, bits: sum(bits) * 2 < len(bits) + chance.random() * 0.5,
    "interleaving": lambda chance, bits: chance.choice(bits),
    "random": lambda chance, bits: chance.random() < 0.5,
    "all ones": lambda chance, bits: True,
}


def put_together(of: Code, size: int, strategy: Choice, chance: random.Random) -> tuple[Trial, list[str]]:
    members = [f"member {number}" for number in range(size)]
    words = zip(*(of.word(member) for member in members), strict=True)
    leak = [int(strategy(chance, list(bits)) if len(set(bits)) > 1 else bits[0]) for bits in words]
    return of.trial(leak), members


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("places", "size"), COALITIONS)
def test_of_a_coalition_one_is_found_in_nine_leaks_of_ten(places: int, size: int, strategy: str) -> None:
    chance = random.Random(f"{size} {strategy}")
    leaks = rounds(10, 300)
    found = 0
    for seed in range(leaks):
        trial, members = put_together(code(places, seed), size, STRATEGIES[strategy], chance)
        found += KEYS * min(trial.chance(trial.score(member)) for member in members) <= WANTED_CHANCE
    assert found >= 0.9 * leaks


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nobody_else_is_named(strategy: str) -> None:
    chance = random.Random(strategy)
    keys = [f"user {number}" for number in range(rounds(300, KEYS))]
    for seed in range(rounds(2, 100)):
        trial, members = put_together(code(512, seed), 2, STRATEGIES[strategy], chance)
        suspects, count = trial.suspects(keys + members, most=10)
        assert count == len(keys) + 2
        assert {one.holder for one in suspects if one.is_named} <= set(members)
