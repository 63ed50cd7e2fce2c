"""A TCP proxy that misbehaves on demand, to stand between a program and its database."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Literal

Cut = Literal["drop", "reset", "stall", "delay", "refuse"]
CUTS: tuple[Cut, ...] = ("drop", "reset", "stall", "delay", "refuse")

_DELAY_SECONDS = 0.05
_CHUNK_BYTES = 65_536
_WAITING_CONNECTIONS = 4_096
"""asyncio's own 100 are soon full; whoever comes then is not heard until the system asks again, after 1, 3, 7, 15 s."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger on, for no time


class Proxy:
    """Passes bytes on to a port of this machine until it is told to do otherwise; then until it is told to heal.

    `drop` closes every connection, `reset` breaks it, `stall` keeps it and passes nothing on, `delay` passes everything on
    late, `refuse` breaks it and takes no new one.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self._delay_seconds = 0.0
        self.port = 0

    async def cut(self, how: Cut) -> None:
        if how == "stall":
            self._may_pass.clear()
        elif how == "delay":
            self._delay_seconds = _DELAY_SECONDS
        else:
            if how == "refuse":
                await self._stop_listening()
            for writer in list(self._writers):
                if how != "drop":
                    connection = writer.get_extra_info("socket")
                    with contextlib.suppress(OSError):  # it ended by itself meanwhile
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort() if how != "drop" else writer.close()

    async def heal(self) -> None:
        self._may_pass.set()
        self._delay_seconds = 0.0
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port, backlog=_WAITING_CONNECTIONS)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._may_pass.wait()
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def proxied(target_port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a port, listening."""
    proxy = Proxy(target_port)
    await proxy.heal()
    try:
        yield proxy
    finally:
        await proxy.heal()
        await proxy.cut("refuse")
