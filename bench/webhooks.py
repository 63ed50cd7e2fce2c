"""Webhooks: `python bench/webhooks.py`.

Three figures, each beside its own baseline. How many deliveries one process makes to a receiver that answers at once, from rows in SQLite to rows that
say that they arrived; the baseline is the same calls without rows. What 100,000 waiting deliveries to dead receivers cost starts and heartbeats of the
whole program; the baseline is another such program where none wait, and each stands still while the other is asked. How long 100 live endpoints wait for
theirs beside 900 dead ones, which take connections and say nothing.

Goals: 2,000 a second; the p99 of starts and heartbeats at most 1.1 times as long; 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import execute
import heartbeat
import httpx
import licensed_script
import servers
import uvloop
from figures import Figure, print_table
from load import paced

from moonlatch.clock import now_ms
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.master_key import MasterKeySource
from moonlatch.operations import endpoints
from moonlatch.operations.changing import perform
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.sqlite.engine import open_sqlite
from moonlatch.web.destination import destination_of
from moonlatch.web.outgoing import Bounds, Outgoing
from moonlatch.web.reach import Reach
from moonlatch.webhooks.deliverer import Deliverer
from support import rows

DELIVERIES, ENDPOINTS_OF_ALL = 10_000, 20
WAITING, DEAD_OF_WAITING = 100_000, 20
LIVE, DEAD, OF_ACCOUNT = 100, 900, 4
LIMIT_SECONDS = 5.0
ROUNDS, ROUND_SECONDS = 27, 1.5
"""Many short rounds: what disturbs a machine for some seconds then disturbs both sides."""

SETTLE_SECONDS = 0.3
"""In which a program that stood still catches up with its timers."""

FIRST_SECONDS = 60.0
"""In which a server that has just begun takes a start, and a beat."""
CONNECTIONS, PER_SECOND = 50, 300
BODY = "{" + '"note":"' + "x" * 600 + '"}'
INSERT = Query(
    "bench.insert_delivery",
    "insert into deliveries (id, endpoint_id, kind, body, created_at, next_at) values (:id, :endpoint, 'bench', :body, :at, :at)",
)
COUNT = Query("bench.count", "select count(*) from deliveries where delivered_at is not null")
COUNT_ENDPOINTS = Query(
    "bench.served", "select count(distinct endpoint_id) from deliveries where delivered_at is not null"
)
RECEIVER = ["127.0.0.0/8"]
Asked = dict[str, tuple[str, list[Callable[[], bytes]]]]
"""By kind of call, its path and each caller's next body."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    writer.close()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)
    writer.close()


async def _receive(told: Connection) -> None:
    servers_ = [await asyncio.start_server(each, "127.0.0.1", 0, backlog=4096) for each in (_answer, _hang)]
    told.send([each.sockets[0].getsockname()[1] for each in servers_])
    await asyncio.Event().wait()


def _received(told: Connection) -> None:
    uvloop.run(_receive(told))


