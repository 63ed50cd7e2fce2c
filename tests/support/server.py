"""The real server as a real process on a loopback port, with its data in a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from moonlatch.cli.first_start import FILE_NAME
from support.forked import ForkedCommand, can_be_forked, template

START_SECONDS = 120.0
STOP_SECONDS = 60.0


FIRST_PORT, PORTS_OF_A_PROCESS = 12_000, 2_000
"""Below those that systems take for outgoing connections, of which one could come between a probe and its use."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other call gives in this run of the tests."""
    return next(_free_ports)


def two_ports_in_a_row() -> int:
    """The first of two neighbours, each as of `free_port`."""
    first, second = free_port(), free_port()
    while second != first + 1:
        first, second = second, free_port()
    return first


def _walk() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    begin = FIRST_PORT + worker % 10 * PORTS_OF_A_PROCESS
    # Two runs of the tests at once are likely to be at different places.
    for number in itertools.count(os.getpid()):
        port = begin + number % PORTS_OF_A_PROCESS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


_free_ports = _walk()


def status_at(url: str) -> int | None:
    """What is answered there now; None when nothing is. Cheap, so that waiting for a start does not slow the start."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    return None


class MoonlatchServer:
    """`moonlatch serve` as a child process; start, kill and start it again over the same data."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None, python: str = sys.executable) -> None:
        """`python` is that of the environment whose Moonlatch is to run."""
        self.data = data
        self._python = python
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | ForkedCommand | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [self._python, "-m", "moonlatch", "serve", "--port", str(self.port), "--data", str(self.data)]

    def environment(self) -> dict[str, str]:
        """The variables it runs with: none of the tester's own settings, but those given."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOONLATCH_")}
        # Tests that look at deadlines set their own; a busy machine may need longer than a server in use would wait.
        return {**inherited, "MOONLATCH_DATABASE__DEADLINE_SECONDS": "30", **self._settings}

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the real command line, with this server's settings."""
        environment = self.environment()
        if can_be_forked([self._python, "-m", "moonlatch"], environment):
            return template().run(arguments, environment, timeout=60, check=check)
        return subprocess.run(
            [self._python, "-m", "moonlatch", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def told(self) -> str:
        """What the first start told so far: in a file, because nobody sits at a terminal here."""
        file = self.data / FILE_NAME
        return file.read_text() if file.exists() else ""

    def new_account(self, name: str, *options: str) -> str:
        """Create an account; gives its API token.

        Before the first start it also spares that start its example, which takes a second to protect.
        """
        created = self.cli("accounts", "create", name, *options, "--data", str(self.data), "--json")
        return str(json.loads(created.stdout)["secret"])

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        environment = self.environment()
        with self.log.open("ab") as log:
            start, arguments = self.command[:3], self.command[3:]
            if can_be_forked(start, environment):
                self._process = template().start(arguments, environment, log, log)
            else:
                self._process = subprocess.Popen(
                    self.command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
                )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                break
            if status_at(f"{self.url}/health/ready") == 200:
                return self
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the server did not become ready:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; gives its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended; gives its exit status."""
        assert self._process is not None
        return self._process.wait(60)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no chance to clean up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
