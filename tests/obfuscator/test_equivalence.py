"""Every program does the same protected and not: each profile and each pass alone, several seeds, every interpreter."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.luau import SYSTEM_LUAS, LuauResult, run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, build_of, keys_of_pass_alone, protected, protected_with
from support.rounds import IS_LONG

SOURCES = [program.read_text("latin-1") for program in ALL_PROGRAMS]
NAMES = [program.name for program in ALL_PROGRAMS]
PLAIN_LUAS = ["lua51", "lua54", "luajit21", *SYSTEM_LUAS] if IS_LONG else [*SYSTEM_LUAS]


@pytest.fixture(scope="module")
def originals() -> list[LuauResult]:
    results = run_luau_batch(SOURCES)
    assert [
        name
        for name, result in zip(NAMES, results, strict=True)
        if result.error or result.compile_error or result.crashed
    ] == []
    return results


def differing(originals: list[LuauResult], texts: list[str]) -> list[str]:
    results = run_luau_batch(texts)
    return [name for name, before, after in zip(NAMES, originals, results, strict=True) if before != after]


SEEDS = [(None, 1), ("luau", 0), *([(None, 0), (None, 2**63), ("luau", 1)] if IS_LONG else [])]


@pytest.mark.parametrize(("target", "seed"), SEEDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_under_every_profile(
    originals: list[LuauResult], profile: str, target: str | None, seed: int
) -> None:
    assert differing(originals, [build_of(program, profile, seed, target=target) for program in ALL_PROGRAMS]) == []


@pytest.mark.parametrize("key", [one.KEY for one in REGISTRY])
def test_programs_behave_the_same_under_each_pass_alone(originals: list[LuauResult], key: str) -> None:
    assert differing(originals, [protected_with(source, keys_of_pass_alone(key)) for source in SOURCES]) == []


def test_programs_behave_the_same_when_the_loader_calls_them(originals: list[LuauResult]) -> None:
    called = [f"return (function(...) {protected(source, client=True)} end)({{}})" for source in SOURCES]
    assert differing(originals, called) == []


@pytest.mark.parametrize("target", [None, "lua51"])
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_on_every_plain_lua(profile: str, target: str | None) -> None:
    sources = [program.read_text("latin-1") for program in LUA51_PROGRAMS]
    texts = [build_of(program, profile, target=target) for program in LUA51_PROGRAMS]
    different = []
    for version in PLAIN_LUAS:
        before, after = run_lua_batch(version, sources), run_lua_batch(version, texts)
        results = zip(LUA51_PROGRAMS, before, after, strict=True)
        different += [(version, program.name) for program, one, other in results if one != other]
    assert different == []
