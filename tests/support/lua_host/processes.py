"""The processes that runs of `support.lua_host` happen in.

Starting an interpreter takes longer than most runs. So a process with Luau is kept for the next run, and one with a Lua of lupa's
is forked from the process that has imported everything (`support.forked`). Either way a run begins with nothing of another's.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from support.forked import ForkedCommand, Program, template
from support.luau import node_command

HERE = Path(__file__).parent
STOPPING_SECONDS = 5.0
"""Before a process that does not stop a run, because it is in the middle of a long loop, is killed."""


class Host(Protocol):
    """One run."""

    def lines(self) -> Iterator[bytes]:
        """Everything that it tells, until it is over or its process has died."""

    def ask_to_stop(self) -> None:
        """Make it end without another word to the outside, like a user who closes the game."""

    def kill(self) -> None:
        """End its process."""

    def last_words(self) -> str:
        """What its process wrote when it died."""


def lua_host(engine: str, start: Path, time_rate: float, files: Path) -> Host:
    """Start a run in a Lua that lupa carries. `engine` is the name of lupa's module."""
    return _Forked(engine, start, time_rate, files)


def luau_host(start: Path, time_rate: float, files: Path, *, is_optimised: bool) -> Host:
    """Start a run in Luau."""
    waiting = _idle[is_optimised]
    process = waiting.pop() if waiting else _LuauProcess(is_optimised=is_optimised)
    return _Kept(process, {"start": str(start), "rate": time_rate, "files": str(files)}, waiting)


class _Forked:
    def __init__(self, engine: str, start: Path, time_rate: float, files: Path) -> None:
        reading, writing = os.pipe()
        self._told = open(reading, "rb")  # noqa: SIM115 (closed when all is read)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (goes with the run)
        with open(writing, "wb") as told:
            arguments = (engine, str(HERE / "host.lua"), str(start), str(time_rate), str(files))
            self._command: ForkedCommand = template().start(
                arguments, os.environ, told, self._errors, program=Program.LUA_HOST
            )

    def lines(self) -> Iterator[bytes]:
        with self._told:
            yield from self._told

    def ask_to_stop(self) -> None:
        self.kill()

    def kill(self) -> None:
        self._command.kill()
        self._command.wait()

    def last_words(self) -> str:
        return _text_of(self._errors)


class _LuauProcess:
    """A process that runs scripts one after another. It ends when its standard input does, so that none outlives who started it."""

    def __init__(self, *, is_optimised: bool) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (goes with the process)
        self._child = subprocess.Popen(
            [*node_command(is_optimised=is_optimised), HERE / "luau_host.mjs", HERE / "host.lua"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._orders: IO[bytes] = self._child.stdin
        self.told: IO[bytes] = self._child.stdout

    def order(self, order: dict[str, object]) -> None:
        self._orders.write(json.dumps(order).encode() + b"\n")
        self._orders.flush()

    def kill(self) -> None:
        self._child.kill()

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self.told.close()
        try:
            self._orders.close()
        except BrokenPipeError:  # an order was still to be written
            pass


_idle: dict[bool, list[_LuauProcess]] = {False: [], True: []}
_ids = itertools.count(1)


class _Kept:
    def __init__(self, process: _LuauProcess, order: dict[str, object], waiting: list[_LuauProcess]) -> None:
        self._process = process
        self._waiting = waiting
        self._id = next(_ids)
        process.order({"id": self._id, **order})

    def lines(self) -> Iterator[bytes]:
        for line in self._process.told:
            told = json.loads(line)
            if told["event"] == "over":
                if told["text"] != "full":
                    self._waiting.append(self._process)
                    return
                break
            yield line
        self._process.end()

    def ask_to_stop(self) -> None:
        try:
            self._process.order({"stop": self._id})  # which says nothing to a run that came after this one
        except (BrokenPipeError, ValueError):  # it has ended
            pass

    def kill(self) -> None:
        self._process.kill()

    def last_words(self) -> str:
        return _text_of(self._process.errors)


def _text_of(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode()


@atexit.register
def _end_all() -> None:
    for process in itertools.chain.from_iterable(_idle.values()):
        process.end()


# A forked child would speak into its parent's conversations.
os.register_at_fork(after_in_child=lambda: [waiting.clear() for waiting in _idle.values()])
