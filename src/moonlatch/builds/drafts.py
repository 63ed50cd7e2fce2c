"""Looks scripts through while they are written. Cheaper than an update and not charged, so it has bounds of its own."""

from __future__ import annotations

import asyncio

from moonlatch.builds.job import Draft, WorkerAnswer
from moonlatch.builds.places import Places, PoolBusyError
from moonlatch.builds.pool import Meter, WorkerPool
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
        self._rests_until: dict[str, float] = {}

    async def look_through(self, draft: Draft, account_id: str) -> WorkerAnswer:
        """What an update would be refused for, or warned of. Raises PoolBusyError for one that waits too long, or with too many."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        with self._places.admission(account_id):
            async with self._turns_of_account.turn(account_id, deadline=deadline):
                await self._rested(account_id, deadline)
                meter = Meter()
                try:
                    async with self._turns.turn(_EVERYBODY, deadline=deadline):
                        return await self._workers.answer_to(
                            draft, deadline=deadline + MOST_SECONDS, meter=meter, most_seconds=MOST_SECONDS
                        )
                finally:
                    if meter.seconds:
                        self._rest(account_id, loop.time(), meter.seconds)

    async def _rested(self, account_id: str, deadline: float) -> None:
        now = asyncio.get_running_loop().time()
        until = self._rests_until.pop(account_id, now)
        if until > deadline:
            self._rests_until[account_id] = until
            raise PoolBusyError
        await asyncio.sleep(max(0.0, until - now))

    def _rest(self, account_id: str, now: float, spent_seconds: float) -> None:
        # Those whose rest is over are nobody's concern, and there are never more than have asked within a minute.
        self._rests_until = {name: until for name, until in self._rests_until.items() if until > now}
        self._rests_until[account_id] = now + RESTS * spent_seconds
