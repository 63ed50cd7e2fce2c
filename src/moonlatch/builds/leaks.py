"""Has worker processes read leaks and score whose they may be. Bounded: one at a time, so that updates have the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moonlatch.builds.job import TraceAnswer, TraceTask
from moonlatch.builds.places import Places
from moonlatch.builds.pool import Meter, WorkerPool
from moonlatch.builds.rests import Rests
from moonlatch.builds.turns import Turns

MOST_SECONDS = 60.0
"""For which a worker may be busy with one leak and one build's template."""

MOST_WAITING_SECONDS = 30.0
"""For which a trace may wait for its turn: what begins later does not end in time, however little it is."""

RESTS = 1
"""So many times what its last trace took passes before the account's next: half of one worker is the most that it gets."""

_PLACES = 16
_EVERYBODY = ""


class LeakReader:
    """Belongs to one event loop."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._places = Places(_PLACES)
        self._turns_of_account = Turns(1)
        self._turns = Turns(1)
        self._rests = Rests()

    @asynccontextmanager
    async def turn(self, account_id: str, *, deadline: float) -> AsyncIterator[Meter]:
        """The turn of an account's trace for the block, which hands the meter on to `traced`.

        Raises PoolBusyError for one that waits too long, or with too many.
        """
        begins = min(deadline, asyncio.get_running_loop().time() + MOST_WAITING_SECONDS)
        with self._places.admission(account_id):
            async with self._turns_of_account.turn(account_id, deadline=begins):
                await self._rests.rested(account_id, begins)
                meter = Meter()
                try:
                    yield meter
                finally:
                    if meter.seconds:
                        self._rests.rest(account_id, RESTS * meter.seconds)

    async def traced(self, task: TraceTask, meter: Meter, *, deadline: float) -> TraceAnswer:
        """Do one task of a trace; those of accounts that trace at the same time take turns. Raises PoolBusyError."""
        async with self._turns.turn(_EVERYBODY, deadline=deadline):
            return await self._workers.traced(task, deadline=deadline, meter=meter, most_seconds=MOST_SECONDS)