@contextlib.contextmanager
def receivers() -> Iterator[tuple[str, str]]:
    """URLs of a receiver that answers at once, and of one that never does, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_received, args=(theirs,), daemon=True)
    process.start()
    try:
        ready, hanging = ours.recv()
        yield f"http://127.0.0.1:{ready}/", f"http://127.0.0.1:{hanging}/"
    finally:
        process.kill()
        process.join()


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    database = await open_sqlite(folder / "moonlatch.db")
    async with Outgoing(Reach(RECEIVER), keeps_connections=True) as client:
        yield World(
            database=database, tiers=BUILT_IN, clock=now_ms, keyring=MasterKeySource(folder).open(), outgoing=client
        )
    await database.close()


async def made(world: World, project: str, account: str, url: str) -> Endpoint:
    actor = Actor(account_id=account, kind=ActorKind.CLI, id="bench", name="bench")
    endpoint, _ = await perform(
        world, actor, lambda change: endpoints.create(change, project, url=url, name="bench", events=[])
    )
    return endpoint


async def wait_for(world: World, to: list[Endpoint], count: int) -> None:
    """Have so many deliveries wait, spread over the endpoints."""
    at = now_ms()
    for begin in range(0, count, 5_000):
        part = [
            (f"{number:048x}", to[number % len(to)].id, BODY, at) for number in range(begin, min(count, begin + 5_000))
        ]

        async def insert(tx: Transaction, part: list[tuple[str, str, str, int]] = part) -> None:
            await tx.execute_each(INSERT, part)

        await world.database.run(insert)


async def project_of(world: World) -> tuple[str, str]:
    project = await rows.add_project(world.database)
    return project, await rows.value(world.database, "select account_id from projects where id = :id", id=project)


async def counted(world: World, query: Query) -> int:
    row = await world.database.fetch_one(query)
    assert row is not None
    return int(row[0])


async def throughput(folder: Path, url: str) -> tuple[float, float]:
    """Deliveries per second, and calls per second without rows; each by the clock, less the time for which the machine had no core for us."""
    async with opened(folder) as world:
        assert world.outgoing is not None
        places = [await project_of(world) for _ in range(ENDPOINTS_OF_ALL // OF_ACCOUNT)]
        to = [await made(world, *place, url) for place in places for _ in range(OF_ACCOUNT)]
        await wait_for(world, to, DELIVERIES)
        deliverer = Deliverer(world, world.outgoing, timeout_seconds=15, most=1024, is_alone=True)
        began = Stopwatch()
        task = asyncio.create_task(deliverer.run())
        while await counted(world, COUNT) < DELIVERIES:
            await asyncio.sleep(0.05)
        rate = began.per_second()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        destination, bounds, client = destination_of(url), Bounds(15, 65_536), world.outgoing

        async def call() -> None:
            for _ in range(DELIVERIES // 64):
                await client.call("POST", destination, headers={}, content=BODY.encode(), bounds=bounds)

        began = Stopwatch()
        await asyncio.gather(*(call() for _ in range(64)))
        return rate, began.per_second()


class Stopwatch:
    """The clock, and for how long this process and its receivers were ready to run while others did: on a busy machine the clock alone measures those.

    Whoever waits for anything but a core waits by the clock.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time(), _held_up_seconds()

    def per_second(self) -> float:
        """How many of `DELIVERIES` that is since the beginning."""
        clock, worked, held_up = self._began
        passed = time.perf_counter() - clock - (_held_up_seconds() - held_up)
        return DELIVERIES / max(passed, time.process_time() - worked)


def _held_up_seconds() -> float:
    """Waited for a core, of all threads together; 0 where the system does not tell: https://docs.kernel.org/scheduler/sched-stats.html"""
    ours = [os.getpid(), *(each.pid for each in multiprocessing.active_children())]
    files = [file for pid in ours for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[1]) for file in files) / 1e9


async def fairness(folder: Path, url: str, hanging: str, dead: int) -> float:
    """Seconds until every live endpoint has what waited for it, beside so many dead ones."""
    async with opened(folder) as world:
        assert world.outgoing is not None
        urls = [url] * LIVE + [hanging] * dead
        random.Random(7).shuffle(urls)
        to = []
        for begin in range(0, len(urls), OF_ACCOUNT):
            place = await project_of(world)
            to += [await made(world, *place, each) for each in urls[begin : begin + OF_ACCOUNT]]
        await wait_for(world, to, 5 * len(to))
        deliverer = Deliverer(world, world.outgoing, timeout_seconds=15, most=2048, is_alone=True)
        began = time.perf_counter()
        task = asyncio.create_task(deliverer.run())
        while await counted(world, COUNT) < 5 * LIVE:
            await asyncio.sleep(0.02)
        assert await counted(world, COUNT_ENDPOINTS) == LIVE
        seconds = time.perf_counter() - began
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return seconds


