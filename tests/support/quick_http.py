"""A client for many calls to a server of our own, one after the other on one connection: what the tests use of `httpx.AsyncClient`.

httpx takes longer for a call than the server does to answer it.
"""

from __future__ import annotations

import asyncio
import json as json_format
from dataclasses import dataclass
from typing import Any


@dataclass
class Asked:
    content: bytes


@dataclass
class Reply:
    request: Asked
    status_code: int
    headers: dict[str, str]
    """By their names in lower case."""
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json_format.loads(self.content)


class QuickHttp:
    """The server must say how long its replies are, and keep the connection for as long as this client is used."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, url: str, **options: Any) -> Reply:
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> Reply:
        return await self.request("POST", url, **options)

    async def request(self, method: str, url: str, *, headers: dict[str, str] | None = None, json: Any = None) -> Reply:
        """Call `url`, which may stand without the base."""
        authority = self._base_url.removeprefix("http://")
        body = b"" if json is None else json_format.dumps(json).encode()
        fields = {"host": authority, "content-length": str(len(body)), **(headers or {})}
        if json is not None:
            fields["content-type"] = "application/json"
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        if self._streams is None:
            host, port = authority.split(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        writer.write(f"{method} {url.removeprefix(self._base_url)} HTTP/1.1\r\n{head}\r\n".encode() + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        of_reply = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        content = await reader.readexactly(int(of_reply["content-length"]))
        return Reply(Asked(body), int(status.split(" ")[1]), of_reply, content)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
