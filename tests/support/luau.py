"""Runs Lua source in real interpreters: Luau in a Node child process, plain Lua in the system's own programs or lupa's.

Text stands for bytes one to one (Latin-1): a result's `output` has one character per byte the script printed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.interpreter import Fields, run_cases

HERE = Path(__file__).parent
LUAU_RUNNER = HERE / "luau_runner.mjs"
LUPA_CHILD = HERE / "lua_child.py"
LUA_CHILD = HERE / "lua_child.lua"
MOST_BYTES = 1024**3
"""Of memory, for a process of the system's own interpreters; those of Luau and lupa stay below it by themselves."""
SYSTEM_PROGRAMS = ("lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit")
"""Debian's packages of the same names; its LuaJIT is 2.1.0-beta3, as many games and Ubuntu 22.04 have it."""
SYSTEM_LUAS = (*SYSTEM_PROGRAMS, "luajit -joff")
ESCAPED_BYTE = re.compile(r"\\(\d{3})")


@dataclass(frozen=True)
class LuauResult:
    """What became of one script.

    `output` is what it printed, lines joined by newlines; `error` the text of the value it raised (`<table>` for what is
    no text), `compile_error` the compiler's message with its `script:LINE:`; `crashed` that the interpreter died or
    ran out of time.
    """

    output: str = ""
    error: str | None = None
    compile_error: str | None = None
    crashed: bool = False


def node_command(*, is_optimised: bool) -> list[str]:
    """What runs Luau. Optimised it is quick, as it is in a game, but optimising takes longer than a short script runs.

    It has less room for nesting then, too: what is at a limit of the compiler may be beyond that of the machine.
    """
    return ["node"] if is_optimised else ["node", "--liftoff-only"]


def run_luau(source: str, timeout_seconds: float = 20) -> LuauResult:
    return run_luau_batch([source], timeout_seconds)[0]


def compile_luau(source: str, timeout_seconds: float = 20) -> str | None:
    """Luau's own message for a source it rejects, None for one it accepts."""
    return compile_luau_batch([source], timeout_seconds)[0].compile_error


def run_luau_batch(
    sources: Sequence[str], timeout_seconds: float = 20, *, is_optimised: bool = False, loads: bool = False
) -> list[LuauResult]:
    """Runs each source in a fresh Luau state, with a `loadstring` where it `loads`; the time limit holds for each."""
    return _run_in_luau(sources, timeout_seconds, run=True, is_optimised=is_optimised, loads=loads)


def compile_luau_batch(sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    return _run_in_luau(sources, timeout_seconds, run=False, is_optimised=False)


def _run_in_luau(
    sources: Sequence[str], timeout_seconds: float, *, run: bool, is_optimised: bool, loads: bool = False
) -> list[LuauResult]:
    command = (*node_command(is_optimised=is_optimised), str(LUAU_RUNNER))
    cases = ({"run": run, "source": source, "loads": loads} for source in sources)
    return [_result(fields) for fields in run_cases(command, cases, timeout_seconds)]


def run_lua(interpreter: str, source: str, timeout_seconds: float = 20) -> LuauResult:
    """Runs source in `lua51`, `lua54`, `luajit21` or another interpreter that lupa carries, or in one of the system's.

    Those are called as on a command line: `lua5.1` to `lua5.4`, `luajit`, `luajit -joff`.
    """
    return run_lua_batch(interpreter, [source], timeout_seconds)[0]


def run_lua_batch(interpreter: str, sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    """Runs each source in a fresh state; the time limit holds for each."""
    program, *options = interpreter.split()
    if program in SYSTEM_PROGRAMS:
        # One in an endless loop would not notice that its standard input has ended.
        limits = ("setpriv", "--pdeathsig", "KILL", "prlimit", f"--as={MOST_BYTES}")
        command: tuple[str, ...] = (*limits, program, *options, str(LUA_CHILD))
    else:
        command = (sys.executable, str(LUPA_CHILD), interpreter)
    cases = ({"source": source.encode("latin-1", "backslashreplace").decode("latin-1")} for source in sources)
    return [_result(fields) for fields in run_cases(command, cases, timeout_seconds)]


def _result(fields: Fields | None) -> LuauResult:
    if fields is None:
        return LuauResult(crashed=True)
    error = fields["error"]
    return LuauResult(
        output=_unescape(fields["output"] or ""),
        error=None if error is None else _unescape(error),
        compile_error=fields["compile_error"],
    )


def _unescape(text: str) -> str:
    return ESCAPED_BYTE.sub(lambda match: chr(int(match[1])), text)
