"""Messages to live sessions through the management API: `python bench/messages.py`.

Round trips to 64 sessions at once, one call for all of them, against those of a bare WebSocket echo application with as many
connections; and how long one call to 1,000 sessions waits. The server is the whole program, on one core.

Goals: at least 0.3 of the echo's round trips per second; 1,000 sessions answer within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import licensed_script
import rates
import servers
import uvloop
from figures import Figure, print_table
from sessions import HANDSHAKE, masked, opening

AT_ONCE, MANY = 64, 1_000
BULK_ROUNDS = 5
SETTINGS = {
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000",
    "MOONLATCH_MANAGEMENT__BURST": "100000",
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "100000",
    "MOONLATCH_CLIENT__EXECUTE_BURST": "100000",
}
WORDS = b'{"words":"as long as what a script answers"}'


class Client(asyncio.Protocol):
    """A WebSocket that shakes hands, says one thing, and then says whatever `answer` makes of each text it hears."""

    def __init__(self, first: bytes, answer: Callable[[bytes], bytes]) -> None:
        self._first, self._answer = first, answer
        self._read = b""
        self._upgraded = False
        self.heard = 0
        self.first_text: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._upgraded:
            head, end, self._read = self._read.partition(b"\r\n\r\n")
            assert end, "the handshake's answer comes in one piece"
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded = True
            self.transport.write(masked(self._first))
        while (frame := self._next_frame()) is not None:
            kind, text = frame
            if kind == 0x89:
                self.transport.write(b"\x8a" + bytes([0x80 | len(text)]) + bytes(4) + text)
            elif kind == 0x81:
                self._hear(text)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.first_text.done():
            self.first_text.set_exception(ConnectionError(f"the server hung up: {self._read!r}"))

    def say(self, text: bytes) -> None:
        self.transport.write(masked(text))

    def _hear(self, text: bytes) -> None:
        if not self.first_text.done():
            self.first_text.set_result(text)
            return
        self.heard += 1
        answer = self._answer(text)
        if answer:
            self.say(answer)

    def _next_frame(self) -> tuple[int, bytes] | None:
        read = self._read
        if len(read) < 2:
            return None
        length, start = read[1], 2
        if length == 126:
            length, start = int.from_bytes(read[2:4]), 4
        if len(read) < start + length:
            return None
        self._read = read[start + length :]
        return read[0], read[start : start + length]


def reply(frame: bytes) -> bytes:
    """What a script's handler answers to a message."""
    message = json.loads(json.loads(frame)["body"])
    if message["type"] != "message":
        return b""
    return b'{"type":"reply","id":%d,"status":"returned","data":%s}' % (message["id"], WORDS)


async def connected(port: int, first: bytes, answer: Callable[[bytes], bytes]) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(first, answer), "127.0.0.1", port)
    await client.first_text
    return client


async def echoes(server: servers.Process, seconds: float) -> rates.Counted:
    """Each client says a thing again as soon as it hears it."""
    running = True
    words = WORDS.ljust(130)
    clients = [await connected(server.port, words, lambda text: text if running else b"") for _ in range(AT_ONCE)]
    cpu, began = server.cpu_seconds(), time.perf_counter()
    for client in clients:
        client.say(words)
    await asyncio.sleep(seconds)
    count, took, cpu = sum(client.heard for client in clients), time.perf_counter() - began, server.cpu_seconds() - cpu
    running = False
    for client in clients:
        client.transport.close()
    return rates.Counted(count / took, cpu / count * 1e6)


class Api(asyncio.Protocol):
    """A connection to the management API that writes and reads no more than it must, as the sessions' clients do."""

    def __init__(self, token: str) -> None:
        self._head = (
            b"POST /sessions/message HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ntoken: %s\r\n"
            % (token.encode())
        )
        self._read = b""
        self._reply: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(body) == int(length[1]):
            self._read = b""
            assert self._reply is not None
            self._reply.set_result(body)

    async def message(self, ids: list[str]) -> float:
        """Message all of them and have every answer; gives the seconds it took."""
        body = json.dumps({"session_ids": ids, "key": "ask", "data": [1, "two"]}).encode()
        self._reply = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.transport.write(self._head + b"content-length: %d\r\n\r\n" % len(body) + body)
        reply = await self._reply
        took = time.perf_counter() - began
        responses = json.loads(reply)["responses"]
        assert [one["response"] for one in responses] == [json.loads(WORDS)] * len(ids), reply[:1000]
        return took


async def messages(server: servers.Process, api: Api, ids: list[str], seconds: float) -> rates.Counted:
    """One call for all of them after the other."""
    await api.message(ids)
    count, cpu, began = 0, server.cpu_seconds(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        await api.message(ids)
        count += len(ids)
    return rates.Counted(count / (time.perf_counter() - began), (server.cpu_seconds() - cpu) / count * 1e6)


async def compared(
    script: licensed_script.LicensedScript, ours: servers.Process, echo: servers.Process
) -> list[Figure]:
    clients = [await connected(ours.port, opening(script, number), reply) for number in range(MANY)]
    ids = [json.loads(json.loads(client.first_text.result())["body"])["session"] for client in clients]
    _, api = await asyncio.get_running_loop().create_connection(lambda: Api(script.api_token), "127.0.0.1", ours.port)
    pairs = []
    for number in range(1, rates.ROUNDS + 1):
        theirs = await echoes(echo, rates.SECONDS)
        mine = await messages(ours, api, ids[:AT_ONCE], rates.SECONDS)
        pairs.append((mine, theirs))
        print(f"  round {number:2}: {rates.side_by_side(mine, theirs)}", flush=True)
    bulk = [await api.message(ids) for _ in range(BULK_ROUNDS + 1)][1:]
    api.transport.close()
    for client in clients:
        client.transport.abort()
    what = f"message round trips, {AT_ONCE} sessions at once"
    return [
        Figure(what, rates.in_words(pairs), rates.speed(pairs), 0.3, at_least=True),
        Figure(f"one message to {MANY:,} sessions", f"slowest of {BULK_ROUNDS}", max(bulk), 1, "s"),
    ]


def measure() -> list[Figure]:
    """Round trips beside the echo's, and the wait of one message to many."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * MANY, max(4 * MANY, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=MANY, payload_bytes=1_000)
        with servers.whole(Path(folder), SETTINGS) as ours, servers.started("echo") as echo:
            print(f"messages to {AT_ONCE} sessions at once, one core for the server:")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(compared(script, ours, echo))


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure())


if __name__ == "__main__":
    sys.exit(main())
