"""Lua 5.1's `arg`, a local of every function with `...` there and a global everywhere else, means what it did."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.luau import run_lua, run_luau
from support.protecting import kept_build, protected
from support.rounds import rounds

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("implicit argument")

SCRIPTS = {
    "count": "local function f(a, ...) return arg.n end print(pcall(f, 1, 2, 3))",
    "in a function inside": "local function f(...) local function h() return arg and arg[1], arg and arg.n + 1 .. 'x' end return h() end print(f(7, 8))",
    "beside ...": "local function f(...) return arg, ... end print(f(1, 2))",
    "assigned": "local function f(...) arg = 5 return arg end print(f(1), arg) arg = 8 print(arg, f(2), arg)",
    "of the script": "arg = { 'given' } print(arg[1], (function() return arg[1] end)(), select('#', ...))",
    "of the script beside a function's": "arg = 'outside' local function f(...) return type(arg) end local function g() return arg end print(f(1), g(), arg, ...)",
    "of many arguments": "arg = 'outside' local function f(a, b, c, d, e, g, h) return arg, h end print(f(1, 2, 3, 4, 5, 6, 7))",
    "in expressions": "local function f(...) local t = {} for i = 1, arg and arg.n or 0 do t[i] = arg[i] * 2 + arg.n end return #t, t[1] end print(f(3, 4))",
    "made in a loop": "for i = 1, 2 do local f = function(...) return arg and #arg + i end print(f(1, 2, 3)) end",
}
INTERPRETERS = ["lua51", "luajit21", "lua54"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_means_the_same_in_every_lua(profile: str, interpreter: str, name: str) -> None:
    before = run_lua(interpreter, SCRIPTS[name])
    assert before.error is None
    after = [
        run_lua(interpreter, kept_build(SCRIPTS[name], profile, seed, target=target))
        for seed in range(rounds(1, 3))
        for target in (None, "lua51")
    ]
    assert [(one.output, one.error) for one in after] == [(before.output, None)] * len(after)


def test_the_count_is_there_in_lua_51() -> None:
    assert (
        run_lua("lua51", protected("local function f(a, ...) return arg.n end print(f(1, 2, 3))", "maximum")).output
        == "2"
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_means_the_same_under_luau(profile: str, name: str) -> None:
    assert run_luau(protected(SCRIPTS[name], profile)) == run_luau(SCRIPTS[name])


def test_a_global_of_that_name_is_read_where_a_script_gets_a_function_around_it() -> None:
    text = protected("print(arg, ...)", "standard", client=True)
    called = f"arg = 'outside' local chunk = (loadstring or load)([==[{text}]==]) chunk({{}}, 'rest')"
    assert [run_lua(one, called).output for one in INTERPRETERS] == ["outside\trest"] * 3
    many = (
        "".join(f"local v{place} = {place} " for place in range(195))
        + "arg = arg or 7 print(arg, select('#', ...), v194)"
    )
    assert [run_lua(one, protected(many, "standard")).output for one in INTERPRETERS] == ["7\t0\t194"] * 3


def test_a_function_that_stays_as_it_is_for_it_is_named() -> None:
    outcome = protect(b"\nlocal function f(...) return arg.n end print(f())", Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == [
        "line 2: the `arg` of a function with `...` is there in Lua 5.1 only; that function is not virtualized"
    ]
    asked = protect(b"local function f(...) return arg.n end print(f())", Options("maximum", "luau"), 1)
    assert isinstance(asked, Protected)
    assert asked.warnings == []
