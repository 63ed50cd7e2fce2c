"""Removes the detail of executions when it has become old. Daily counters and totals are never touched."""

from __future__ import annotations

import asyncio

from moonlatch.clock import DAY_MS, Clock
from moonlatch.jobs.periodic import run_periodically
from moonlatch.storage.interface import Database
from moonlatch.storage.retention import prune_executions

EVERY_SECONDS = 3600.0
BATCH = 500
"""Executions per transaction: a few milliseconds, so that starts do not wait for a long removal."""

PAUSE_SECONDS = 0.02
"""Between two batches: others write most of the time even while a year of executions goes."""


async def watch_retention(database: Database, clock: Clock, *, detail_days: int) -> None:
    """Remove old detail every hour until cancelled. Any number of processes may do so at once."""
    await run_periodically(
        "removing old executions",
        lambda: remove_old_executions(database, before=clock() - detail_days * DAY_MS),
        every_seconds=EVERY_SECONDS,
    )


async def remove_old_executions(database: Database, *, before: int, pause_seconds: float = PAUSE_SECONDS) -> int:
    """Remove every execution that started before a time (Unix milliseconds), in batches; gives how many went.

    Raises StorageError when the database fails; batches that were committed before stay removed.
    """
    total = 0
    while True:
        removed = await database.run(lambda tx: prune_executions(tx, before=before, most=BATCH))
        total += removed
        if removed < BATCH:
            return total
        await asyncio.sleep(pause_seconds)
