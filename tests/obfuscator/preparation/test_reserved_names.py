"""`goto` is an ordinary name in Luau and Lua 5.1: every form of it runs on each host that a script for `lua51` has."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.target import Target
from support.luau import run_lua, run_luau

HOSTS = ("lua51", "lua52", "lua53", "lua54", "luajit21")
FORMS = {
    "the name of a function": """
        local admin = {}
        function admin.goto(who) return "at " .. who end
        print(admin.goto("me"))""",
    "the name of a method": """
        local admin = { place = 1 }
        function admin:goto(who, ...) return self.place, who, ... end
        print(admin:goto("me", 2, 3))""",
    "in the middle of a function's name": """
        local a = { goto = { b = {} } }
        function a.goto.b.c() return 1 end
        function a.goto:d() return self == a.goto end
        print(a.goto.b.c(), a.goto:d())""",
    "a field": "local t = { goto = 1, ['goto'] = 2 } t.goto = t.goto + 1 t['goto'] = t.goto * 2 print(t.goto, #t)",
    "a field with a compound assignment": "local t = { { goto = 1 } } t[1].goto += 2 t[1].goto ..= 'x' print(t[1].goto)",
    "a key of an assignment with several targets": "local t = {} t.goto, t.x = 1, 2 print(t.goto, t.x)",
    "a method of a call's result": """
        local count = 0
        local function make() count += 1 return { goto = function(self, ...) return self ~= nil, select("#", ...) end }, 5 end
        print(make():goto(1, nil), count)
        make():goto()
        print(count, (make():goto(make())))""",
    "a method of a new object": "print(setmetatable({ n = 3 }, { __index = { goto = function(s) return s.n end } }):goto())",
    "a method of varargs, with varargs": """
        local function f(...) return (...):goto(...) end
        print(f({ goto = function(self, ...) return select("#", ...), (...) == self end }, nil))""",
    "a local and a parameter": """
        local goto = 1
        local function f(goto, ...) goto = goto + 1 return goto end
        for goto = 1, 2 do print(goto) end
        for goto in pairs({ a = 1 }) do print(goto) end
        print(goto, f(goto))""",
    "a local function": "local function goto(n) return n == 0 and 'end' or goto(n - 1) end print(goto(3))",
    "a global": "goto = 5 goto = goto + 1 print(goto)",
    "a global function": """
        function goto(n) return n == 0 and "end" or goto(n - 1) end
        local getfenv, _ENV = 1, 2
        print(goto(3), getfenv, _ENV)
        ;(goto)(0)""",
    "a global table": "goto = {} function goto.x() return 1 end function goto:y() return self == goto end print(goto.x(), goto:y())",
    "a global with a compound assignment": "goto = 1 goto += 1 print(goto)",
}


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    """What real Luau makes of the scripts themselves."""
    results = {name: run_luau(source) for name, source in FORMS.items()}
    assert [name for name, result in results.items() if result.error or result.compile_error] == []
    return {name: result.output for name, result in results.items()}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("form", FORMS)
def test_a_reserved_name_in_every_form_runs_on_every_plain_lua(
    form: str, profile: str, expected: dict[str, str]
) -> None:
    outcome = pipeline.protect(FORMS[form].encode(), Options(profile, Target.LUA51), 1)
    assert isinstance(outcome, Protected), outcome
    outputs = {host: run_lua(host, outcome.text) for host in HOSTS} | {"luau": run_luau(outcome.text)}
    assert {host: result.output for host, result in outputs.items()} == dict.fromkeys(outputs, expected[form])


@pytest.mark.parametrize("form", FORMS)
def test_without_a_target_and_for_luau_it_stays_what_it_is(form: str, expected: dict[str, str]) -> None:
    for target in (None, Target.LUAU):
        outcome = pipeline.protect(FORMS[form].encode(), Options("standard", target), 1)
        assert isinstance(outcome, Protected), outcome
        assert run_luau(outcome.text).output == expected[form]


def test_a_script_of_plain_lua_runs_everywhere_without_a_target() -> None:
    """It did not itself where the name is reserved."""
    outcome = pipeline.protect(FORMS["the name of a function"].encode(), Options("light"), 1)
    assert isinstance(outcome, Protected)
    assert {run_lua(host, outcome.text).output for host in HOSTS} == {"at me"}
