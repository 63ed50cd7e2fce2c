"""Every program does the same protected and not: each profile and each pass alone, several seeds, every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.luau import SYSTEM_LUAS, LuauResult, run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, build_of, keys_of_pass_alone, protected, protected_with
from support.rounds import IS_LONG

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("builds of programs")

PLAIN_TARGETS = [None, "lua51"]
PLAIN_LUAS = ["lua51", "lua54", "luajit21", *SYSTEM_LUAS] if IS_LONG else [*SYSTEM_LUAS]


def source_of(program: Path) -> str:
    return program.read_text("latin-1")


@pytest.fixture(scope="module")
def originals() -> dict[Path, LuauResult]:
    results = dict(zip(ALL_PROGRAMS, run_luau_batch([source_of(program) for program in ALL_PROGRAMS]), strict=True))
    assert [
        program.name for program, result in results.items() if result.error or result.compile_error or result.crashed
    ] == []
    return results


def differing(originals: dict[Path, LuauResult], builds: dict[Path, str]) -> list[str]:
    results = run_luau_batch(list(builds.values()))
    return [program.name for program, after in zip(builds, results, strict=True) if originals[program] != after]


SEEDS = [(None, 1), ("luau", 0), *([(None, 0), (None, 2**63), ("luau", 1)] if IS_LONG else [])]


def share(programs: list[Path], number: int) -> list[Path]:
    """All of the programs; in the short form every other one, so that two neighbouring numbers have all of them."""
    return programs if IS_LONG else programs[number % 2 :: 2]


@pytest.mark.parametrize(("target", "seed"), SEEDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_under_every_profile(
    originals: dict[Path, LuauResult], profile: str, target: str | None, seed: int
) -> None:
    programs = share(ALL_PROGRAMS, SEEDS.index((target, seed)))
    assert differing(originals, {one: build_of(one, profile, seed, target=target) for one in programs}) == []


REGISTRY_KEYS = [one.KEY for one in REGISTRY]


@pytest.mark.parametrize("key", REGISTRY_KEYS)
def test_programs_behave_the_same_under_each_pass_alone(originals: dict[Path, LuauResult], key: str) -> None:
    programs = share(ALL_PROGRAMS, REGISTRY_KEYS.index(key))
    keys = keys_of_pass_alone(key)
    assert differing(originals, {one: protected_with(source_of(one), keys) for one in programs}) == []


def test_programs_behave_the_same_when_the_loader_calls_them(originals: dict[Path, LuauResult]) -> None:
    called = {one: f"return (function(...) {protected(source_of(one), client=True)} end)({{}})" for one in ALL_PROGRAMS}
    assert differing(originals, called) == []


@pytest.mark.parametrize("target", PLAIN_TARGETS)
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_on_every_plain_lua(profile: str, target: str | None) -> None:
    programs = share(LUA51_PROGRAMS, PLAIN_TARGETS.index(target))
    sources = [source_of(program) for program in programs]
    texts = [build_of(program, profile, target=target) for program in programs]
    different = []
    for version in PLAIN_LUAS:
        before, after = run_lua_batch(version, sources), run_lua_batch(version, texts)
        results = zip(programs, before, after, strict=True)
        different += [(version, program.name) for program, one, other in results if one != other]
    assert different == []
