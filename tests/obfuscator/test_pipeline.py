from __future__ import annotations

import gc
from pathlib import Path

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from support.luau import run_luau
from support.protecting import ALL_PROGRAMS, build_of, faults, protected

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("builds of programs")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_same_seed_gives_the_same_bytes(profile: str) -> None:
    source = ALL_PROGRAMS[0].read_bytes()
    assert protected(source, profile, 42) == protected(source, profile, 42)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda program: program.name)
def test_the_output_is_printable_ascii(program: Path, profile: str) -> None:
    text = build_of(program, profile)
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda program: program.name)
def test_minify_of_minified_text_changes_nothing(program: object) -> None:
    once = protected(program.read_bytes(), "minify")
    assert protected(once, "minify") == once


def test_an_empty_script_is_a_script() -> None:
    assert protected("") == ""
    assert protected("-- only a remark") == ""


def test_a_broken_script_is_rejected_with_luau_s_message() -> None:
    outcome = pipeline.protect(b"local x =\nlocal y = 1", Options(), 1)
    assert isinstance(outcome, Rejected)
    assert outcome.parser_output == "script:2: Expected identifier when parsing expression, got 'local'"


def test_a_script_beyond_the_compiler_s_limits_is_rejected() -> None:
    lines = " ".join(f"local v{i} = f()" for i in range(201))
    assert len(faults(lines)) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_deep_nesting_is_no_crash(profile: str) -> None:
    source = "return " + "(" * 300 + "'deep text'" + ")" * 300
    assert run_luau(f"print((function() {protected(source, profile)} end)())").output == "deep text"
    blocks = "do " * 400 + "print('bottom')" + " end" * 400
    assert run_luau(protected(blocks, profile)).output == "bottom"


@pytest.mark.parametrize(
    "source",
    ["do " * 998 + "print('bottom')" + " end" * 998, "print(" + "not " * 998 + "'bottom')"],
    ids=["blocks", "operators"],
)
def test_a_script_nested_as_deeply_as_luau_allows_is_only_minified_and_says_so(source: str) -> None:
    outcome = pipeline.protect(source.encode(), Options(), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == [
        "line 1: this script is too close to the compiler's limits; it is protected as 'minify'"
    ]
    assert run_luau(outcome.text) == run_luau(source)


def test_bytes_that_are_no_text_survive_in_strings() -> None:
    source = b'print(("\xff\xfe\x80"):byte(1, -1))'
    for profile in PROFILES:
        assert run_luau(protected(source, profile)).output == "255\t254\t128"


def test_the_garbage_collector_is_on_afterwards() -> None:
    protected("return 1")
    assert gc.isenabled()


@pytest.mark.parametrize("profile", ["minify", "light", "standard"])
def test_nothing_of_a_script_waits_for_the_garbage_collector(profile: str) -> None:
    protected("return 1", profile)
    gc.collect()
    gc.disable()
    try:
        protected(ALL_PROGRAMS[0].read_bytes(), profile)
        assert gc.collect() == 0
    finally:
        gc.enable()


READABLE = b"""local Grid = {}
function Grid:step(x)
    return x + 1
end
local function once(x)
    for i = 1, x do Grid:step(i) end
end
local kept = LA_NO_VIRTUALIZE(function(x) return x end)
once(kept(3))
local function cold(x) return x end
print(cold(1))
"""


def test_a_build_for_a_machine_says_which_functions_keep_their_speed() -> None:
    outcome = pipeline.protect(READABLE, Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    expected = [(2, "Grid:step", "all"), (5, "once", "loops"), (8, "kept", "native")]
    assert [(one.line, one.name, one.part) for one in outcome.readable] == expected


def test_other_builds_say_nothing_of_readable_functions() -> None:
    outcome = pipeline.protect(READABLE, Options("standard"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.readable == []
