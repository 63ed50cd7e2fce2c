"""A load generator: many keep-alive HTTP connections that each send the next request when the answer to the last is there."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import rates
import uvloop

NextBody = Callable[[], bytes]

SETTLE_SECONDS = 0.05


@dataclass
class Round:
    """What one round measured. `latencies` in seconds."""

    seconds: float
    cpu_seconds: float = 0.0
    """Processor time the server took, where it was asked for; on a busy machine it says more than the rate."""
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time per request."""
        return self.cpu_seconds / len(self.latencies) * 1e6

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[98] * 1000


class Server(Protocol):
    """A server under load."""

    port: int

    def cpu_seconds(self) -> float: ...


class _Connection(asyncio.Protocol):
    def __init__(self, port: int, path: str, next_body: NextBody, result: Round) -> None:
        self._port, self._path, self._next_body = port, path, next_body
        self._result = result
        self._deadline = 0.0
        self._due, self._pause = 0.0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.done = asyncio.get_running_loop().create_future()
        self._missing = 0
        self._head = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def start(self, deadline: float) -> None:
        """Begin to ask; the last answer is the one that comes after the deadline."""
        self._deadline = deadline
        self._send()

    def start_paced(self, at: float, pause: float) -> None:
        """Ask at that time of the loop, and then after every pause."""
        self._deadline = math.inf
        self._due, self._pause = at, pause
        self._send_when_due()

    def stop(self) -> None:
        """No further request; the connection closes with the answer to the last."""
        self._deadline = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._transport.close()

    def _send_when_due(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._due, self._send_now_due)

    def _send_now_due(self) -> None:
        self._timer = None
        self._send(late=asyncio.get_running_loop().time() - self._due)
        self._due += self._pause

    def _send(self, late: float = 0.0) -> None:
        body = self._next_body()
        self._sent_at = time.perf_counter() - late
        self._transport.write(
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (self._path.encode(), self._port, len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._head.startswith(b"HTTP/1.1 200"), self._head[:2000]
            at = self._head.index(b"content-length: ") + 16
            length = int(self._head[at : self._head.index(b"\r", at)])
            self._missing = length - (len(self._head) - end - 4)
            self._head = b""
        if self._missing == 0:
            now = time.perf_counter()
            self._result.latencies.append(now - self._sent_at)
            if now >= self._deadline:
                self._transport.close()
            elif self._pause:
                self._send_when_due()
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(exc)


async def _run(port: int, path: str, bodies: Sequence[NextBody], seconds: float) -> Round:
    loop = asyncio.get_running_loop()
    result = Round(0)
    connections = []
    for body in bodies:
        make = partial(_Connection, port, path, body, result)
        connections.append((await loop.create_connection(make, "127.0.0.1", port))[1])
    await asyncio.sleep(SETTLE_SECONDS)  # accepting a connection is not what is measured
    stay_awake = loop.create_task(_stay_awake())
    began = time.perf_counter()
    for connection in connections:
        connection.start(began + seconds)
    for connection in connections:
        error = await connection.done
        if error is not None:
            raise error
    result.seconds = time.perf_counter() - began
    stay_awake.cancel()
    return result


async def _stay_awake() -> None:
    """Have the loop look for answers instead of sleeping until one comes.

    Waking a process on another core costs the one that wakes it: up to 9 µs an answer on a virtual machine, which only a server pays that is slow enough
    for the load to fall asleep, and its baseline never.
    """
    while True:
        await asyncio.sleep(0)


def load(port: int, path: str, bodies: Sequence[NextBody], seconds: float) -> Round:
    """One connection for each of `bodies`, which give their next request's body, for so many seconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(port, path, bodies, seconds))


async def _paced(
    port: int, path: str, bodies: Sequence[NextBody], per_second: float, is_over: Callable[[float], bool]
) -> Round:
    loop = asyncio.get_running_loop()
    result = Round(0)
    connections = []
    for body in bodies:
        make = partial(_Connection, port, path, body, result)
        connections.append((await loop.create_connection(make, "127.0.0.1", port))[1])
    began = loop.time()
    pause = len(bodies) / per_second
    for number, connection in enumerate(connections):
        connection.start_paced(began + number / per_second, pause)
    while not is_over(loop.time() - began):
        await asyncio.sleep(0.1)
    for connection in connections:
        connection.stop()
    for connection in connections:
        await connection.done
    result.seconds = loop.time() - began
    return result


def paced(
    port: int, path: str, bodies: Sequence[NextBody], per_second: float, is_over: Callable[[float], bool]
) -> Round:
    """So many requests per second, whether or not those before were answered in time, until `is_over(seconds)`.

    A latency counts from when the request was due.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_paced(port, path, bodies, per_second, is_over))


def measured(server: Server, path: str, bodies: Sequence[NextBody], seconds: float) -> Round:
    """Like `load`, with the server's processor time."""
    before = server.cpu_seconds()
    result = load(server.port, path, bodies, seconds)
    result.cpu_seconds = server.cpu_seconds() - before
    return result


@dataclass
class Comparison:
    """Rounds of ours and of a baseline."""

    speed: float
    """`rates.speed`."""
    delay: float
    """p99 latency, times the baseline's: the median over the rounds."""
    measured: str


def compare(subject: Callable[[], Round], baseline: Callable[[], Round], rounds: int) -> Comparison:
    """Alternate rounds of both, and print each."""
    pairs: list[tuple[Round, Round]] = []
    for number in range(1, rounds + 1):
        theirs, ours = baseline(), subject()
        pairs.append((ours, theirs))
        print(
            f"  round {number:2}: ours {ours.per_second:7,.0f}/s p99 {ours.p99_ms:6.2f} ms cpu {ours.cpu_us:4.0f} us"
            f" | bare {theirs.per_second:7,.0f}/s p99 {theirs.p99_ms:6.2f} ms cpu {theirs.cpu_us:4.0f} us",
            flush=True,
        )
    delay = statistics.median(ours.p99_ms / theirs.p99_ms for ours, theirs in pairs)
    return Comparison(rates.speed(pairs), delay, rates.in_words(pairs))
