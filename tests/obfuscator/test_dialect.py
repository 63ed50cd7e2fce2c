from __future__ import annotations

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.dialect import most_portable_target
from moonlatch.obfuscator.engines.interface import Protected
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.parser import parse
from moonlatch.obfuscator.scopes import resolve
from moonlatch.obfuscator.spelling import Target
from support.luau import run_lua, run_luau
from support.protecting import faults, protected


@pytest.mark.parametrize(
    ("source", "construct"),
    [
        ("x = `a{b}`", "An interpolated string"),
        ("x = if a then b else c", "An if-expression"),
        ("x += 1", "The compound assignment '+='"),
        ("x = 7 // 2", "The operator '//'"),
        ("while x do continue end", "'continue'"),
        ("x = 5i", "An integer literal"),
        ("@native function f() end", "The attribute '@native'"),
        ("export local x = 1", "'export'"),
    ],
)
def test_what_plain_lua_lacks_is_named_with_its_line(source: str, construct: str) -> None:
    assert faults(f"\n{source}", target="lua51") == [
        f"2: {construct} cannot be written in Lua 5.1; choose the target 'luau'"
    ]
    assert protected(source)


def test_types_constants_and_new_number_literals_are_no_obstacle() -> None:
    source = "type A = number const x: A = 0b11 local y = 1_00 return x :: any, y"
    assert protected(source, "minify", target="lua51") == "local a=3 local b=100 return a,b"


def natural_target(source: str) -> Target:
    chunk = parse(source)
    return most_portable_target(chunk, resolve(chunk))


def test_a_script_of_plain_lua_is_protected_for_every_lua() -> None:
    assert natural_target("local a: number = 1\nprint(a, ...)") is Target.LUA51


def test_a_script_that_needs_luau_is_protected_for_luau() -> None:
    assert natural_target("local a = 1\na += 1\nprint(`{a}`)") is Target.LUAU


def test_a_function_too_wide_for_plain_lua_is_protected_for_luau() -> None:
    def closing_over(count: int) -> str:
        names = [f"v{number}" for number in range(count)]
        return f"local {', '.join(names)}\nreturn function() return {' or '.join(names)} end"

    assert natural_target(closing_over(60)) is Target.LUA51
    assert natural_target(closing_over(61)) is Target.LUAU


@pytest.mark.parametrize("version", ["lua51", "lua54", "luajit21"])
def test_without_a_target_plain_lua_stays_runnable_everywhere(version: str) -> None:
    outcome = pipeline.protect(b"print('hello', 271828, 0.5)", Options("light"), 3)
    assert isinstance(outcome, Protected)
    assert run_lua(version, outcome.text).output == "hello\t271828\t0.5"


def test_without_a_target_floor_division_stays_runnable_on_lua_5_4() -> None:
    source = "print(7 // 2, 7.0 // 2, 1000.0, 'text')"
    outcome = pipeline.protect(source.encode(), Options("light"), 3)
    assert isinstance(outcome, Protected)
    assert run_lua("lua54", outcome.text) == run_lua("lua54", source)
    assert run_luau(outcome.text) == run_luau(source)
