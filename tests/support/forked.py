"""The real command line in processes of its own that do not each import all of it: they are forked from one that did.

A test that starts `python -m moonlatch` waits for a second of imports; the suite did so some hundreds of times. Here one
process per process of the tests imports it once and forks for every command: same code, same signals, same files, an
environment and a folder of its own. What looks at the start of an interpreter itself starts one (`tests/cli/test_serve.py`).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO

MAX_ORDER_BYTES = 1 << 17
TESTS = str(Path(__file__).parents[1])
NOT_FORKED = ("LD_PRELOAD", "PYTHON")
"""What begins so in an environment is read when an interpreter starts."""


class Program(StrEnum):
    """What a fork of the template can be. The values are the modules whose `main` it calls."""

    MOONLATCH = "moonlatch.cli"
    LUA_HOST = "support.lua_host.lupa_host"


def can_be_forked(start: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a fork of the template is the same as what these words start in that environment."""
    return list(start) == [sys.executable, "-m", "moonlatch"] and not any(
        name.startswith(NOT_FORKED) and os.environ.get(name) != value for name, value in environment.items()
    )


class ForkedCommand:
    """A running command, with those of `subprocess.Popen`'s members that the tests use."""

    def __init__(self, pid: int, ended: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        return self._status(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises `subprocess.TimeoutExpired`."""
        status = self._status(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"forked process {self.pid}", timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._ended.settimeout(timeout)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                told = self._ended.recv(64)
                assert told, "the process that forks commands has died"
                self.returncode = int(told)
                self._ended.close()
        return self.returncode


class Template:
    """The process that has imported everything; it ends, and kills what it forked, with the one that started it."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        program: Program = Program.MOONLATCH,
    ) -> ForkedCommand:
        """Run the program with these arguments, and nothing to read from standard input."""
        order = json.dumps([program, list(arguments), dict(environment), str(Path.cwd())]).encode()
        assert len(order) < MAX_ORDER_BYTES
        ended, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._orders, [order], [stdout.fileno(), stderr.fileno(), theirs.fileno()])
        pid = ended.recv(64)
        assert pid, "the process that forks commands has died"
        return ForkedCommand(int(pid), ended)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float, *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        """Run `moonlatch` to its end, as `subprocess.run` does with `capture_output` and `text`; `timeout` in seconds."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            command = self.start(arguments, environment, stdout, stderr)
            try:
                status = command.wait(timeout)
            finally:
                command.kill()
            stdout.seek(0)
            stderr.seek(0)
            ended = subprocess.CompletedProcess(arguments, status, stdout.read().decode(), stderr.read().decode())
        if check:
            ended.check_returncode()
        return ended


@functools.cache
def template() -> Template:
    """That of this process."""
    return Template()


class HeardCommand:
    """`moonlatch` with those arguments, and with what of `subprocess.Popen` the tests use where they hear what it says, as text."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        with open(to_out, "wb") as stdout, open(to_err, "wb") as stderr:
            self._command = template().start(arguments, environment, stdout, stderr)
        self.stdout = open(out, encoding="utf-8")  # noqa: SIM115 (closed in communicate)
        self.stderr = open(err, encoding="utf-8")  # noqa: SIM115 (closed in communicate)

    @property
    def returncode(self) -> int | None:
        return self._command.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it says on either until its end, which is less than a pipe holds. Raises `subprocess.TimeoutExpired`."""
        self._command.wait(timeout)
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._command.kill()
        self.communicate()


def import_everything() -> None:
    """All that any command, the server or a host for Lua imports, however late."""
    package = importlib.import_module("moonlatch")
    for module in pkgutil.walk_packages(package.__path__, "moonlatch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for late in (
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.httptools_impl",
        "asyncpg",
        "redis",
        "websockets.sync.client",
        *(f"lupa.{module.name}" for module in pkgutil.iter_modules(importlib.import_module("lupa").__path__)),
    ):
        importlib.import_module(late)
    sys.path.insert(0, TESTS)
    importlib.import_module(Program.LUA_HOST)
    sys.path.remove(TESTS)


def fork_commands(orders: socket.socket) -> bytes | None:
    """Until the one who orders has gone; in each process that is forked it gives what was ordered of it."""
    import_everything()
    gc.collect()
    gc.freeze()
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is not orders:
                selector.unregister(key.fd)
                _tell_end(key.fd, *running.pop(key.fd))
                continue
            order, descriptors, _, _ = socket.recv_fds(orders, MAX_ORDER_BYTES, 3)
            if not order:
                for pid, _ in running.values():
                    os.kill(pid, signal.SIGKILL)
                return None
            stdout, stderr, ended = descriptors[0], descriptors[1], socket.socket(fileno=descriptors[2])
            pid = os.fork()
            if not pid:
                os.dup2(stdout, sys.stdout.fileno())
                os.dup2(stderr, sys.stderr.fileno())
            os.close(stdout)
            os.close(stderr)
            if not pid:
                selector.close()
                for connection in (orders, ended, *(ended for _, ended in running.values())):
                    connection.close()
                for watched in running:
                    os.close(watched)
                return order
            ended.send(str(pid).encode())
            watched = os.pidfd_open(pid)
            selector.register(watched, selectors.EVENT_READ)
            running[watched] = (pid, ended)


def _tell_end(watched: int, pid: int, ended: socket.socket) -> None:
    os.close(watched)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with ended, contextlib.suppress(OSError):
        ended.send(str(status).encode())


def obey(order: bytes) -> None:
    """Run the program as ordered; it ends this process."""
    program, arguments, environment, folder = json.loads(order)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    if program == Program.LUA_HOST:
        importlib.import_module(program).main(*arguments)
        os._exit(0)  # taking down what a command needs would take longer than most runs
    # As `python -m` sets it: hints that are to be pasted repeat how the command was called.
    sys.argv = [str(Path(importlib.import_module("moonlatch").__path__[0], "__main__.py")), *arguments]
    importlib.import_module(program).main()


if __name__ == "__main__":
    # Without the folder of this file in front, whose modules have names of the standard library.
    sys.path.pop(0)
    ordered = fork_commands(socket.socket(fileno=int(sys.argv[1])))
    if ordered is not None:
        obey(ordered)
