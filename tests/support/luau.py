"""Runs Lua source in real interpreters: Luau in a Node child process, Lua 5.1, 5.4 and LuaJIT in a Python child process.

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
LUA_CHILD = HERE / "lua_child.py"
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
    sources: Sequence[str], timeout_seconds: float = 20, *, is_optimised: bool = False
) -> list[LuauResult]:
    """Runs each source in a fresh Luau state; the time limit holds for each."""
    return _run_in_luau(sources, timeout_seconds, run=True, is_optimised=is_optimised)


def compile_luau_batch(sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    return _run_in_luau(sources, timeout_seconds, run=False, is_optimised=False)


def _run_in_luau(sources: Sequence[str], timeout_seconds: float, *, run: bool, is_optimised: bool) -> list[LuauResult]:
    command = (*node_command(is_optimised=is_optimised), str(LUAU_RUNNER))
    cases = ({"run": run, "source": source} for source in sources)
    return [_result(fields) for fields in run_cases(command, cases, timeout_seconds)]


def run_lua(version: str, source: str, timeout_seconds: float = 20) -> LuauResult:
    """Runs source in `lua51`, `lua54`, `luajit21` or another interpreter that lupa carries."""
    return run_lua_batch(version, [source], timeout_seconds)[0]


def run_lua_batch(version: str, sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    """Runs each source in a fresh state; the time limit holds for each."""
    cases = ({"source": source.encode("latin-1", "backslashreplace").decode("latin-1")} for source in sources)
    return [_result(fields) for fields in run_cases((sys.executable, str(LUA_CHILD), version), cases, timeout_seconds)]


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
