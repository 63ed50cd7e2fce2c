"""Many instances that beat as the loader does, while the server is stopped for a while: `python bench/beating.py`.

24,000 instances beat every 30 s (± 10 %) for three minutes; in the middle the server's process is paused for 5 s. An instance is
wrongly dead when one of its beats is refused, or when the server counts fewer than there are.

Goal: none.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import licensed_script
import servers
import uvloop
from figures import Figure, print_table

INSTANCES, CONNECTIONS = 24_000, 200
BEAT_SECONDS, JITTER = 30.0, 0.1
RUN_SECONDS, PAUSE_SECONDS = 180.0, 5.0
PAUSE_AFTER = 75.0
COUNT_EVERY_SECONDS = 2.0
PATH = "/client/v1/heartbeat"


@dataclass
class Count:
    """What became of the beats and of those who sent them."""

    beats: int = 0
    refused: int = 0
    fewest: int = INSTANCES
    slowest: float = 0.0
    reconnected: int = 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bytes:
    """Send a beat; gives the head of the answer."""
    writer.write(b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s" % (PATH.encode(), len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    return head


async def beat(port: int, copies: list[tuple[str, str]], end: float, count: Count) -> None:
    """Beat for these instances over one connection, each in its time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    now = time.monotonic()
    due = [(now + random.uniform(0, BEAT_SECONDS), 1, *copy) for copy in copies]
    heapq.heapify(due)
    while due[0][0] < end:
        at, sequence, instance, token = heapq.heappop(due)
        await asyncio.sleep(at - time.monotonic())
        body = json.dumps({"instance": instance, "token": token, "sequence": sequence}).encode()
        began = time.monotonic()
        try:
            head = await ask(reader, writer, body)
        except (OSError, asyncio.IncompleteReadError):  # given up by the server, which happens to any client
            count.reconnected += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = await ask(reader, writer, body)
        count.slowest = max(count.slowest, time.monotonic() - began)
        count.beats += 1
        count.refused += not head.startswith(b"HTTP/1.1 200")
        pause = BEAT_SECONDS * random.uniform(1 - JITTER, 1 + JITTER)
        heapq.heappush(due, (began + pause, sequence + 1, instance, token))
    writer.close()


async def watch(port: int, script: licensed_script.LicensedScript, end: float, count: Count) -> None:
    """Ask how many are alive, from when all have beaten once."""
    await asyncio.sleep(BEAT_SECONDS * (1 + JITTER) + PAUSE_SECONDS)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"token": script.api_token}, timeout=30, trust_env=False
    ) as http:
        while time.monotonic() < end:
            reply = (await http.get(f"/scripts/{script.script}")).json()
            count.fewest = min(count.fewest, reply["script"]["total_instances"])
            await asyncio.sleep(COUNT_EVERY_SECONDS)


async def pause(pid: int) -> None:
    await asyncio.sleep(PAUSE_AFTER)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(PAUSE_SECONDS)
    os.kill(pid, signal.SIGCONT)


async def run(server: servers.Process, script: licensed_script.LicensedScript, seconds: float) -> Count:
    count, end = Count(), time.monotonic() + seconds
    copies = [script.token(number) for number in range(INSTANCES)]
    await asyncio.gather(
        watch(server.port, script, end, count),
        pause(server.pid),
        *(beat(server.port, copies[number::CONNECTIONS], end, count) for number in range(CONNECTIONS)),
    )
    return count


def measure(seconds: float = RUN_SECONDS) -> list[Figure]:
    """How many of the instances are taken for dead."""
    with tempfile.TemporaryDirectory() as folder:
        script = licensed_script.make(Path(folder), users=INSTANCES, payload_bytes=1_000)
        with servers.whole(Path(folder), {}) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(
                f"{INSTANCES:,} instances beat every {BEAT_SECONDS:g} s for {seconds:g} s, paused for {PAUSE_SECONDS:g} s:"
            )
            count = runner.run(run(server, script, seconds))
    print(
        f"  {count.beats:,} beats, slowest {count.slowest:.1f} s, {count.refused} refused, at least {count.fewest:,} alive"
    )
    dead = count.refused + INSTANCES - count.fewest
    measured = f"{count.beats:,} beats in {seconds:g} s, {PAUSE_SECONDS:g} s of them paused"
    return [Figure(f"{INSTANCES:,} instances: wrongly dead", measured, dead, 0, "")]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=RUN_SECONDS)
    options = arguments.parse_args()
    servers.pin(servers.LOAD_CORE)
    return print_table(measure(options.seconds))


if __name__ == "__main__":
    sys.exit(main())
