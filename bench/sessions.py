"""Idle sessions against a bare WebSocket echo application on the same uvicorn settings: `python bench/sessions.py`.

Goals: a session holds at most 20 KiB and 1.3 times what the echo's connection holds, and opens at 0.6 of its rate or faster.
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
import time
from dataclasses import dataclass
from pathlib import Path

import licensed_script
import servers
import uvloop
from figures import Figure, print_table

SESSIONS = 15_000
WARM = 50
AT_ONCE = 64
SETTLE_SECONDS = 2.0
HANDSHAKE = (
    b"GET /client/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A client's text frame of up to 65,535 bytes, masked with zeros."""
    if len(text) < 126:
        return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text
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


@dataclass
class Ramp:
    """What it took a server to take in its connections, and what each of them holds while it is silent."""

    bytes_each: float
    per_second: float
    cpu_us: float


async def ramp(server: servers.Process, openings: list[bytes]) -> Ramp:
    loop = asyncio.get_running_loop()
    warm = [await _open(loop, server.port, one) for one in openings[:WARM]]
    await asyncio.sleep(SETTLE_SECONDS / 2)
    before, cpu, began = server.resident_bytes(), server.cpu_seconds(), time.perf_counter()
    waiting, opened = iter(openings[WARM:]), []

    async def one_after_the_other() -> None:
        opened.extend([await _open(loop, server.port, one) for one in waiting])

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    seconds, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
    await asyncio.sleep(SETTLE_SECONDS)
    added = (server.resident_bytes() - before) / len(opened)
    for connection in warm + opened:
        connection.transport.abort()
    return Ramp(added, len(opened) / seconds, cpu / len(opened) * 1e6)


async def _open(loop: asyncio.AbstractEventLoop, port: int, opening: bytes) -> Idle:
    _, connection = await loop.create_connection(lambda: Idle(opening), "127.0.0.1", port)
    await connection.ready
    return connection


def opening(script: licensed_script.LicensedScript, number: int) -> bytes:
    """The first frame of the user of that number."""
    instance, token = script.token(number)
    return json.dumps({"type": "open", "instance": instance, "token": token, "nonce": secrets.token_hex(16)}).encode()


def ramped(kind: str, argument: str, frames: list[bytes]) -> Ramp:
    # A fresh process each time: memory that was once used is not given back.
    with servers.started(kind, argument) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(ramp(server, frames))


def measure(sessions: int, rounds: int) -> list[Figure]:
    """What an idle session holds, and how fast they come in, beside the echo's connections."""
    files = sessions + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    pairs: list[tuple[Ramp, Ramp]] = []
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=sessions + WARM, payload_bytes=1_000)
        print(f"{sessions:,} idle sessions, no compression, {AT_ONCE} at once:")
        for number in range(1, rounds + 1):
            frames = [masked(opening(script, number)) for number in range(sessions + WARM)]
            bare, ours = ramped("echo", "", frames), ramped("ours", folder, frames)
            pairs.append((ours, bare))
            print(
                f"  round {number}: ours {ours.bytes_each / 1024:5.1f} KiB each, {ours.per_second:,.0f}/s"
                f" ({ours.cpu_us:.0f} us) | bare {bare.bytes_each / 1024:5.1f} KiB, {bare.per_second:,.0f}/s"
                f" ({bare.cpu_us:.0f} us)",
                flush=True,
            )
    middle = statistics.median
    kib = middle(ours.bytes_each for ours, _ in pairs) / 1024
    of_bare = middle(ours.bytes_each / bare.bytes_each for ours, bare in pairs)
    # As in `load.compare`: by the clock or by processor time, whichever says less.
    speed = middle(min(ours.per_second / bare.per_second, bare.cpu_us / ours.cpu_us) for ours, bare in pairs)
    measured = " against ".join(
        f"{middle(one.per_second for one in ones):,.0f}/s ({middle(one.cpu_us for one in ones):.0f} us)"
        for ones in zip(*pairs, strict=True)
    )
    return [
        Figure(f"idle session, of {sessions:,}", "resident memory", kib, 20, "KiB"),
        Figure(f"idle session, of {sessions:,}", "against the echo's connection", of_bare, 1.3),
        Figure("sessions opened", measured, speed, 0.6, at_least=True),
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sessions", type=int, default=SESSIONS)
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.sessions, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
