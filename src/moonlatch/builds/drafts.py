"""Looks scripts through while they are written. Cheaper than an update and not charged, so it has bounds of its own."""

from __future__ import annotations

import asyncio

from moonlatch.builds.job import Draft, WorkerAnswer
from moonlatch.builds.places import Places
from moonlatch.builds.pool import Meter, WorkerPool
from moonlatch.builds.rests import Rests
from moonlatch.builds.turns import Turns

MAX_BYTES = 512 * 1024
"""Of one draft: a second and a half of a worker."""

MOST_SECONDS = 10.0
"""For which a worker may be busy with one draft."""

WAIT_SECONDS = 20.0
"""For which a draft may wait for its turn and a worker."""

RESTS = 3
"""So many times what its last draft took passes before the account's next: a quarter of one worker is the most that it gets."""

_PLACES = 32
_EVERYBODY = ""


class DraftReader:
    """Reads one draft at a time, so that all workers but one are left to updates. Belongs to one event loop."""

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers
        self._places = Places(_PLACES)
        self._turns_of_account = Turns(1)
        self._turns = Turns(1)
        self._rests = Rests()

    async def look_through(self, draft: Draft, account_id: str) -> WorkerAnswer:
        """What an update would be refused for, or warned of. Raises PoolBusyError for one that waits too long, or with too many."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        with self._places.admission(account_id):
            async with self._turns_of_account.turn(account_id, deadline=deadline):
                await self._rests.rested(account_id, deadline)
                meter = Meter()
                try:
                    async with self._turns.turn(_EVERYBODY, deadline=deadline):
                        return await self._workers.answer_to(
                            draft, deadline=deadline + MOST_SECONDS, meter=meter, most_seconds=MOST_SECONDS
                        )
                finally:
                    if meter.seconds:
                        self._rests.rest(account_id, RESTS * meter.seconds)
