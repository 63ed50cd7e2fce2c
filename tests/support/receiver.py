"""A receiver of webhooks: a real HTTP server on loopback that answers as it is told and remembers what came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

Reply = tuple[int, dict[str, str], bytes]
OK: Reply = (200, {}, b"ok")


@dataclass
class Received:
    """One request: names of headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """`replies` are for the next requests, then `usual` is the answer; None hangs up without one."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    replies: list[Reply | None] = field(default_factory=list)
    usual: Callable[[Received], Reply | None] = lambda _: OK
    came: asyncio.Event = field(default_factory=asyncio.Event)
    open_now: int = 0
    most_open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    async def got(self, count: int, seconds: float = 60) -> list[Received]:
        """Wait for so many requests in all."""
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                self.came.clear()
                await self.came.wait()
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        got = Received(head[0].split(" ")[1], headers, body)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        reply = self.replies.pop(0) if self.replies else self.usual(got)
        await asyncio.sleep(0)
        self.open_now -= 1
        self.received.append(got)
        self.came.set()
        if reply is None:
            return False
        status, extra, content = reply
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *(f"{k}: {v}" for k, v in extra.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    running = Receiver()
    server = await asyncio.start_server(running.serve, "127.0.0.1", port)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
