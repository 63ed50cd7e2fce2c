"""A guarded function does what it would do unguarded where its text is given, nothing elsewhere, and cannot be read without it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import Copier
from support.luau import SYSTEM_LUAS, LuauResult, run_lua, run_lua_batch, run_luau_batch
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, faults, protected
from support.replaced_functions import seen
from support.rounds import IS_LONG

PROTECTING = [profile for profile in PROFILES if profile != "minify"]
OPENER = "Wq7.vN2x-Rk40Jd_Lm81Zt"
PLAIN = "function LA_GUARD(opens, guarded) if opens then return guarded() end end "
MOST_CAPTURED = 50
PATIENCE_SECONDS = 120
SHARES_OF_PROGRAMS = 3 * len(PROTECTING)
"""Each profile has one of so many in the short form."""


def build(source: str, profile: str = "light", seed: int = 1, *, has_marks: bool = False) -> Protected:
    outcome = pipeline.protect(source.encode("latin-1"), Options(profile, has_marks=has_marks), seed)
    assert isinstance(outcome, Protected), outcome
    return outcome


HOSTS = (*SYSTEM_LUAS, "luau")


def run_on(hosts: Sequence[str], text: str) -> dict[str, LuauResult]:
    """The text on each of the hosts, with time for the tests of guards that it makes."""
    return {
        host: run_luau_batch([text], PATIENCE_SECONDS, loads=True)[0]
        if host == "luau"
        else run_lua(host, text, PATIENCE_SECONDS)
        for host in hosts
    }


def guarded(program: Path, opener: str) -> str:
    """The program with its second half, from a statement on that its name draws, in a guard which `opener` is given to."""
    chunk = parse(program.read_bytes())
    statements = chunk.body.body
    at = random.Random(program.name).randrange(len(statements))
    inside = s.Block(statements[at:], 1)
    compared = s.Binary("==", s.Name("given", 1), s.String(OPENER.encode(), 1), 1)
    function = s.Function([], [], True, inside, 1, 1)
    call = s.Call(s.Name("LA_GUARD", 1), [compared, function], 1)
    given = s.Local([s.Binding("given", 1)], [s.String(opener.encode(), 1)], False, False, 1)
    chunk.body = s.Block([given, *statements[:at], s.Return([call], 1)], 1)
    return print_chunk(chunk, Target.LUA51 if program in LUA51_PROGRAMS else Target.LUAU)


# Those that are at a limit of the compiler, which an argument for each variable would pass.
WIDE = {"many_locals.lua", "many_upvalues.lua", "wide_functions.lua"}


@pytest.mark.parametrize("profile", PROTECTING)
def test_programs_do_behind_a_guard_what_they_do_before_it(profile: str) -> None:
    different = []
    programs = ALL_PROGRAMS if IS_LONG else ALL_PROGRAMS[PROTECTING.index(profile) :: SHARES_OF_PROGRAMS]
    for opener in (OPENER, "another text"):
        sources = {one: guarded(one, opener) for one in programs if one.name not in WIDE}
        builds = {}
        for one, source in sources.items():
            outcome = pipeline.protect(source.encode("latin-1"), Options(profile), 1)
            if isinstance(outcome, Protected):
                builds[one] = outcome.text
        assert len(builds) > 0.8 * len(sources), "few have too many variables"
        before = run_luau_batch([PLAIN + sources[one] for one in builds])
        after = run_luau_batch(list(builds.values()), PATIENCE_SECONDS, loads=True)
        different += [(one.name, "luau") for one, a, b in zip(builds, before, after, strict=True) if a != b]
        plain = [one for one in builds if one in LUA51_PROGRAMS]
        for host in SYSTEM_LUAS if IS_LONG else ["lua5.1", "lua5.4", "luajit"]:
            before = run_lua_batch(host, [PLAIN + sources[one] for one in plain])
            after = run_lua_batch(host, [builds[one] for one in plain], PATIENCE_SECONDS)
            different += [(one.name, host) for one, a, b in zip(plain, before, after, strict=True) if a != b]
    assert different == []


VARIABLES = f"""
local count, name, list = 0, "n", {{}}
local function bump(by) count = count + by end
local function try(x, ...)
    local seen, last = 0, nil
    local a, b, c = LA_GUARD(x == "{OPENER}", function()
        bump(5)
        count, last = count + 1, seen
        seen = seen + 1
        function last() return name end
        list[#list + 1] = function() count = count + 10 return count, name, seen end
        return "inside", count, last()
    end)
    print(a, b, c, seen, count, select("#", ...))
    return select("#", LA_GUARD("{OPENER}" == x, function() return nil, nil, nil end))
end
for _, x in ipairs({{ "wrong", 5, false, {{}}, print, "{OPENER} ", "{OPENER[:-1]}", "", ("x"):rep(5000), "{OPENER}", "{OPENER}" }}) do
    print(try(x, 1, nil))
end
print(try(nil), try())
print(list[1]())
print(list[2]())
print(pcall(function() return LA_GUARD(name .. "" == "n", function() error({{}}) end) end) )
"""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("has_marks", [False, True])
def test_a_guarded_function_shares_its_variables(profile: str, has_marks: bool) -> None:
    outcome = build(VARIABLES, profile, has_marks=has_marks)
    text = outcome.text
    if outcome.template is not None:
        copier = Copier(outcome.template)
        text = copier.text([True] * copier.places).decode("ascii")
    # Most of the time goes into texts that open nothing. In the short form one of the two builds is for each host.
    hosts = HOSTS if IS_LONG else HOSTS[has_marks::2]
    expected = {host: result.output for host, result in run_on(hosts, PLAIN + VARIABLES).items()}
    assert all("inside\t6\tn\t1\t6\t2\n3" in output for output in expected.values())
    results = run_on(hosts, text)
    assert [result.error for result in results.values()] == [None] * len(results)
    # The address of the table that is raised is another one each time.
    assert {host: result.output.split("table:")[0] for host, result in results.items()} == {
        host: output.split("table:")[0] for host, output in expected.items()
    }


ENVIRONMENTS = f"""
local function inside() return LA_GUARD(given == "{OPENER}", function() return where, (function() return where end)() end) end
given, where = "{OPENER}", "globals"
print(inside())
if setfenv then setfenv(inside, setmetatable({{ given = "{OPENER}", where = "own" }}, {{ __index = _G }})) end
print(inside())
"""


@pytest.mark.parametrize("profile", PROTECTING)
def test_a_guarded_function_has_the_environment_of_the_function_around(profile: str) -> None:
    text = build(ENVIRONMENTS, profile).text
    for host, result in run_on(HOSTS, text).items():
        plain = f"local {PLAIN}{ENVIRONMENTS}"
        assert result == (run_luau_batch([plain])[0] if host == "luau" else run_lua(host, plain)), host


SECRETS = ("the price is 4711", "secret_method", "secretGlobal")
SCRIPT = f"""
local given = GIVEN
print("begun")
LA_GUARD(given == "{OPENER}", function()
    local object = {{ value = "the price is 4711" }}
    function object:secret_method() secretGlobal = self.value return secretGlobal end
    local shown = object:secret_method()
    print(#shown)
    return tostring(shown)
end)
"""


@pytest.mark.parametrize("profile", PROTECTING)
@pytest.mark.parametrize("has_marks", [False, True])
def test_neither_the_text_nor_what_it_opens_stands_in_the_build(profile: str, has_marks: bool) -> None:
    outcome = build(SCRIPT.replace("GIVEN", "..."), profile, has_marks=has_marks)
    for hidden in (OPENER, *SECRETS):
        assert hidden not in outcome.text
    assert OPENER not in repr(outcome.line_map)
    # Nothing but what is locked, and its places, may differ where the function is another one of much the same length.
    other = build(SCRIPT.replace("GIVEN", "...").replace("4711", "1234"), profile, has_marks=has_marks)
    assert abs(len(outcome.text) - len(other.text)) < 700
    unlocked = build(SCRIPT.replace("GIVEN", "..."), "minify").text
    assert all(hidden in unlocked for hidden in (OPENER, *SECRETS)), "the test looks for what is there"


@pytest.mark.parametrize("profile", PROTECTING)
def test_who_replaces_every_function_sees_nothing_without_the_text(profile: str) -> None:
    text = build(SCRIPT.replace("GIVEN", "input"), profile).text
    without = seen(f"input = 'some other text' {text}")
    with_it = seen(f"input = '{OPENER}' {text}")
    assert "begun" in without
    assert not any(hidden in one for one in without for hidden in SECRETS)
    assert any("4711" in one for one in with_it), "they do see it with the text"


def test_a_guard_is_refused_that_is_not_a_comparison_with_a_text() -> None:
    message = '1: LA_GUARD takes a comparison with a text, `value == "text"`, and a function expression'
    for arguments in (
        "x, function() end",
        "x == y, function() end",
        '"a" == "b", function() end',
        'x ~= "b", function() end',
        'x == "b", f',
        'x == "b"',
        'x == "b", function() end, 1',
        "",
    ):
        assert faults(f"LA_GUARD({arguments})") == [message]
    assert faults('local g = LA_GUARD g(x == "b", print)') == ["1: LA_GUARD is a macro and can only be called"]
    inner = 'LA_GUARD(x == "b", function() end)'
    assert faults(f'LA_GUARD(x == "a", function() {inner} end)') == ["1: LA_GUARD cannot stand in another one"]
    assert faults(f'LA_GUARD(x == "{"a" * 4097}", function() end)') == [
        "1: The text of LA_GUARD is longer than 4096 bytes"
    ]


def test_a_guard_with_too_many_variables_is_refused() -> None:
    names = [f"v{number}" for number in range(MOST_CAPTURED + 1)]
    source = f"local {', '.join(names)} = 1 LA_GUARD(x == 'a', function() return {', '.join(names)} end)"
    assert faults(source) == ["1: The function of LA_GUARD captures 51 variables; it can capture 50"]
    source = f"local {', '.join(names[1:])} = 1 print(LA_GUARD(given == '{OPENER}', function() return {', '.join(names[1:])} end))"
    assert run_lua("lua5.1", f"given = '{OPENER}' {build(source, 'maximum').text}").output.startswith("1\tnil")


def test_a_name_that_the_script_defines_is_no_guard() -> None:
    source = 'local function LA_GUARD(a, b) return b end print(LA_GUARD(1 == "x", 5))'
    assert run_lua("lua5.1", build(source, "standard").text).output == "5"


def test_without_a_way_to_compile_an_input_is_told_that_it_cannot_be_tested() -> None:
    text = build('print(LA_GUARD(given == "Wq7.vN2x-Rk40Jd_Lm81Zt", function() return 1 end)) print(2)').text
    result = run_luau_batch([f"given = 5 {text}", f"given = 'text' {text}"])
    assert [one.output for one in result] == ["\n2", ""]
    assert result[1].error == "this host cannot compile Lua, without which a guarded function cannot be opened"


def test_a_build_compiles_with_what_its_loader_has_found() -> None:
    source = f'print((LA_GUARD(... == "{OPENER}", function() return la_script_name end)))'
    text = protected(source, "standard", client=True)
    hosts = "local compile = loadstring or load loadstring, load = nil, nil "
    started = f"{hosts} (function(...) {text} end)({{ la_load = compile, la_script_name = 'name' }}, '{OPENER}')"
    for host, result in run_on(HOSTS, started).items():
        assert (result.output, result.error) == ("name", None), host


FAILING = f"""
local value

local function fail(x)
    return LA_GUARD(x == "{OPENER}", function()
        local a = 1


        return a + value.field
    end)
end
LA_GUARD("{OPENER[:9]}" .. "{OPENER[9:]}" == "{OPENER}", function()
    print(pcall(fail, "{OPENER}"))
    print(pcall(error, "x"))


    error("far below")
end)
"""


@pytest.mark.parametrize("profile", PROTECTING)
def test_an_error_in_a_guarded_function_leads_to_its_line(profile: str) -> None:
    outcome = build(FAILING, profile)
    for host, result in run_on(HOSTS, outcome.text).items():
        plain = f"local {PLAIN}{FAILING}"
        expected = run_luau_batch([plain])[0] if host == "luau" else run_lua(host, plain)
        told, of_source = _told(result), _told(expected)
        assert [name for name, _ in told] == ["script", "script"], host
        places = [outcome.line_map.locate(line) for _, line in told]
        assert [place and place.line for place in places] == [line for _, line in of_source], host


def _told(result: LuauResult) -> list[tuple[str, int]]:
    """The name and line of the first error that is printed, and of the last one that is raised."""
    texts = result.output.split("\t", 1)[1], result.error or ""
    return [(name, int(line)) for name, line, _ in (text.split(":", 2) for text in texts)]
