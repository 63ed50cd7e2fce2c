"""A branch that only a text opens which nobody guesses is guarded by itself, where nothing but time can tell."""

from __future__ import annotations

import pytest

from support.luau import LuauResult, run_lua_batch, run_luau_batch
from support.protecting import protected
from support.rounds import IS_LONG

OPENER = "Wq7.vN2x-Rk40Jd_Lm81Zt"
BODY = 'print("opened", 4711)'
HEAD = "local x, y = ... "
COMPILES = "{ la_load = loadstring or load }"
GUARD = "4294967295"
"""Stands in what opens guards, and in nothing else here."""
PROTECTING = ["light", "standard", "maximum"]
HOSTS = ("lua5.1", "luajit", "luau")


def build(source: str, profile: str = "light", *, client: bool = True) -> str:
    return protected(source, profile, client=client, target="lua51")


GUARDED = [
    f'if tostring(x) == "{OPENER}" then BODY end',
    f'if "{OPENER}" == (tostring(x)) then BODY end print("after")',
    f'local text = tostring(x) if text == "{OPENER}" then BODY end',
    f'local text = x .. "" print(1) if text == "{OPENER}" then local a = 5 y = a BODY end print(y)',
    f'if type(x) == "string" and x == "{OPENER}" then y = y .. "!" BODY end print(y)',
    f'if string.sub(x, 1, 99) == "{OPENER}" then BODY return y, 2 end print("other") return 3',
    f'if tostring(x):lower():upper() == "{OPENER}" then BODY end',
    f'local function try(x) if tostring(x) == "{OPENER}" then BODY if y then return y end end end print(try(x), (try(y)))',
    f'local function try(x) if tostring(x) == "{OPENER}" then BODY if y then return 1 else return 2 end end return 3, 4 end print(try(x)) print(try(y))',
    f'local n = 0 local function add() n = n + 1 end if tostring(x) == "{OPENER}" then add() n = n + 10 BODY end add() print(n)',
    f'print(pcall(function() if tostring(x) == "{OPENER}" then BODY error("far") end end))',
]


@pytest.mark.parametrize("branch", GUARDED)
@pytest.mark.parametrize("profile", PROTECTING)
def test_a_branch_behind_a_strong_text_is_guarded(branch: str, profile: str) -> None:
    source = HEAD + branch.replace("BODY", BODY)
    text = build(source, profile)
    assert GUARD in text
    assert OPENER not in text
    # To try a text takes most of the time. In the short form every branch runs on each host, behind one of the profiles.
    turn = GUARDED.index(branch) + PROTECTING.index(profile)
    hosts = HOSTS if IS_LONG else (HOSTS[turn % len(HOSTS)],)
    for given in (OPENER, "another"):
        call = f"(function(...) %s end)(%s'{given}', 'y')"
        before, after = call % (source, ""), call % (text, f"{COMPILES}, ")
        for host in hosts:
            one, other = run_on(host, [before, after])
            assert (other.error, without_lines(other.output)) == (None, without_lines(one.output))


def run_on(host: str, sources: list[str]) -> list[LuauResult]:
    return run_luau_batch(sources, loads=True) if host == "luau" else run_lua_batch(host, sources)


def without_lines(output: str) -> str:
    return output.replace("script:1:", "script:").replace("script:2:", "script:").replace("script:3:", "script:")


LEFT_ALONE = [
    'if tostring(x) == "a word" then BODY end',
    'if tostring(x) == "the longest of all sentences" then BODY end',
    'if tostring(x) == "armadillo trombone cathedral lighthouse marmalade octopus" then BODY end',
    f'if x == "{OPENER}" then BODY end',
    f'if y.name == "{OPENER}" then BODY end',
    f'if tostring(x) == "{OPENER}" then BODY else print("else") end',
    f'if tostring(x) == "{OPENER}" then BODY elseif x then print("else") end',
    f'if tostring(x) ~= "{OPENER}" then BODY end',
    f'if tostring(x) == "{OPENER}" then BODY end print("{OPENER}")',
    f'for i = 1, 2 do if tostring(x) == "{OPENER}" then BODY end end',
    f'while x do if tostring(x) == "{OPENER}" then BODY break end end',
    f'local function f() if tostring(x) == "{OPENER}" then BODY end end for i = 1, 2 do f() end',
    f'local function f() if tostring(x) == "{OPENER}" then BODY if x then return 1 end end return 2 end print(f())',
    f'if tostring(x) == "{OPENER}" then print(...) end',
    f'if tostring(x) == "{OPENER}" then error("far", 2) end',
    f'if tostring(x) == "{OPENER}" then local raise = error raise("far", 2) end',
    f'if tostring(x) == "{OPENER}" then BODY setfenv(1, {{}}) end',
    f'if tostring(x) == "{OPENER}" then print(debug.traceback()) end',
    f'local text = tostring(x) text = y if text == "{OPENER}" then BODY end',
    f'if type(y) == "string" and x == "{OPENER}" then BODY end',
    f'local f = LPH_NO_UPVALUES(function() if tostring(x) == "{OPENER}" then BODY end end) f()',
    f'tostring = y if tostring(x) == "{OPENER}" then BODY end',
    f'local a, b = x, y if tostring(x) == "{OPENER}" then {" ".join(f"local v{n} = 1" for n in range(3))} error(a, b) end',
]


@pytest.mark.parametrize("source", LEFT_ALONE)
def test_other_branches_stay_as_they_are(source: str) -> None:
    assert GUARD not in build(HEAD + source.replace("BODY", BODY))


def test_a_branch_with_too_many_variables_stays_as_it_is() -> None:
    names = ", ".join(f"v{number}" for number in range(51))
    source = f'local {names} = 1 if tostring(...) == "{OPENER}" then print({names}) end'
    assert GUARD not in build(source)
    assert GUARD in build(source.replace(", v50", ""))


def test_a_branch_in_what_is_guarded_stays_in_it() -> None:
    other = "n8Qz-31kd.Rt6VwPxb2C4h"
    source = f'local x = ... LA_GUARD(x == "{OPENER}", function() if tostring(x) == "{other}" then {BODY} end end)'
    text = build(source)
    assert OPENER not in text
    assert other not in text


def test_without_the_loader_nothing_is_guarded_that_nobody_asked_for() -> None:
    source = HEAD + GUARDED[0].replace("BODY", BODY)
    assert GUARD not in build(source, client=False)
    assert GUARD not in build(source, "minify")
