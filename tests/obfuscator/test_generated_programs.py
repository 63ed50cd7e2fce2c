"""Generated programs do the same protected and not. `make nightly` tries thousands more; what it finds belongs in programs/."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.passes import REGISTRY
from moonlatch.obfuscator.pipeline import protect
from moonlatch.obfuscator.target import Target
from support.generated.differences import PROGRAMS_AT_ONCE, Kind, batches, differences, programs, variants_of
from support.generated.reduce import reduced
from support.luau import run_luau_batch
from support.rounds import rounds

SEED = 20260
BATCHES, PROGRAMS_PER_BATCH = rounds(1, 5), rounds(6, 20)
PROGRAMS_EACH = rounds(4, 15)


def differing(names: Iterable[str], seed: int, kind: Kind, count: int) -> list[str]:
    """What to run to see the smallest program that each variant of that name changes; nothing when all is well."""
    variants = [variant for name in names for variant in variants_of(name, kind)]
    found = differences(list(programs(seed, count, kind)), variants, seed)
    return sorted(
        {
            f"{kind} program, {one.variant.name} in {one.variant.interpreter}, seed {seed}:\n{one.source}"
            for one in found
        }
    )


@pytest.mark.parametrize("kind", [Kind.RICH, Kind.SINGLE, Kind.PLAIN])
@pytest.mark.parametrize("batch", range(BATCHES))
def test_generated_programs_behave_the_same_under_every_profile(batch: int, kind: Kind) -> None:
    assert differing(PROFILES, SEED + batch, kind, PROGRAMS_PER_BATCH) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_generated_programs_behave_the_same_with_the_target_luau(profile: str) -> None:
    names = [f"luau:{profile}"]
    assert [one for kind in (Kind.RICH, Kind.SINGLE) for one in differing(names, SEED, kind, PROGRAMS_EACH)] == []


@pytest.mark.parametrize("key", [one.KEY for one in REGISTRY])
def test_generated_programs_behave_the_same_after_one_pass_alone(key: str) -> None:
    names = [f"pass:{key}"]
    assert [one for kind in (Kind.RICH, Kind.SINGLE) for one in differing(names, SEED, kind, rounds(3, 8))] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_generated_programs_behave_the_same_lowered_to_plain_lua(profile: str) -> None:
    assert differing([f"lua51:{profile}"], SEED, Kind.PORTABLE, PROGRAMS_EACH) == []


@pytest.mark.parametrize("kind", Kind)
def test_generated_programs_compile_and_run_to_their_end(kind: Kind) -> None:
    sources = list(programs(SEED, 60, kind))
    results = run_luau_batch(sources)
    assert [one.compile_error for one in results if one.compile_error or one.crashed] == []
    assert sum(one.error is None for one in results) > 50
    assert sum(len(one.output.split("\n")) > 20 for one in results) > 30


def test_programs_with_one_thing_of_luaus_are_the_only_ones_of_their_kind_to_need_it() -> None:
    def targets(kind: Kind) -> set[Target]:
        outcomes = [protect(source.encode("latin-1"), Options("minify"), 1) for source in programs(SEED, 30, kind)]
        assert all(isinstance(one, Protected) for one in outcomes)
        return {one.target for one in outcomes if isinstance(one, Protected)}

    assert (targets(Kind.PLAIN), targets(Kind.SINGLE)) == ({Target.LUA51}, {Target.LUA51, Target.LUAU})


def test_a_night_has_every_profile_without_a_target_and_with_each_and_every_pass_alone() -> None:
    planned = batches(5_000, None)
    seen = {variant.name for batch in planned for variant in batch.variants}
    with_targets = {f"{target}:{profile}" for target in Target for profile in PROFILES}
    assert seen == {*PROFILES, *with_targets, *(f"pass:{one.KEY}" for one in REGISTRY)}
    assert len(planned) * PROGRAMS_AT_ONCE == 5_000
    untargeted = [batch for batch in planned if batch.kind is not Kind.PORTABLE]
    assert all(set(PROFILES) <= {variant.name for variant in batch.variants} for batch in untargeted)


def test_a_program_with_a_difference_is_reduced_to_what_shows_it() -> None:
    source = "local a = f(1, 2) if a then for i = 1, 3 do print(`x{culprit(i)}y`, { 1, x = 2 }) end end return a"

    def mentions_culprit(sources: list[str]) -> list[bool]:
        return ["culprit(" in one for one in sources]

    assert reduced(source, mentions_culprit) == "culprit()"
