"""Raw bytes to a real server, and what the rest of the world sees of it meanwhile: others' heartbeats, memory and open files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moonlatch.master_key import MasterKeySource
from moonlatch.storage.sqlite.engine import open_sqlite
from support import rows
from support.client import Client, Copy
from support.client_server import plain_http
from support.server import MoonlatchServer

_UNTIL_SECONDS = 20


@dataclass
class Target:
    """A running server with a script, whose copies are the others."""

    server: MoonlatchServer
    token: str
    script: str
    loader: str
    secret: bytes
    key: str

    def connect(self, receive_buffer: int | None = None, source: str = "127.0.0.1") -> socket.socket:
        """A connection that says nothing by itself."""
        peer = socket.socket()
        if receive_buffer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(_UNTIL_SECONDS)
        peer.bind((source, 0))
        peer.connect(("127.0.0.1", self.server.port))
        return peer

    def ask(self, sent: bytes) -> bytes:
        """Everything the server answers before it hangs up."""
        with contextlib.closing(self.connect()) as peer:
            peer.sendall(sent)
            return until_closed(peer)

    @property
    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    @property
    def memory_mib(self) -> float:
        """Resident memory of the server's process."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    @property
    def errors(self) -> str:
        """What the server has logged as an error."""
        lines = self.server.log.read_text().splitlines()
        return "\n".join(line for line in lines if "ERROR" in line or "Traceback" in line)

    def start(self) -> tuple[bytes, Callable[[], bytes]]:
        """Start the script; gives the token and what makes the bytes of its next heartbeat."""
        copy = asyncio.run(self._started())

        def beat() -> bytes:
            body = {"instance": copy.instance, "token": copy.reply["token"], "sequence": copy.moments.next()}
            return post("/client/v1/heartbeat", body)

        return str(copy.reply["token"]).encode(), beat

    async def _started(self) -> Copy:
        async with plain_http(timeout=60) as http:
            return await Client(self.server.url, self.script, self.loader, self.secret, http).execute(key=self.key)


async def prepared(server: MoonlatchServer) -> Target:
    """What a server will serve when it is started."""
    token = server.new_account("wire")
    database = await open_sqlite(server.data / "moonlatch.db")
    try:
        keyring = MasterKeySource(server.data).open()
        project = await rows.add_project(database)
        script, loader = await rows.add_script(database, project)
        key = await rows.add_user(database, project, keyring=keyring)
        return Target(server, token, script, loader, keyring.loader_secret(loader), key)
    finally:
        await database.close()


def post(path: str, body: object, headers: str = "") -> bytes:
    """A whole request; `body` as it is, or as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def until_closed(peer: socket.socket) -> bytes:
    """What comes until the server hangs up. Raises TimeoutError when it does not."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := peer.recv(65_536):
            answer += part
    return answer


def one_answer(peer: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer of known length."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = peer.recv(65_536)
        assert part, head
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += peer.recv(65_536)
    return int(head.split()[1]), body


@dataclass
class Bystander:
    """A copy that beats all the time, and how long its answers take, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


@contextlib.contextmanager
def bystander(target: Target) -> Iterator[Bystander]:
    """Somebody who notices what others do to the server during the block."""
    _, beat = target.start()
    seen, ended = Bystander(), threading.Event()

    def run() -> None:
        with contextlib.closing(target.connect()) as peer:
            while not ended.is_set():
                began = time.perf_counter()
                peer.sendall(beat())
                status, _ = one_answer(peer)
                assert status == 200
                seen.seconds.append(time.perf_counter() - began)
                ended.wait(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
