"""The Luraph service for tests: a real HTTP server on a loopback port that speaks its API, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

API_KEY = "a-key-of-the-customer-4f1d"
NODES: dict[str, Any] = {
    "recommendedId": "main",
    "nodes": {
        "main": {
            "cpuUsage": 12.5,
            "options": {
                "TARGET_VERSION": {
                    "name": "Target version",
                    "description": "",
                    "tier": "CUSTOMER_ONLY",
                    "type": "DROPDOWN",
                    "choices": ["Lua 5.1", "Luau", "LuaJIT"],
                    "required": False,
                },
                "INTENSE": {
                    "name": "Intense",
                    "description": "",
                    "tier": "PREMIUM_ONLY",
                    "type": "CHECKBOX",
                    "choices": [],
                    "required": True,
                },
                "WATERMARK": {
                    "name": "Watermark",
                    "description": "",
                    "tier": "CUSTOMER_ONLY",
                    "type": "TEXT",
                    "choices": [],
                    "required": False,
                },
            },
        },
        "beta": {"cpuUsage": 0, "options": {}},
    },
}
# What the service's own macros come to, so that its results run.
_MACROS = (
    "local LPH_NO_VIRTUALIZE,LPH_JIT,LPH_JIT_MAX,LPH_NO_UPVALUES,LPH_ENCFUNC="
    "function(f) return f end,function(f) return f end,function(f) return f end,function(f) return f end,"
    "function(f) return f end "
    "local LPH_ENCSTR,LPH_STRENC,LPH_ENCNUM,LPH_NUMENC="
    "function(v) return v end,function(v) return v end,function(v) return v end,function(v) return v end "
)


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(status: int = 200, body: Any = b"", **headers: str) -> Behaviour:
    """A whole answer; what is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()

    return behave


def raw(content: bytes) -> Behaviour:
    """These bytes, then the connection is closed."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return behave


async def hang(writer: asyncio.StreamWriter) -> None:
    """No answer until the client goes."""
    await writer.wait_closed()


async def drip(writer: asyncio.StreamWriter) -> None:
    """An answer that goes on for ever, a byte at a time."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(writer: asyncio.StreamWriter) -> None:
    """An answer without end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while not writer.is_closing():
        writer.write(chunk)
        await writer.drain()


@dataclass
class LuraphServer:
    """`base_url` is what the engine is given. Jobs are kept as the texts that were sent."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    jobs: dict[str, bytes] = field(default_factory=dict)
    _planned: dict[str, list[Behaviour]] = field(default_factory=dict)
    _server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def plan(self, endpoint: str, *behaviours: Behaviour) -> None:
        """What the next calls of an endpoint (`nodes`, `new`, `status`, `download`) get, in place of what is right."""
        self._planned.setdefault(endpoint, []).extend(behaviours)

    def calls(self, endpoint: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(f"/v1/obfuscate/{endpoint}")]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read(reader)
            self.requests.append(request)
            endpoint = request.path.removeprefix("/v1/obfuscate/").partition("/")[0]
            planned = self._planned.get(endpoint)
            await (planned.pop(0) if planned else self._right(request, endpoint))(writer)
        writer.close()

    def _right(self, request: Request, endpoint: str) -> Behaviour:
        job = request.path.rpartition("/")[2]
        if request.headers.get("luraph-api-key") != API_KEY:
            return reply(401, {"errors": [{"param": "Luraph-API-Key", "message": "Invalid API key."}]})
        match request.method, endpoint:
            case "GET", "nodes":
                return reply(200, NODES)
            case "POST", "new":
                job = f"job-{len(self.jobs) + 1}"
                self.jobs[job] = base64.b64decode(request.json["script"], validate=True)
                return reply(200, {"jobId": job})
            case "GET", "status" if job in self.jobs:
                waited = [each for each in self.calls("status") if each.path == request.path]
                too_many = reply(429, {"errors": [{"message": "This job was waited for too often."}]})
                return reply() if len(waited) <= 3 else too_many
            case "GET", "download" if job in self.jobs:
                return reply(200, protected_text(self.jobs[job]), Content_Disposition='attachment; filename="x.lua"')
        return reply(404, {"errors": [{"param": "jobId", "message": "There is no such job."}]})


def protected_text(text: bytes) -> bytes:
    """What this service makes of a text: it gets the same arguments, and its macros mean something."""
    head = b"-- This file was protected using Luraph Obfuscator\nreturn(function(...) "
    return head + _MACROS.encode() + text + b" end)(...)\n"


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@contextlib.asynccontextmanager
async def luraph_server() -> AsyncIterator[LuraphServer]:
    """A service that does everything right until it is told otherwise."""
    server = LuraphServer()
    await server.start()
    yield server
    await server.stop()


@contextlib.contextmanager
def luraph_in_thread() -> Iterator[LuraphServer]:
    """The same for tests without an event loop."""
    server, is_ready, is_over = LuraphServer(), threading.Event(), threading.Event()

    async def serve() -> None:
        await server.start()
        is_ready.set()
        await asyncio.to_thread(is_over.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_ready.wait(10)
    try:
        yield server
    finally:
        is_over.set()
        thread.join(10)
