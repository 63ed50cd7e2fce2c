"""What a script needs of the Lua that runs it, when nobody says: its build runs wherever it does, and does what it does there."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from moonlatch.obfuscator.target import Target
from support.luau import run_lua, run_luau
from support.protecting import TARGETS, kept_build, protected
from support.rounds import rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("default target")

each_profile = pytest.mark.parametrize("profile", PROFILES)
PLAIN_LUAS = ["lua51", "lua54", "luajit21"]
# Loops over what is a function in plain Lua and may be a table in Luau; the only thing of Luau's in each script.
LOOPS = {
    "a table": "local t = { a = 1 } for k, v in t do print(k, v) end",
    "a list": "local t = { 4, 5, 6 } for i, v in t do if i == 3 then break end print(i, v) end",
    "a field": "local o = { list = { 1, 2 } } for _, v in o.list do print(v) end",
    "what a call returns": "local function list() return { 8, 9 } end for i, v in list() do print(i, v) end",
    "a parameter": "local function each(t) local sum = 0 for _, v in t do sum = sum + v end return sum end print(each({ 1, 2, 3 }))",
    "an argument": "local function each(...) for i, v in ... do print(i, v) end end each({ 1, 2 })",
    "a global": "list = { 3 } for i, v in list do print(i, v) end",
    "in loops": "local rows = { { 1, 2 }, { 3 } } for i, row in rows do for j, cell in row do print(i, j, cell) end end",
    "with closures": "local kept = {} for k, v in { x = 1 } and { 5, 6 } do kept[k] = function() v = v + 1 return v end end print(kept[1](), kept[2](), kept[1]())",
    "__iter": "local o = setmetatable({}, { __iter = function(self) return function(_, i) if (i or 0) < 2 then return (i or 0) + 1 end end, self end }) for i in o do print(i) end",
    "__call": "local o = setmetatable({}, { __call = function(_, _, i) if (i or 0) < 2 then return (i or 0) + 1 end end }) for i in o do print(i) end",
    "nothing": "print(pcall(function() for _ in nil do end end)) print(pcall(function() for _ in 5 do end end))",
    "a coroutine": "for i in coroutine.wrap(function() for i = 1, 2 do coroutine.yield(i) end end) do print(i) end",
    "what yields": "local co = coroutine.wrap(function() for k, v in { 1, 2 } and { 3, 4 } do coroutine.yield(k, v) end end) print(co()) print(co())",
    "pairs of one's own": "local function pairs(t) return t end for k, v in pairs({ 7 }) do print(k, v) end",
    "a global pairs": "function pairs(t) return t end for k, v in pairs({ 7 }) do print(k, v) end",
    "next in its place": "local next = { 7 } for k, v in next do print(k, v) end",
}


def target_of(source: str) -> Target:
    outcome = protect(source.encode("latin-1"), Options("minify"), 1)
    assert isinstance(outcome, Protected)
    return outcome.target


@each_profile
@pytest.mark.parametrize("target", TARGETS)
def test_loops_go_through_tables_under_luau(profile: str, target: str | None) -> None:
    for name, source in LOOPS.items():
        before = run_luau(source)
        assert before.error is None, name
        for seed in range(1, 1 + rounds(1, 2)):
            assert (name, run_luau(kept_build(source, profile, seed, target=target))) == (name, before)


@each_profile
@pytest.mark.parametrize("interpreter", PLAIN_LUAS)
def test_the_same_loops_call_what_they_get_in_plain_lua(profile: str, interpreter: str) -> None:
    for name, source in LOOPS.items():
        before, after = run_lua(interpreter, source), run_lua(interpreter, kept_build(source, profile, 1, target=None))
        assert (name, after.output, after.error is None) == (name, before.output, before.error is None)


def test_a_script_that_every_lua_runs_needs_none_in_particular() -> None:
    plain = "local t = {} for k, v in pairs(t) do print(k, v) end for w in ('a b'):gmatch('%a') do print(w) end"
    assert target_of(plain) is Target.LUA51
    assert target_of("local function each(t) return next, t end for k in each({}) do print(k) end") is Target.LUA51


@pytest.mark.parametrize(
    "source",
    [
        "for k in { 1 } do print(k) end",
        "x += 1",
        "print(`{x}`)",
        "for i = 1, 2 do continue end",
        "local x = if y then 1 else 2",
        "@native local function f() end",
    ],
)
def test_a_script_that_only_luau_can_run_needs_luau(source: str) -> None:
    assert target_of(source) is Target.LUAU


@each_profile
@pytest.mark.parametrize(
    "source",
    [
        "const held = 5 const function f() return held end print(f())",
        "local n: number = 5 type T = { x: number } local t: T = { x = n } print((t :: any).x)",
        "print(0b101, 1_000, 0x_F, '\\x41\\z  b\\u{48}')",
    ],
)
def test_what_can_be_spelt_for_every_lua_needs_none_in_particular(source: str, profile: str) -> None:
    assert target_of(source) is Target.LUA51
    before = run_luau(source)
    assert (before.error, before.compile_error) == (None, None)
    text = protected(source, profile)
    assert [run_luau(text), *(run_lua(one, text) for one in PLAIN_LUAS)] == [before] * 4
