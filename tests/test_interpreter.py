"""The interpreters that tests run scripts in: kept processes, but no script that sees another."""

from __future__ import annotations

import pytest

from support.interpreter import STATES_PER_PROCESS
from support.luau import LuauResult, compile_luau, run_lua_batch, run_luau, run_luau_batch

TOO_MANY_LOCALS = "".join(f"local v{number} = f() " for number in range(201))


def test_no_script_sees_what_another_left() -> None:
    assert run_luau("mark = 1 print(mark)") == LuauResult("1")
    assert run_luau("print(mark)") == LuauResult("nil")


def test_a_script_that_ends_its_process_takes_no_other_with_it() -> None:
    crashed = LuauResult(crashed=True)
    results = run_luau_batch(["print(1)", TOO_MANY_LOCALS, "print(2)", TOO_MANY_LOCALS, TOO_MANY_LOCALS, "print(3)"])
    assert results == [LuauResult("1"), crashed, LuauResult("2"), crashed, crashed, LuauResult("3")]


def test_a_script_that_never_ends_takes_no_other_with_it() -> None:
    assert run_luau_batch(["while true do end", "print(1)"], timeout_seconds=2) == [
        LuauResult(crashed=True),
        LuauResult("1"),
    ]


def test_compiling_runs_nothing() -> None:
    assert compile_luau("while true do end", timeout_seconds=5) is None
    assert compile_luau("x = = 1") == "script:1: Expected identifier when parsing expression, got '='"


def test_what_scripts_hold_leaves_room_for_the_next() -> None:
    greedy = "held = {} for index = 1, 40 do held[index] = buffer.create(1024 * 1024) end print(#held)"
    assert run_luau_batch([greedy] * 20) == [LuauResult("40")] * 20


@pytest.mark.parametrize("version", ["lua51", "luajit21"])
def test_plain_lua_runs_more_scripts_than_a_process_does(version: str) -> None:
    count = STATES_PER_PROCESS + 1
    assert run_lua_batch(version, ["seen = (seen or 0) + 1 print(seen)"] * count) == [LuauResult("1")] * count
