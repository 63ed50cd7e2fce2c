from __future__ import annotations

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.analysis.dialect import most_portable_target
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.target import Target
from support.luau import run_lua, run_luau


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
