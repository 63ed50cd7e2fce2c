"""Every program does the same protected and not: each profile and each pass alone, several seeds, every interpreter."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.lua_programs import lua_program
from support.luau import LuauResult, run_lua, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, protected, protected_with

SOURCES = [program.read_text("latin-1") for program in ALL_PROGRAMS]
NAMES = [program.name for program in ALL_PROGRAMS]


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


@pytest.mark.parametrize("seed", [0, 1, 2**63])
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_under_every_profile(originals: list[LuauResult], profile: str, seed: int) -> None:
    assert differing(originals, [protected(source, profile, seed) for source in SOURCES]) == []


@pytest.mark.parametrize("key", [one.KEY for one in REGISTRY])
def test_programs_behave_the_same_under_each_pass_alone(originals: list[LuauResult], key: str) -> None:
    # Encrypted constants need the pool that they went to.
    keys = {key, "constant_pool"} if key.startswith("encrypt_") else {key}
    assert differing(originals, [protected_with(source, keys) for source in SOURCES]) == []


def test_programs_behave_the_same_when_the_loader_calls_them(originals: list[LuauResult]) -> None:
    called = [f"return (function(...) {protected(source, client=True)} end)({{}})" for source in SOURCES]
    assert differing(originals, called) == []


@pytest.mark.parametrize("version", ["lua51", "lua54", "luajit21"])
@pytest.mark.parametrize("profile", PROFILES)
def test_programs_behave_the_same_on_plain_lua(version: str, profile: str) -> None:
    different = []
    for program in LUA51_PROGRAMS:
        source = program.read_text("latin-1")
        if run_lua(version, protected(source, profile, 5, target="lua51")) != run_lua(version, source):
            different.append(program.name)
    assert different == []


@settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
@given(st.integers(0, 2**64))
def test_generated_programs_behave_the_same(seed: int) -> None:
    generator = random.Random(seed)
    programs = [lua_program(generator) for _ in range(40)]
    texts = [
        text
        for source in programs
        for text in (source, protected(source, "minify", seed), protected(source, "light", seed))
    ]
    results = run_luau_batch(texts)
    for index, source in enumerate(programs):
        before, minified, light = results[3 * index : 3 * index + 3]
        assert before.compile_error is None, source
        assert (minified, light) == (before, before), source
