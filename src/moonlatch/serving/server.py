"""Runs the program's server in one process or several, and stops it so that nobody who is served notices more than they must."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from types import FrameType

import uvicorn
import uvloop

from moonlatch.app import Moonlatch, open_moonlatch
from moonlatch.clock import monotonic_seconds
from moonlatch.config import Settings
from moonlatch.logs import log_to_standard_error
from moonlatch.metrics.exposition import Reading
from moonlatch.serving import garbage
from moonlatch.serving.service_manager import tell_ready
from moonlatch.serving.supervisor import Child, Supervisor
from moonlatch.web.bounds import MAX_FRAME_BYTES
from moonlatch.web.transport import SessionTransport

STOP_SECONDS = 30
"""What is not done so long after the word to stop is broken off."""

LEAVE_SECONDS = 6.0
"""How long a process that is not alone goes on accepting while `/health/ready` says that it stops. A proxy that asks every 2 s has
been told three times by then, and connections that no proxy used are closed, which after 5 s they are: none is closed under a request."""

SPREAD_SECONDS = 15.0
"""Over how long, at most, sessions are told to come back, so that they do not all come at once."""

HURRY_SECONDS = 1.0
"""Two words to stop within this time are one that came twice: a service manager signals every process of ours."""

_KILL_SECONDS = STOP_SECONDS + 5
_BACKLOG = 2048
_LOOPBACK = "127.0.0.1"
_PING_SECONDS = 25.0
_POLL_SECONDS = 0.05

Started = Callable[[Moonlatch], Awaitable[None]]
Told = list[int]
"""Signals to end."""


class CannotListenError(Exception):
    """The address or port of the settings cannot be listened on."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        # The text knows more than the number, which for a name that is none is not the system's; it says the address again.
        reason = str(error.strerror).partition(" (while attempting")[0]
        super().__init__(f"cannot listen on {host} port {port}: {reason}")
        self.port = port
        self.errno = error.errno


def serve(settings: Settings, started: Started | None = None) -> None:
    """Run the server until SIGINT or SIGTERM; `started` is awaited once, when connections are accepted.

    Raises CannotListenError, what `open_moonlatch` raises, and with several processes ChildFailedError.
    """
    log_to_standard_error(settings.log.level, settings.log.format)
    _allow_many_open_files()
    if settings.workers == 1:
        with _listening(settings.host, settings.port) as listener:
            _run(partial(_serve, settings, listener, started))
        return
    with contextlib.ExitStack() as closing:
        with _listening(settings.host, settings.port):
            pass  # nobody else is: further sockets will share the port with whoever is there
        # Each process has a socket of its own, among which the kernel spreads connections evenly. They are the parent's, so
        # those that wait for a process that died are accepted by its successor.
        listeners = [
            closing.enter_context(_listening(settings.host, settings.port, is_shared=True))
            for _ in range(settings.workers)
        ]

        def work(child: Child) -> None:
            for number, listener in enumerate(listeners):
                if number != child.number:
                    listener.close()
            _run(partial(_serve_as, child, settings, listeners[child.number], started))

        Supervisor(work, settings.workers, stop_seconds=_KILL_SECONDS, stopping=closing.close).run()


def _run(serving: Callable[[Told], Awaitable[None]]) -> None:
    # The server takes both signals while it runs, and asks then what came before; afterwards everything is closed already.
    told: Told = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _frame: told.append(number))
    uvloop.run(_awaited(serving(told)))


async def _awaited(serving: Awaitable[None]) -> None:
    await serving


async def _serve(
    settings: Settings, listener: socket.socket, started: Started | None, told: Told, number: int = 0
) -> None:
    with contextlib.ExitStack() as closing:
        listeners = [listener]
        if settings.metrics.port:
            # Through the shared port nobody can say which process they ask.
            listeners.append(closing.enter_context(_listening(_LOOPBACK, settings.metrics.port + number)))
        async with open_moonlatch(settings) as moonlatch:
            garbage.settle()
            await Server(moonlatch, started, told).serve(sockets=listeners)


async def _serve_as(
    child: Child, settings: Settings, listener: socket.socket, started: Started | None, told: Told
) -> None:
    async def begun(moonlatch: Moonlatch) -> None:
        child.ready()
        if started is not None and child.number == 0 and child.is_first:
            await started(moonlatch)

    def orphaned() -> None:
        loop.remove_reader(child.parent_end)
        os.kill(os.getpid(), signal.SIGTERM)

    loop = asyncio.get_running_loop()
    loop.add_reader(child.parent_end, orphaned)
    await _serve(settings, listener, begun, told, child.number)


class Server(uvicorn.Server):
    """Says when it accepts connections; drains before it ends, within `STOP_SECONDS`, or ends at once when told so again."""

    def __init__(self, moonlatch: Moonlatch, started: Started | None = None, told: Sequence[int] = ()) -> None:
        """`told`: signals to end that came while nobody could hear them."""
        super().__init__(
            uvicorn.Config(
                moonlatch.application,
                http=moonlatch.http_transport,
                ws=SessionTransport,
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
                ws_ping_interval=_PING_SECONDS,
                ws_ping_timeout=_PING_SECONDS,
                lifespan="off",
                access_log=False,
                log_config=None,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._moonlatch = moonlatch
        self._when_started = started
        self._told_before = told
        self._told_at = 0.0
        moonlatch.exposition.counts.gauges.append(
            Reading("connections_open", "Open TCP connections.", lambda: len(self.server_state.connections))
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- the signature is the library's
        now = monotonic_seconds()
        if not self.should_exit:
            self.should_exit, self._told_at = True, now
        elif now - self._told_at >= HURRY_SECONDS:
            self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._told_before:
            self.should_exit = True
            return
        await super().startup(sockets)
        tell_ready()
        if self._when_started is not None:
            await self._when_started(self._moonlatch)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        deadline = monotonic_seconds() + STOP_SECONDS
        self._moonlatch.readiness.is_draining = True
        if self._moonlatch.settings.is_shared:
            self._moonlatch.http_transport.is_leaving = True
            await self._wait(asyncio.create_task(asyncio.sleep(LEAVE_SECONDS)))
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, SessionTransport):
                connection.shutdown()  # when the request under way is answered
        # Tell the sessions to come back.
        await self._wait(asyncio.create_task(self._moonlatch.live.close_all(SPREAD_SECONDS)))
        self.config.timeout_graceful_shutdown = max(1, int(deadline - monotonic_seconds()))
        await super().shutdown(sockets)

    async def _wait(self, work: asyncio.Task[None]) -> None:
        """Until it is done, unless everything is to end at once."""
        try:
            while not work.done() and not self.force_exit:
                await asyncio.wait({work}, timeout=_POLL_SECONDS)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@contextlib.contextmanager
def _listening(host: str, port: int, *, is_shared: bool = False) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=is_shared)
    except OSError as error:
        raise CannotListenError(host, port, error) from error
    with listener:
        yield listener


def _allow_many_open_files() -> None:
    """Every live session is an open file; the soft limit is often 1,024, far below what the hard one allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
