from __future__ import annotations

import re

import pytest

from support.luau import run_luau, run_luau_batch
from support.protecting import protected_with

KEYS = {"outline_expressions"}
SEEDS = range(12)


def outlined(source: str) -> bool:
    """True when some build of the script has a function at its top that the source lacks."""
    plain = source.count("function")
    return any(protected_with(source, KEYS, seed).count("function") > plain for seed in SEEDS)


def test_an_expression_at_the_top_level_moves_into_a_function() -> None:
    source = "local a, b = f(), g() print(a * 2 + b.x / 3)"
    texts = [protected_with(source, KEYS, seed) for seed in SEEDS]
    assert any(re.match(r"local function \w+\(\w+,\w+\)return \w+\*2\+\w+\.x/3 end", text) for text in texts)


def test_expressions_that_differ_in_their_variables_alone_share_a_function() -> None:
    source = "local a, b, c, d = f(), g(), h(), i() " + " ".join(
        f"print({one} * 2 + {other}.x / 3)" for one, other in ("ab", "cd", "ac", "bd")
    )
    assert {protected_with(source, KEYS, seed).count("function") for seed in SEEDS} <= {0, 1, 2}
    assert outlined(source)


@pytest.mark.parametrize(
    "source",
    [
        "local a = f() for i = 1, 9 do print(a * 2 + a.x / 3) end",
        "local a = f() print(a * 2 + g(a) / 3)",
        "local a = f() print(a * 2 + #{ a } / 3)",
        "local a = f() print(a * 2 + #{ ... } / 3)",
        "local a = f() local function g() a = 1 end g(a.x + a.y * 2)",
        "local function f(a) return a * 2 + a.x / 3 end",
    ],
    ids=["loop", "call", "table", "varargs", "assigned by a closure", "small function"],
)
def test_what_would_cost_time_or_could_change_stays(source: str) -> None:
    assert not outlined(source)


def test_metamethods_see_the_values_of_the_moment() -> None:
    source = (
        "local log, n = {}, 5 local t = setmetatable({}, { __add = function(a, b) log[#log + 1] = tostring(b) n = n + 1 return n end, "
        "__index = function(_, k) return k end }) local x, y = t, 3 print((x + y) * 2 + n, t.name .. y .. '!', #log, n)"
    )
    texts = [protected_with(source, KEYS, seed) for seed in SEEDS]
    assert set(run_luau_batch(texts)) == {run_luau(source)}


def test_short_circuits_guard_as_before() -> None:
    source = "local a, b = nil, { x = { y = 3 } } print(a and a.x.y or b and b.x.y, not (a and a.x.y), b.x ~= nil and b.x.y * 2)"
    texts = [protected_with(source, KEYS, seed) for seed in SEEDS]
    assert set(run_luau_batch(texts)) == {run_luau(source)}
