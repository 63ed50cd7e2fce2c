"""uvicorn for tests in the same process: without its pauses of a tenth of a second, which would be most of a short test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket

import uvicorn

_PAUSE_SECONDS = 0.005


def loopback_listener() -> socket.socket:
    """On a port that is free. What it accepts sends at once: the second part of an answer does not wait for the client's word.

    uvloop, which the real server runs on, sees to that itself; asyncio does for sockets that name their protocol alone.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class QuickServer(uvicorn.Server):
    """Looks often whether it is to end, and ends as soon as its connections and tasks have."""

    async def main_loop(self) -> None:
        for counter in itertools.count():
            if await self.on_tick(counter):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or [])):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while (self.server_state.connections or self.server_state.tasks) and not self.force_exit:
                    await asyncio.sleep(_PAUSE_SECONDS)
        for task in self.server_state.tasks:
            task.cancel()
