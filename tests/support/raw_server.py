"""A TCP server on loopback that says exactly what it is told, and counts who came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """`connections` counts those that were made."""

    port: int = 0
    connections: int = 0


def says(*answers: bytes, closes: bool = True) -> Behaviour:
    """One answer to each request of a connection, then its end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_from(reader)
            writer.write(answer)
            await writer.drain()
        if not closes:
            await reader.read()

    return behave


async def request_from(reader: asyncio.StreamReader) -> bytes:
    """A whole request. Raises IncompleteReadError at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head + await reader.readexactly(int(length[0]) if length else 0)


@contextlib.asynccontextmanager
async def raw_server(behave: Behaviour, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[RawServer]:
    running = RawServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
