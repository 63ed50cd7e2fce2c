"""Idle sessions against a bare WebSocket echo application on the same uvicorn settings: `python bench/sessions.py`.

Goals: a session holds at most 20 KiB and 1.3 times what the echo's connection holds, and opens at 0.6 of its rate or faster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import licensed_script
import rates
import servers
import uvloop
from figures import Figure, print_table

SESSIONS = 15_000
WARM = 50
AT_ONCE = 64
COMPARED, PART = 9_000, 500
"""Where both sides' connections are open at once, and files are limited to 20,000 a process."""

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


async def ramp(server: servers.Process, openings: Sequence[bytes]) -> tuple[rates.Counted, list[Idle]]:
    """Open a connection for each, some at once."""
    loop = asyncio.get_running_loop()
    cpu, began = server.cpu_seconds(), time.perf_counter()
    waiting, opened = iter(openings), []

    async def one_after_the_other() -> None:
        opened.extend([await _open(loop, server.port, one) for one in waiting])

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    seconds, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
    return rates.Counted(len(opened) / seconds, cpu / len(opened) * 1e6), opened


class Memory:
    """What each of a server's connections holds while it is silent."""

    def __init__(self, server: servers.Process) -> None:
        self._server = server
        self._before = server.resident_bytes()

    async def of_each(self, connections: int) -> float:
        await asyncio.sleep(SETTLE_SECONDS)
        return (self._server.resident_bytes() - self._before) / connections


async def held_by_bare(openings: list[bytes]) -> float:
    """Bytes of one of as many of the echo's connections."""
    # A fresh process: memory that was once used is not given back.
    with servers.started("echo") as bare:
        await ramp(bare, openings[:WARM])
        memory = Memory(bare)
        _, connections = await ramp(bare, openings[WARM:])
        held = await memory.of_each(len(connections))
        _hang_up(connections)
    return held


async def held_by_ours(folder: str, openings: list[bytes]) -> tuple[float, list[tuple[rates.Counted, rates.Counted]]]:
    """Bytes of one of our sessions; and how fast the first came, a part of them after as many of the echo's."""
    with servers.started("ours", folder) as ours, servers.started("echo") as bare:
        for server in (ours, bare):
            await ramp(server, openings[:WARM])
        memory = Memory(ours)
        pairs, sessions, beside = [], [], []
        for start in range(WARM, WARM + COMPARED, PART):
            theirs, connections = await ramp(bare, openings[start : start + PART])
            beside += connections
            mine, connections = await ramp(ours, openings[start : start + PART])
            sessions += connections
            pairs.append((mine, theirs))
            print(f"  {len(sessions):6,}: {rates.side_by_side(mine, theirs)}", flush=True)
        _hang_up(beside)
        await asyncio.sleep(SETTLE_SECONDS)
        _, connections = await ramp(ours, openings[WARM + COMPARED :])
        sessions += connections
        held = await memory.of_each(len(sessions))
        _hang_up(sessions)
    return held, pairs


def _hang_up(connections: Sequence[Idle]) -> None:
    for connection in connections:
        connection.transport.abort()


async def _open(loop: asyncio.AbstractEventLoop, port: int, opening: bytes) -> Idle:
    _, connection = await loop.create_connection(lambda: Idle(opening), "127.0.0.1", port)
    await connection.ready
    return connection


def opening(script: licensed_script.LicensedScript, number: int) -> bytes:
    """The first frame of the user of that number."""
    instance, token = script.token(number)
    return json.dumps({"type": "open", "instance": instance, "token": token, "nonce": secrets.token_hex(16)}).encode()


def measure() -> list[Figure]:
    """What an idle session holds, and how fast they come in, beside the echo's connections."""
    files = max(SESSIONS, 2 * COMPARED) + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=SESSIONS + WARM, payload_bytes=1_000)
        print(f"{SESSIONS:,} idle sessions, no compression, {AT_ONCE} at once:")
        frames = [masked(opening(script, number)) for number in range(SESSIONS + WARM)]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            bare = runner.run(held_by_bare(frames))
            ours, pairs = runner.run(held_by_ours(folder, frames))
    print(f"  held: ours {ours / 1024:.1f} KiB each | bare {bare / 1024:.1f} KiB", flush=True)
    return [
        Figure(f"idle session, of {SESSIONS:,}", "resident memory", ours / 1024, 20, "KiB"),
        Figure(f"idle session, of {SESSIONS:,}", "against the echo's connection", ours / bare, 1.3),
        Figure("sessions opened", rates.in_words(pairs), rates.speed(pairs), 0.6, at_least=True),
    ]


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure())


if __name__ == "__main__":
    sys.exit(main())
