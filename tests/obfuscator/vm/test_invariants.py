"""Keys that are made of what the language guarantees open nothing in a text that somebody has changed, and everything in one that nobody has."""

from __future__ import annotations

import random

import pytest

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.names import Names
from support.lifting import renamed
from support.luau import LuauResult, run_lua, run_luau, run_luau_batch
from support.protecting import protected

INTERPRETERS = ["luau", "lua51", "lua52", "lua53", "lua54", "luajit21", "luajit", "luajit -joff"]
SCRIPT = """
local words = { "amber", "basil" }
local function greet(name) return "hello " .. name end
for _, word in ipairs(words) do print(greet(word)) end
print(select("#", nil, nil))
"""
EXPECTED = "hello amber\nhello basil\n2"
SEEDS = range(1, 7)


def run(interpreter: str, source: str) -> LuauResult:
    return run_luau(source) if interpreter == "luau" else run_lua(interpreter, source)


class _Calls(Rewriter):
    """Has every call go through a function, as somebody does who wants to see them all."""

    def rewrite_call(self, node: s.Call) -> s.Expression:
        super().rewrite_call(node)
        return s.Call(s.Name("through", node.line), [node.function, *node.arguments], node.line)


def instrumented(build: str, through: str) -> str:
    chunk = parse(build)
    _Calls().chunk(chunk)
    return f"{through} {print_chunk(chunk)}"


LOSING = "local unpack = table.unpack or unpack function through(f, ...) local r = { f(...) } return unpack(r) end"
KEEPING = """local unpack, select = table.unpack or unpack, select
local function packed(...) return { n = select("#", ...), ... } end
function through(f, ...) local r = packed(f(...)) return unpack(r, 1, r.n) end"""


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_numbers_are_what_the_build_counts_on_everywhere(interpreter: str) -> None:
    names = Names("vm")
    for seed in SEEDS:
        invariants = Invariants.drawn(names, random.Random(seed))
        listed = ",".join(f"{names.invariants}[{place}]" for place in range(1, len(invariants.values) + 1))
        source = f"local {names.select}=select {invariants.source} print({listed})"
        assert run(interpreter, source).output.split() == [str(value) for value in invariants.values]


def test_a_build_that_was_formatted_does_nothing() -> None:
    builds = [protected(SCRIPT, "maximum", seed) for seed in SEEDS]
    assert [result.output for result in run_luau_batch(builds)] == [EXPECTED] * len(builds)
    assert [result.output for result in run_luau_batch([renamed(build) for build in builds])] == [""] * len(builds)


def test_a_build_whose_calls_lose_values_does_nothing() -> None:
    builds = [protected(SCRIPT, "maximum", seed) for seed in SEEDS]
    losing = run_luau_batch([instrumented(build, LOSING) for build in builds])
    assert [result.output for result in losing if "hello" in result.output] == []
    keeping = run_luau_batch([instrumented(build, KEEPING) for build in builds])
    assert [result.output for result in keeping] == [EXPECTED] * len(builds)


@pytest.mark.parametrize("interpreter", ["lua53", "lua54", "luajit21", "luajit"])
def test_a_build_without_lines_runs(interpreter: str) -> None:
    build = protected(SCRIPT, "maximum", 2)
    level = "=" * 8
    stripped = f"assert((loadstring or load)(string.dump((loadstring or load)([{level}[{build}]{level}]), true)))()"
    assert run(interpreter, stripped).output == EXPECTED


def test_a_name_that_looks_like_a_line_changes_nothing() -> None:
    build = protected(SCRIPT, "maximum", 2)
    level = "=" * 8
    for name in (":1: x:", "@?", "="):
        loaded = f"assert((loadstring or load)([{level}[{build}]{level}], {name!r}))()"
        assert run("lua51", loaded).output == EXPECTED


def test_a_host_that_raises_objects_sets_off_nothing() -> None:
    host = "local raise = error error = function(message) raise({ message = message }) end"
    assert run("lua51", f"{host} {protected(SCRIPT, 'maximum', 2)}").output == EXPECTED
