"""What a script may ask `debug` about itself under `maximum`: what is answered as before, and what is refused with its line."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.luau import run_lua_batch, run_luau
from support.protecting import faults, protected

SAME = """
local function f(a, b) return a end
local function where() return debug.getinfo(1, "S").what, debug.getinfo(1, "S").short_src, debug.getinfo(1, "f").func == where end
print(debug.getinfo(f, "S").what, debug.getinfo(print, "S").what, debug.getinfo(print).isvararg)
print(debug.getinfo(1, "S").short_src, debug.getinfo(1, "S").source, debug.getinfo(f, "f").func == f)
print(where())
local info = debug.getinfo(f)
print(info.what, info.short_src, info.namewhat, info.name)
local getinfo = debug.getinfo
print(getinfo and getinfo(f, "S").what, type(debug.traceback), debug ~= nil)
if debug and debug.getinfo and not debug.nothing then print("there") end
local keep = LA_NO_VIRTUALIZE(function(a, b) local i = debug.getinfo(1, "nS") return i.what, debug.getlocal(1, 2) ~= nil end)
print(keep(1, 2))
"""

REFUSED = {
    'debug.getinfo(1, "S").what': "'what'",
    'debug.getinfo(f, "u").nparams': "'nparams'",
    'debug.getinfo(f, "Su").isvararg': "'isvararg'",
    "debug.getinfo(f)": "'isvararg' and 'nparams' and 'nups'",
    "debug.getinfo(f, options).nups": "'nups'",
    '(function() return debug.getinfo(1, "n").name end)()': "'name'",
    'debug["getinfo"](2, "S").what': "'what'",
    'alias(1, "n").namewhat': "'namewhat'",
    'debug.info(f, "a")': "'isvararg' and 'nparams'",
    'debug.info(1, "n")': "'name'",
    'debug.info(f, "sn")': "'name'",
}
REFUSED_WHOLLY = (
    "debug.getlocal(1, 1)",
    "debug.setlocal(1, 1, nil)",
    "debug.getlocal(f, 1)",
    "debug.getupvalue(f, 1)",
    "debug.setupvalue(function() return f end, 1, nil)",
    "debug.upvalueid(f, 1)",
    "debug.getconstants(f)",
    "debug.getstack(1)",
)


@pytest.mark.parametrize("interpreter", ["lua5.1", "lua5.4", "luajit"])
def test_what_is_let_through_is_answered_as_before(interpreter: str) -> None:
    outcome = protect(SAME.encode(), Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == []
    source = SAME.replace("LA_NO_VIRTUALIZE", "")
    builds = [protected(SAME, "maximum", seed, target="lua51") for seed in (1, 2, 3)]
    before, *after = run_lua_batch(interpreter, [source, *builds])
    assert before.error is None
    assert after == [before] * 3


def test_what_luau_tells_of_the_source_is_answered_as_before() -> None:
    source = 'local function f() end print(debug.info(f, "s"), debug.info(1, "s"), debug.info(f, "f") == f, debug.info(print, "na"))'
    assert run_luau(protected(source, "maximum")) == run_luau(source)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_would_be_told_of_the_machine_is_refused_with_its_line(expression: str) -> None:
    script = f"local function f(a, ...) return a end local alias = debug.getinfo\n\nprint({expression})"
    (fault,) = faults(script, "maximum")
    member = "info" if "debug.info" in expression else "getinfo"
    assert fault == (
        f"3: debug.{member} would see the machine of the profile 'maximum' where it asks for {REFUSED[expression]}; "
        "keep the function as it is with LA_NO_VIRTUALIZE, or choose another profile"
    )
    for profile in PROFILES:
        if profile != "maximum":
            protected(script, profile)


@pytest.mark.parametrize("expression", REFUSED_WHOLLY)
def test_what_looks_into_the_machine_is_refused_with_its_line(expression: str) -> None:
    (fault,) = faults(f"local function f(a) return a end\nprint({expression})", "maximum")
    assert fault.startswith(f"2: {expression.partition('(')[0]} would see the machine of the profile 'maximum'; keep")


@pytest.mark.parametrize(
    "statement",
    [
        "print(debug.traceback())",
        "print(xpcall(f, debug.traceback))",
        'print(debug.getinfo(callback, "S").what)',
        'print(debug.getinfo(level + 1, "S").what)',
        "print(debug.getupvalues(callback))",
        "local d = debug",
        "local getinfo = debug.getinfo or debug.info",
    ],
)
def test_what_may_differ_is_warned_of(statement: str) -> None:
    outcome = protect(f"local function f() end\n{statement}".encode(), Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert [warning.partition(";")[0] for warning in outcome.warnings] == [
        "line 2: debug sees the machine where it looks at a virtualized function"
    ]


@pytest.mark.parametrize(
    "script",
    [
        'debug.profilebegin("x") debug.profileend() debug.setmemorycategory("y")',
        'local debug = { getinfo = print } debug.getinfo(1, "n")',
        'debug = { getinfo = print } debug.getinfo(1, "n")',
    ],
)
def test_what_looks_at_nothing_is_let_through(script: str) -> None:
    outcome = protect(script.encode(), Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == []
