"""The servers that the client protocol's measurements compare: ours, and bare ASGI applications on the same uvicorn settings.

Run as a program it serves one of them on a free port until it is killed; `started` does that in a child process on a core of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from moonlatch.client.protocol import ClientProtocol
from moonlatch.client.reports import ReportLog
from moonlatch.client.sharing import SharingWatch
from moonlatch.clock import now_ms
from moonlatch.config.sections import ClientSettings, ConnectionSettings
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.live.memory import LocalLive
from moonlatch.master_key import MasterKeySource
from moonlatch.operations.context import World
from moonlatch.serving import garbage
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.sqlite.engine import open_sqlite
from moonlatch.web.bounds import MAX_FRAME_BYTES
from moonlatch.web.transport import SessionTransport
from support.server import MoonlatchServer

SERVER_CORE, LOAD_CORE = 0, 1
DATABASE = "moonlatch.db"


def missing_loader(message: str) -> bytes:
    return f"error({message!r})".encode()


async def body_of(receive: Any) -> bytes:
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


async def respond(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers JSON with the same JSON, and a WebSocket's texts with themselves."""
    if scope["type"] == "http":
        await respond(send, msgspec.json.encode(msgspec.json.decode(await body_of(receive))))
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


def answering(size: int) -> Any:
    """An application that decodes JSON and answers that many bytes."""
    body = b"x" * size

    async def answer(_scope: Any, receive: Any, send: Any) -> None:
        msgspec.json.decode(await body_of(receive))
        await respond(send, body)

    return answer


async def ours(folder: Path, database_url: str) -> ClientProtocol:
    database = await (open_postgres(database_url) if database_url else open_sqlite(folder / DATABASE))
    live, keyring = LocalLive(database=database, clock=now_ms), MasterKeySource(folder).open()
    world = World(database=database, tiers=BUILT_IN, clock=now_ms, keyring=keyring, live=live)
    return ClientProtocol(
        database=database,
        live=live,
        keyring=keyring,
        clock=now_ms,
        missing_loader_source=missing_loader,
        reports=ReportLog(world),
        settings=ClientSettings(executes_per_second_per_address=0, loaders_per_second_per_address=0),
        connections=ConnectionSettings(per_address=0),
        watch=SharingWatch(world),
    )


async def serve(kind: str, argument: str, database_url: str) -> None:
    app: Any = echo
    if kind == "answer":
        app = answering(int(argument))
    elif kind == "ours":
        app = await ours(Path(argument), database_url)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        app,
        http=app.http_transport() if kind == "ours" else "httptools",
        ws=SessionTransport if kind == "ours" else "websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
    )
    if kind == "ours":
        garbage.settle()  # as our program does when it has started
    else:
        gc.collect()
        gc.freeze()
    print(listener.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve([listener])


class Process:
    """A server in a child process."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        return self.own_cpu_seconds()

    def own_cpu_seconds(self) -> float:
        """That of all its threads."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident_bytes(self) -> int:
        """Memory the process has in RAM."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the system does not tell the memory of a process")


@contextlib.contextmanager
def started(kind: str, argument: object = "", database_url: str = "") -> Iterator[Process]:
    """`ours` with the data folder (and PostgreSQL instead of SQLite), `echo`, or `answer` with a number of bytes; on the servers' core."""
    command = [sys.executable, __file__, kind, str(argument), database_url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="ascii")
    try:
        assert child.stdout is not None
        yield Process(child.pid, int(child.stdout.readline()))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


@contextlib.contextmanager
def whole(folder: Path, settings: dict[str, str], core: int | None = SERVER_CORE) -> Iterator[Process]:
    """The whole program over a data folder, with settings from its environment; on one core, or wherever the system puts it."""
    server = MoonlatchServer(folder, settings)
    with server:
        if core is not None and (os.cpu_count() or 1) > core:
            for task in Path(f"/proc/{server.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})
        yield Process(server.pid, server.port)


def pin(core: int) -> None:
    """Keep this process on one core, where the machine has several."""
    if (os.cpu_count() or 1) > core:
        os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    import uvloop

    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind", choices=["ours", "echo", "answer"])
    arguments.add_argument("argument")
    arguments.add_argument("database_url")
    options = arguments.parse_args()
    pin(SERVER_CORE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.kind, options.argument, options.database_url))
