"""Runs Lua source in real interpreters: Luau in a Node child process, Lua 5.1, 5.4 and LuaJIT in a Python child process.

Text stands for bytes one to one (Latin-1): a result's `output` has one character per byte the script printed.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
LUAU_RUNNER = HERE / "luau_runner.mjs"
LUA_CHILD = HERE / "lua_child.py"
STATES_PER_PROCESS = 200  # a state's memory is given back only when its process ends
# Starts the child for some sources, given a temporary file to hand them over in.
Starter = Callable[[Sequence[str], IO[str]], "subprocess.Popen[str]"]
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
    """Runs each source in a fresh Luau state, as many as possible in one process; the time limit holds for each."""
    return _batch(sources, partial(_start_luau, run=True, is_optimised=is_optimised), timeout_seconds)


def compile_luau_batch(sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    return _batch(sources, partial(_start_luau, run=False, is_optimised=False), timeout_seconds)


def run_lua(version: str, source: str, timeout_seconds: float = 20) -> LuauResult:
    """Runs source in `lua51`, `lua54`, `luajit21` or another interpreter that lupa carries."""
    return run_lua_batch(version, [source], timeout_seconds)[0]


def run_lua_batch(version: str, sources: Sequence[str], timeout_seconds: float = 20) -> list[LuauResult]:
    """Runs each source in a fresh state, as many as possible in one process; the time limit holds for each."""
    return _batch(sources, partial(_start_lua, version), timeout_seconds)


def _start_lua(version: str, sources: Sequence[str], cases: IO[str]) -> subprocess.Popen[str]:
    json.dump([source.encode("latin-1", "backslashreplace").decode("latin-1") for source in sources], cases)
    cases.flush()
    cases.seek(0)
    return _start([sys.executable, str(LUA_CHILD), version], cases)


def _start_luau(sources: Sequence[str], cases: IO[str], *, run: bool, is_optimised: bool) -> subprocess.Popen[str]:
    json.dump({"run": run, "sources": list(sources)}, cases)
    cases.flush()
    return _start([*node_command(is_optimised=is_optimised), str(LUAU_RUNNER), cases.name], None)


def _start(command: list[str], stdin: IO[str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")


def _batch(sources: Sequence[str], start: Starter, timeout_seconds: float) -> list[LuauResult]:
    results: list[LuauResult] = []
    while len(results) < len(sources):
        cases = sources[len(results) : len(results) + STATES_PER_PROCESS]
        done = _until_crash(cases, start, timeout_seconds)
        results += done
        if len(done) < len(cases):
            results.append(LuauResult(crashed=True))
    return results


def _until_crash(sources: Sequence[str], start: Starter, timeout_seconds: float) -> list[LuauResult]:
    """Results of the sources up to the first that kills its process or exceeds its time."""
    with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as cases:
        process = start(sources, cases)
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
        reader.start()
        results: list[LuauResult] = []
        try:
            while len(results) < len(sources):
                line = lines.get(timeout=timeout_seconds)
                if not line.startswith("{"):
                    break
                results.append(_result(json.loads(line)))
        except queue.Empty:
            pass
        finally:
            process.kill()
            process.wait()
            reader.join()
            if process.stdout is not None:
                process.stdout.close()
        return results


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _result(fields: dict[str, str | None]) -> LuauResult:
    error = fields["error"]
    return LuauResult(
        output=_unescape(fields["output"] or ""),
        error=None if error is None else _unescape(error),
        compile_error=fields["compile_error"],
    )


def _unescape(text: str) -> str:
    return ESCAPED_BYTE.sub(lambda match: chr(int(match[1])), text)
