"""Measures the SQLite engine against `sqlite3` by itself, on the same file, in the same run: `python bench/storage.py`.

Each figure is the median of several rounds that alternate between ours and the baseline, so that a busy machine slows both.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.sqlite.connection import connect_reader, connect_writer
from moonlatch.storage.sqlite.engine import SqliteDatabase, open_sqlite

ADD = Query(
    "bench.add",
    "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values (:id, :id, 'free', 1, 1)",
)
READ = Query("bench.read", "select id, name, tier, expires_at, obfuscations_used from accounts where id = :id")
COUNT = Query("bench.count", "update accounts set obfuscations_used = obfuscations_used + 1 where id = :id")
ROWS = 10_000
ROUNDS = 5


def per_second(times: int, seconds: float) -> float:
    return times / seconds


async def reads(database: SqliteDatabase, raw: sqlite3.Connection, times: int, per_turn: int) -> None:
    """So many reads in each turn of the loop; the baseline takes the same turns."""
    ours, baseline = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for number in range(times):
            await database.fetch_one(READ, id=str(number % ROWS))
            if number % per_turn == 0:
                await asyncio.sleep(0)
        ours.append(per_second(times, time.perf_counter() - start))
        start = time.perf_counter()
        for number in range(times):
            raw.execute(READ.sql, {"id": str(number % ROWS)}).fetchone()
            if number % per_turn == 0:
                await asyncio.sleep(0)
        baseline.append(per_second(times, time.perf_counter() - start))
    report(
        f"point reads/s, {per_turn} a turn", statistics.median(ours), statistics.median(baseline), "sqlite3 by itself"
    )


async def updates(database: SqliteDatabase, raw: sqlite3.Connection, callers: int, seconds: float) -> None:
    async def ours_for(duration: float) -> float:
        done = 0
        start = time.perf_counter()

        async def call(name: str) -> None:
            nonlocal done

            async def unit(tx: Transaction) -> int:
                return await tx.execute(COUNT, id=name)

            while time.perf_counter() - start < duration:
                await database.run(unit)
                done += 1

        await asyncio.gather(*(call(str(number)) for number in range(callers)))
        return per_second(done, time.perf_counter() - start)

    def baseline_for(duration: float) -> float:
        done = 0
        start = time.perf_counter()
        while time.perf_counter() - start < duration:
            raw.execute(COUNT.sql, {"id": str(done % callers)})
            done += 1
        return per_second(done, time.perf_counter() - start)

    ours, baseline = [], []
    for _ in range(ROUNDS):
        ours.append(await ours_for(seconds / ROUNDS))
        baseline.append(baseline_for(seconds / ROUNDS))
    report(
        f"updates/s, {callers} callers at once",
        statistics.median(ours),
        statistics.median(baseline),
        "sqlite3, one commit each",
    )


async def latency_under_load(database: SqliteDatabase, seconds: float) -> None:
    """How long one write takes while the loop answers requests all the time, for two of the interpreter's intervals."""

    async def requests(until: float) -> None:
        while time.perf_counter() < until:
            for _ in range(20):
                await database.fetch_one(READ, id="7")
            sum(range(5_000))  # the rest of a request: work that keeps the interpreter
            await asyncio.sleep(0)

    async def writes(until: float) -> list[float]:
        took = []
        while time.perf_counter() < until:
            start = time.perf_counter()
            await database.run(lambda tx: tx.execute(COUNT, id="7"))
            took.append((time.perf_counter() - start) * 1000)
        return took

    usual = sys.getswitchinterval()
    for interval in (usual, usual / 10):
        sys.setswitchinterval(interval)
        until = time.perf_counter() + seconds
        _, took = await asyncio.gather(requests(until), writes(until))
        cuts = statistics.quantiles(took, n=100)
        print(
            f"one write on a busy loop, switch interval {interval * 1000:g} ms: "
            f"median {statistics.median(took):.2f} ms, p99 {cuts[98]:.2f} ms"
        )
    sys.setswitchinterval(usual)


async def large_read(database: SqliteDatabase, megabytes: int) -> None:
    await database.run(
        lambda tx: tx.execute(
            Query("bench.large", "update accounts set name = :name where id = '1'"), name="x" * megabytes * 1_000_000
        )
    )
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await database.fetch_one(READ, id="1")
        took.append((time.perf_counter() - start) * 1000)
    print(f"one read of {megabytes} MB: {statistics.median(took):.1f} ms")


def report(what: str, ours: float, baseline: float, against: str) -> None:
    print(f"{what}: {ours:,.0f}; {against}: {baseline:,.0f}; ratio {ours / baseline:.2f}")


async def measure(path: Path, seconds: float) -> None:
    database = await open_sqlite(path)

    async def fill(tx: Transaction) -> None:
        for number in range(ROWS):
            await tx.execute(ADD, id=str(number))

    await database.run(fill)
    raw_reader, raw_writer = connect_reader(path), connect_writer(path)
    steps: list[Callable[[], Awaitable[None]]] = [
        lambda: reads(database, raw_reader, int(20_000 * seconds), per_turn=1),
        lambda: reads(database, raw_reader, int(20_000 * seconds), per_turn=32),
        lambda: updates(database, raw_writer, 1, seconds),
        lambda: updates(database, raw_writer, 10, seconds),
        lambda: updates(database, raw_writer, 100, seconds),
        lambda: latency_under_load(database, seconds),
        lambda: large_read(database, 8),
    ]
    for step in steps:
        await step()
    raw_reader.close()
    raw_writer.close()
    await database.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=2.0, help="about how long each figure may take")
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder, "bench.db"), seconds))


if __name__ == "__main__":
    main()
