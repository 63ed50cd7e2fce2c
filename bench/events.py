"""Pages of events among many and among a thousand: `python bench/events.py`.

Goal: no filtered page among 5,000,000 events takes more than twice as long as the same one among 1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from figures import Figure, print_table

from moonlatch.storage import events
from moonlatch.storage.events import Event, EventFilter
from moonlatch.storage.interface import Transaction
from moonlatch.storage.sqlite.engine import SqliteDatabase, open_sqlite

FEW, MANY = 1_000, 5_000_000
ROUNDS = 60
LIMIT = 20
GOAL = 2
INSERTED_AT_ONCE = 20_000
ACCOUNT = "account"
# A page is full in both, whatever it asks for.
KINDS, PER_RESOURCE, PER_ACTOR, PROJECTS = 20, 25, 40, 10


@dataclass
class Filled:
    """A database with that many events, one each second."""

    database: SqliteDatabase
    count: int

    def filters(self) -> Iterator[tuple[str, EventFilter]]:
        """A name and the conditions of every page that is measured."""
        middle = self.count // 2 * 1000
        yield "all", EventFilter()
        yield "kind", EventFilter(kind="kind 3")
        yield "resource", EventFilter(resource_id="resource 7")
        yield "actor", EventFilter(actor_id="actor 5")
        yield "project", EventFilter(project_id="project 2")
        yield "until", EventFilter(until=middle)
        yield "since", EventFilter(since=middle)
        yield "kind, until", EventFilter(kind="kind 3", until=middle)
        yield "project, until", EventFilter(project_id="project 2", until=middle)
        yield "resource, kind", EventFilter(resource_id="resource 7", kind="kind 7")

    async def seconds(self, where: EventFilter) -> float:
        began = time.perf_counter()
        await events.list_of_account(self.database, ACCOUNT, where, before_id=None, limit=LIMIT)
        return time.perf_counter() - began


def event(number: int, count: int) -> Event:
    resource = number % max(1, count // PER_RESOURCE)
    at = number * 1000
    return Event(
        id=f"{at:012x}{number:020}",
        account_id=ACCOUNT,
        project_id=f"project {number % PROJECTS}",
        at=at,
        kind=f"kind {resource % KINDS}",
        actor_kind="token",
        actor_id=f"actor {number % max(1, count // PER_ACTOR)}",
        actor_name="bot",
        address="192.0.2.1",
        request_id=f"{number:032}",
        resource_kind="user",
        resource_id=f"resource {resource}",
        resource_label="AbCd…wXyZ",
        changes={"note": (None, str(number))},
    )


@contextlib.asynccontextmanager
async def filled(path: Path, count: int) -> AsyncIterator[Filled]:
    database = await open_sqlite(path)
    every = (event(number, count) for number in range(count))
    while part := list(islice(every, INSERTED_AT_ONCE)):

        async def insert(tx: Transaction, part: list[Event] = part) -> None:
            await events.append(tx, part)

        await database.run(insert)
    try:
        yield Filled(database, count)
    finally:
        await database.close()


async def compared(folder: Path, many: int, rounds: int) -> list[tuple[str, float, float]]:
    """Every page's best seconds among few and among many."""
    async with filled(folder / "few.db", FEW) as small, filled(folder / "many.db", many) as large:
        found: list[tuple[str, Any, Any]] = []
        for (name, one), (_, other) in zip(small.filters(), large.filters(), strict=True):
            pairs = [(await small.seconds(one), await large.seconds(other)) for _ in range(rounds)]
            best = [min(each) for each in zip(*pairs, strict=True)]
            found.append((name, *best))
            print(f"  {name:20} {best[0] * 1000:6.3f} ms | {best[1] * 1000:6.3f} ms", flush=True)
        return found


def measure(many: int = MANY, rounds: int = ROUNDS) -> list[Figure]:
    """The page that many make slowest."""
    print(f"pages of events among {FEW:,} | among {many:,}:")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(compared(Path(folder), many, rounds))
    name, few, slow = max(found, key=lambda one: one[2] / one[1])
    measured = f"slowest is {name!r}: {slow * 1000:.2f} ms against {few * 1000:.2f}"
    return [Figure(f"a page among {many:,} events", measured, slow / few, GOAL)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--many", type=int, default=MANY)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    options = arguments.parse_args()
    return print_table(measure(options.many, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
