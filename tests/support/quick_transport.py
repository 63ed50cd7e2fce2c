"""Calls to servers of our own at a third of what httpx takes for one, which is more than the server does to answer it.

Most of that is httpcore, which works for any kind of event loop. `QuickTransport` is what httpx itself sends by in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

MOST_CONNECTIONS = 100
"""At once, as httpx itself limits them."""
MOST_HEAD_BYTES = 1 << 20
WITHOUT_BODY = (204, 304)


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())

    def close(self) -> None:
        self.writer.close()


@dataclass
class Head:
    status: int
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        return next((value for each, value in self.fields if each.lower() == name), None)


class QuickTransport(httpx.AsyncBaseTransport):
    """Sends plain HTTP/1.1 over asyncio's streams. What is no plain request goes by `otherwise`: TLS, and bodies that come in parts.

    A reply that says how long it is has been read when it is given back; others are read as they come.
    """

    def __init__(self, otherwise: httpx.AsyncBaseTransport) -> None:
        self._otherwise = otherwise
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises what httpx documents: `ConnectError`, `ReadTimeout`, `ReadError`, `RemoteProtocolError`."""
        if request.url.scheme != "http" or not isinstance(request.stream, httpx.ByteStream):
            return await self._otherwise.handle_async_request(request)
        async with self._places:
            seconds = request.extensions.get("timeout", {}).get("read")
            try:
                async with asyncio.timeout(seconds):
                    return await self._exchange(request, b"".join(request.stream))
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer in time", request=request) from error

    async def aclose(self) -> None:
        for waiting in self._idle.values():
            for connection in waiting:
                connection.close()
        self._idle.clear()
        await self._otherwise.aclose()

    async def _exchange(self, request: httpx.Request, body: bytes) -> httpx.Response:
        where = (request.url.host, request.url.port or 80)
        waiting = self._idle.setdefault(where, [])
        connection = None
        while waiting and connection is None:
            connection = waiting.pop()
            if not connection.is_open:
                connection.close()
                connection = None
        try:
            connection = connection or Connection(*await asyncio.open_connection(*where, limit=MOST_HEAD_BYTES))
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        try:
            head = await _ask(connection, request, body)
            length = head.get(b"content-length")
            if request.method == "HEAD" or head.status in WITHOUT_BODY:
                content: bytes | None = b""
            elif length is not None:
                content = await connection.reader.readexactly(int(length))
            else:
                content = None
        except asyncio.IncompleteReadError as error:
            connection.close()
            raise httpx.RemoteProtocolError(f"the server left after {error.partial!r}", request=request) from error
        except OSError as error:
            connection.close()
            raise httpx.ReadError(str(error), request=request) from error
        except BaseException:
            connection.close()
            raise
        if content is None:
            is_chunked = head.get(b"transfer-encoding") == b"chunked"
            return httpx.Response(head.status, headers=head.fields, stream=_Body(connection, is_chunked=is_chunked))
        if head.get(b"connection") == b"close":
            connection.close()
        else:
            waiting.append(connection)
        return httpx.Response(head.status, headers=head.fields, stream=httpx.ByteStream(content))


async def _ask(connection: Connection, request: httpx.Request, body: bytes) -> Head:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % each for each in request.headers.raw]
    connection.writer.write(b"\r\n".join([*lines, b"", body]))
    await connection.writer.drain()
    while True:
        status, *fields = (await connection.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        head = Head(int(status.split(b" ")[1]))
        if head.status >= 200:
            break
    for line in fields:
        name, _, value = line.partition(b":")
        head.fields.append((name, value.strip()))
    return head


class _Body(httpx.AsyncByteStream):
    """What comes until it ends, or until nobody wants it any more. Its connection is used for nothing else."""

    def __init__(self, connection: Connection, *, is_chunked: bool) -> None:
        self._connection = connection
        self._is_chunked = is_chunked

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = self._connection.reader
        try:
            if not self._is_chunked:
                while part := await reader.read(1 << 16):
                    yield part
                return
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                yield (await reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, OSError) as error:
            raise httpx.RemoteProtocolError("the server left in the middle of its answer") from error

    async def aclose(self) -> None:
        self._connection.close()
