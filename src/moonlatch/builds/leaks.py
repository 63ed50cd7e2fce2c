"""Has worker processes read leaks and score whose they may be. Bounded: one at a time, so that updates have the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moonlatch.builds.job import TraceAnswer, TraceTask
from moonlatch.builds.places import Places
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.turns import Turns

MOST_SECONDS = 60.0
"""For which a worker may be busy with one leak and one build's template."""

_PLACES = 16
_EVERYBODY = ""


class LeakReader:
    """Belongs to one event loop."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._places = Places(_PLACES)
        self._turns = Turns(1)

    @asynccontextmanager
    async def turn(self, account_id: str, *, deadline: float) -> AsyncIterator[None]:
        """The turn of an account's trace, for the duration of the block. Raises PoolBusyError for one that waits too long, or with too many."""
        with self._places.admission(account_id):
            async with self._turns.turn(_EVERYBODY, deadline=deadline):
                yield

    async def traced(self, task: TraceTask, *, deadline: float) -> TraceAnswer:
        """Raises PoolBusyError."""
        return await self._workers.traced(task, deadline=deadline, most_seconds=MOST_SECONDS)