def hold_back(folder: Path, server: servers.Process, token: str) -> None:
    """Have deliveries wait for receivers that refuse connections."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"token": token}, trust_env=False) as http:
        project = http.get("/projects").json()["projects"][0]["id"]
        ids = [
            http.post(f"/projects/{project}/endpoints", json={"url": "http://127.0.0.1:9/", "events": []}).json()[
                "endpoint"
            ]["id"]
            for _ in range(DEAD_OF_WAITING)
        ]
    at = now_ms()
    with contextlib.closing(sqlite3.connect(folder / servers.DATABASE, timeout=60)) as file:
        file.executemany(
            "insert into deliveries (id, endpoint_id, kind, body, created_at, next_at) values (?, ?, 'bench', ?, ?, ?)",
            [(f"{number:048x}", ids[number % len(ids)], BODY, at, at) for number in range(WAITING)],
        )
        file.commit()
        # Such a log is folded once, and what that costs those who start then is the cost of having written, not of what waits.
        while file.execute("pragma wal_checkpoint(restart)").fetchone()[0]:
            time.sleep(0.1)


@contextlib.contextmanager
def shop() -> Iterator[tuple[servers.Process, Asked, Callable[[], None]]]:
    """The whole program with customers who start and beat, what they ask, and what has deliveries wait there."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        script = licensed_script.make(folder, users=CONNECTIONS, payload_bytes=1_000)
        asked: Asked = {
            "start": ("/client/v1/execute", [execute.starts(script, user) for user in range(CONNECTIONS)]),
            "beat": ("/client/v1/heartbeat", [heartbeat.beats(script, user) for user in range(CONNECTIONS)]),
        }
        settings = {
            "MOONLATCH_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8",
            "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
        }
        with servers.whole(folder, settings) as server:
            for kind, (path, bodies) in asked.items():
                # A server that has just begun takes no starts of before it, and has not done once what is slow once.
                until = time.monotonic() + FIRST_SECONDS
                while (
                    answer := httpx.post(f"http://127.0.0.1:{server.port}{path}", content=bodies[0](), trust_env=False)
                ).is_error:
                    assert time.monotonic() < until, answer.text
                    time.sleep(0.2)
                p99(server, asked, kind)
            yield server, asked, lambda: hold_back(folder, server, script.api_token)


def p99(server: servers.Process, asked: Asked, kind: str) -> float:
    """Milliseconds."""
    path, bodies = asked[kind]
    return paced(server.port, path, bodies, PER_SECOND, lambda seconds: seconds > ROUND_SECONDS).p99_ms


@contextlib.contextmanager
def standing_still(server: servers.Process) -> Iterator[None]:
    """What it does in the background is not measured with another's."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(SETTLE_SECONDS)


def beside_waiting(rounds: int) -> tuple[float, float]:
    """The p99 of starts and of heartbeats of a program where deliveries wait, of what each is of one where none do."""
    ratios: dict[str, list[float]] = {"start": [], "beat": []}
    with shop() as (idle, asked_of_idle, _), shop() as (held_up, asked_of_held_up, hold_deliveries_back):
        hold_deliveries_back()
        sides = [(idle, asked_of_idle, held_up), (held_up, asked_of_held_up, idle)]
        for number in range(1, rounds + 1):
            found: dict[int, dict[str, float]] = {}
            for server, asked, other in sides if number % 2 else reversed(sides):
                with standing_still(other):
                    found[server.pid] = {kind: p99(server, asked, kind) for kind in asked}
            without, beside = found[idle.pid], found[held_up.pid]
            for kind in ratios:
                ratios[kind].append(beside[kind] / without[kind])
            print(
                f"  round {number:2}: "
                + ", ".join(f"{kind} p99 {without[kind]:.2f} ms | {beside[kind]:.2f} ms" for kind in ratios),
                flush=True,
            )
    return statistics.median(ratios["start"]), statistics.median(ratios["beat"])


def measure(rounds: int = ROUNDS) -> list[Figure]:
    """All figures."""
    with receivers() as (url, hanging):
        with tempfile.TemporaryDirectory() as folder:
            rate, bare = uvloop.run(throughput(Path(folder), url))
        print(f"deliveries {rate:,.0f}/s | the same calls without rows {bare:,.0f}/s", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            alone = uvloop.run(fairness(Path(folder), url, hanging, 0))
        with tempfile.TemporaryDirectory() as folder:
            beside = uvloop.run(fairness(Path(folder), url, hanging, DEAD))
        print(f"{LIVE} live endpoints alone {alone:.2f} s | beside {DEAD} dead ones {beside:.2f} s", flush=True)
    print(
        f"starts and beats of one program with nothing waiting | of another with {WAITING:,} waiting deliveries:",
        flush=True,
    )
    start, beat = beside_waiting(rounds)
    return [
        Figure(
            "webhooks delivered", f"{rate:,.0f}/s against {bare:,.0f}/s of bare calls", rate, 2_000, "/s", at_least=True
        ),
        Figure(
            f"{LIVE} live endpoints beside {DEAD} dead",
            f"{beside:.2f} s against {alone:.2f}",
            beside,
            LIMIT_SECONDS,
            " s",
        ),
        Figure(f"starts beside {WAITING:,} waiting: p99", f"middle of {rounds} rounds", start, 1.1),
        Figure(f"heartbeats beside {WAITING:,} waiting: p99", f"middle of {rounds} rounds", beat, 1.1),
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    return print_table(measure(arguments.parse_args().rounds))


if __name__ == "__main__":
    sys.exit(main())
