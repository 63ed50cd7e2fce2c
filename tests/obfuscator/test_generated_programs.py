"""Generated programs do the same protected and not. `make nightly` tries thousands more; what it finds belongs in programs/."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.generated.differences import differences, programs, variants_of
from support.generated.reduce import reduced
from support.luau import run_luau_batch

SEED = 20260
BATCHES, PROGRAMS_PER_BATCH = 6, 50


def differing(names: Iterable[str], seed: int, count: int = PROGRAMS_PER_BATCH) -> list[str]:
    """What to run to see the smallest program that each variant of that name changes; nothing when all is well."""
    variants = [variant for name in names for variant in variants_of(name)]
    sources = list(programs(seed, count, portable=variants[0].needs_portable_programs))
    found = differences(sources, variants, seed)
    return sorted(
        {f"python -m support.generated.differences --seed {seed} --profile {one.variant.name}" for one in found}
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_generated_programs_behave_the_same_under_every_profile(batch: int) -> None:
    assert differing(PROFILES, SEED + batch) == []


@pytest.mark.parametrize("key", [one.KEY for one in REGISTRY])
def test_generated_programs_behave_the_same_after_one_pass_alone(key: str) -> None:
    assert differing([f"pass:{key}"], SEED, 12) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_generated_programs_behave_the_same_lowered_to_plain_lua(profile: str) -> None:
    assert differing([f"lua51:{profile}"], SEED, 15) == []


def test_generated_programs_compile_and_run_to_their_end() -> None:
    sources = list(programs(SEED, 100, portable=False))
    results = run_luau_batch(sources)
    assert [one.compile_error for one in results if one.compile_error or one.crashed] == []
    assert sum(one.error is None for one in results) > 90
    assert sum(len(one.output.split("\n")) > 20 for one in results) > 60


def test_a_program_with_a_difference_is_reduced_to_what_shows_it() -> None:
    source = "local a = f(1, 2) if a then for i = 1, 3 do print(`x{culprit(i)}y`, { 1, x = 2 }) end end return a"

    def mentions_culprit(sources: list[str]) -> list[bool]:
        return ["culprit(" in one for one in sources]

    assert reduced(source, mentions_culprit) == "culprit()"
