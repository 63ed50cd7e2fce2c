"""The interpreters that tests run scripts in: kept processes, but no script that sees another."""

from __future__ import annotations

import pytest

from support.interpreter import STATES_PER_PROCESS
from support.luau import SYSTEM_LUAS, LuauResult, compile_luau, run_lua, run_lua_batch, run_luau, run_luau_batch

TOO_MANY_LOCALS = "".join(f"local v{number} = f() " for number in range(201))


def test_no_script_sees_what_another_left() -> None:
    assert run_luau("mark = 1 print(mark)") == LuauResult("1")
    assert run_luau("print(mark)") == LuauResult("nil")


def test_a_script_that_ends_its_process_takes_no_other_with_it() -> None:
    crashed = LuauResult(crashed=True)
    results = run_luau_batch(["print(1)", TOO_MANY_LOCALS, "print(2)", TOO_MANY_LOCALS, TOO_MANY_LOCALS, "print(3)"])
    assert results == [LuauResult("1"), crashed, LuauResult("2"), crashed, crashed, LuauResult("3")]


def test_a_script_that_never_ends_takes_no_other_with_it() -> None:
    assert run_luau("while true do end", timeout_seconds=0.5) == LuauResult(crashed=True)
    assert run_luau("print(1)") == LuauResult("1")


def test_compiling_runs_nothing() -> None:
    assert compile_luau("while true do end", timeout_seconds=5) is None
    assert compile_luau("x = = 1") == "script:1: Expected identifier when parsing expression, got '='"


def test_what_scripts_hold_leaves_room_for_the_next() -> None:
    greedy = "held = {} for index = 1, 40 do held[index] = buffer.create(1024 * 1024) end print(#held)"
    assert run_luau_batch([greedy] * 20) == [LuauResult("40")] * 20


@pytest.mark.parametrize("version", ["lua51", "luajit21", *SYSTEM_LUAS])
def test_plain_lua_runs_more_scripts_than_a_process_does(version: str) -> None:
    count = STATES_PER_PROCESS + 1
    assert run_lua_batch(version, ["seen = (seen or 0) + 1 print(seen)"] * count) == [LuauResult("1")] * count


@pytest.mark.parametrize("version", SYSTEM_LUAS)
def test_no_script_sees_what_another_left_in_libraries_and_metatables(version: str) -> None:
    leave = """
        local text = getmetatable("")
        mark, string.upper, text.__index, text.__call = 1, nil, nil, print
        debug.setmetatable(1, { __index = math }) debug.setmetatable(print, text) debug.sethook(type, "", 1)
        package.loaded.mark = 1 coroutine.wrap(function() mark = 2 end)(); (loadstring or load)("other_mark = 3")()
        print(mark, other_mark)
    """
    look = """
        print(mark, other_mark, ("x"):upper(), getmetatable("").__call, getmetatable(1), getmetatable(print))
        print(package.loaded.mark, debug.gethook(), _G.print == print, "10" + 5 == 15)
    """
    assert run_lua_batch(version, [leave, look]) == [
        LuauResult("2\t3"),
        LuauResult("nil\tnil\tX\tnil\tnil\tnil\nnil\tnil\ttrue\ttrue"),
    ]


@pytest.mark.parametrize("version", SYSTEM_LUAS)
def test_a_script_is_bounded_in_time_and_memory(version: str) -> None:
    greedy = "local held = {} while true do held[#held + 1] = ('x'):rep(1000000) .. #held end"
    assert run_lua(version, "while true do end", timeout_seconds=0.5) == LuauResult(crashed=True)
    greedy_result = run_lua(version, greedy, timeout_seconds=2)
    assert greedy_result.crashed or greedy_result.error == "not enough memory"
    assert run_lua(version, "print(1)") == LuauResult("1")


@pytest.mark.parametrize("version", SYSTEM_LUAS)
def test_every_byte_reaches_a_script_and_comes_back(version: str) -> None:
    every_byte = "".join(map(chr, range(1, 256)))
    quoted = "".join(f"\\{code}" for code in range(1, 256))
    text = every_byte.replace("\r", "").replace("]", "")  # what a long string changes, or ends at
    results = run_lua_batch(
        version, [f'print("{quoted}")', f"print([[\n{text}]])", "error('\xff\\\\')", "x = = '\xff'"]
    )
    assert results[0].output == every_byte
    assert results[1].output == text
    assert results[2].error == "script:1: \xff\\"
    assert results[3].compile_error is not None


def test_luajit_runs_with_its_compiler_and_without() -> None:
    source = "print(jit.version, (jit.status()))"
    assert run_lua("luajit", source).output.endswith("\ttrue")
    assert run_lua("luajit -joff", source).output.endswith("\tfalse")
