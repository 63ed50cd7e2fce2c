"""Memory of idle sessions against a bare WebSocket echo application on the same uvicorn settings: `python bench/sessions.py`.

Goal: 5,000 idle sessions cost at most 1.5 times what the echo application's connections cost each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import secrets
import statistics
import sys
import tempfile
from pathlib import Path

import licensed_script
import servers
import uvloop
from load import verdict

SETTLE_SECONDS = 2.0
HANDSHAKE = (
    b"GET /client/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A client's text frame of 126 to 65,535 bytes, masked with zeros."""
    return b"\x81\xfe" + len(text).to_bytes(2) + bytes(4) + text


class Idle(asyncio.Protocol):
    """A connection that says one thing, hears one thing, and answers pings."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._upgraded = False
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self._upgraded:
            assert data.startswith(b"HTTP/1.1 101"), data[:200]
            self._upgraded = True
            self.transport.write(self._first)
        elif data[0] == 0x89:
            self.transport.write(b"\x8a" + bytes([0x80 | data[1]]) + bytes(4) + data[2 : 2 + data[1]])
        elif not self.ready.done():
            assert data[0] == 0x81, data[:200]
            self.ready.set_result(None)


async def bytes_each(server: servers.Process, openings: list[bytes]) -> float:
    """Memory that the connections add to the server, each, while they are open and silent."""
    loop = asyncio.get_running_loop()
    warm = [await _open(loop, server.port, opening) for opening in openings[:50]]
    await asyncio.sleep(SETTLE_SECONDS / 2)
    before = server.resident_bytes()
    opened = [await _open(loop, server.port, opening) for opening in openings[50:]]
    await asyncio.sleep(SETTLE_SECONDS)
    added = (server.resident_bytes() - before) / len(opened)
    for connection in warm + opened:
        connection.transport.abort()
    return added


async def _open(loop: asyncio.AbstractEventLoop, port: int, opening: bytes) -> Idle:
    _, connection = await loop.create_connection(lambda: Idle(opening), "127.0.0.1", port)
    await connection.ready
    return connection


def openings(script: licensed_script.LicensedScript, count: int) -> list[bytes]:
    frames = []
    for number in range(count):
        instance, token = script.token(number)
        frame = {"type": "open", "instance": instance, "token": token, "nonce": secrets.token_hex(16)}
        frames.append(masked(json.dumps(frame).encode()))
    return frames


def measure(kind: str, argument: str, frames: list[bytes]) -> float:
    # A fresh process each time: memory that was once used is not given back.
    with servers.started(kind, argument) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bytes_each(server, frames))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sessions", type=int, default=5_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    files = options.sessions + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    servers.pin(servers.LOAD_CORE)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=options.sessions + 50, payload_bytes=1_000)
        print(f"{options.sessions:,} idle sessions, no compression:")
        for number in range(1, options.rounds + 1):
            frames = openings(script, options.sessions + 50)
            bare, ours = measure("echo", "", frames), measure("ours", folder, frames)
            ratios.append(ours / bare)
            print(
                f"  round {number}: ours {ours / 1024:5.1f} KiB each | bare {bare / 1024:5.1f} KiB | x{ratios[-1]:.2f}"
            )
    return 0 if verdict("memory, times the echo's", statistics.median(ratios), 1.5, at_least=False) else 1


if __name__ == "__main__":
    sys.exit(main())
