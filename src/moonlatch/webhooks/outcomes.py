"""What came of deliveries, until it is written down: gathered, because whoever else writes waits for each transaction."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from moonlatch.operations.changing import perform
from moonlatch.operations.context import World
from moonlatch.operations.endpoints import job_actor, switch_off
from moonlatch.storage import deliveries, endpoints
from moonlatch.storage.deliveries import Outcome
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.interface import StorageError, Transaction

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.1
GATHERED = 32
"""Outcomes are written down so long after the first, or so many together."""
REST_SECONDS = 0.01
"""Between two transactions, so that others get their turn."""
RETRY_SECONDS = 0.5


class Outcomes:
    """What is to be written down, and whoever writes it. Belongs to one event loop; what cannot be written is kept for the next time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ended: list[Outcome] = []
        self._working: set[str] = set()
        self._failing: dict[str, int] = {}
        self._dead: dict[str, tuple[Endpoint, str]] = {}
        self._are_there = asyncio.Event()
        self._are_many = asyncio.Event()

    def add(self, outcome: Outcome) -> None:
        """An attempt has ended."""
        self._ended.append(outcome)
        self._are_there.set()
        if len(self._ended) >= GATHERED:
            self._are_many.set()

    def note_working(self, endpoint: Endpoint) -> None:
        """An endpoint that failed works again. Written with the next outcome, as is `note_failing`."""
        self._working.add(endpoint.id)

    def note_failing(self, endpoint: Endpoint, *, since: int) -> None:
        """An endpoint fails that worked before (`since` in Unix milliseconds)."""
        self._failing.setdefault(endpoint.id, since)

    def note_dead(self, endpoint: Endpoint, because: str) -> None:
        """An endpoint is to be switched off."""
        self._dead[endpoint.id] = (endpoint, because)
        self._are_there.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._are_there.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._are_many.wait()
            self._are_there.clear()
            self._are_many.clear()
            try:
                await self.write()
            except StorageError as error:
                logger.warning("outcomes of webhooks wait for the database: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._are_there.set()
            except Exception:
                logger.exception("outcomes of webhooks could not be written; the next attempt follows")
                await asyncio.sleep(RETRY_SECONDS)
                self._are_there.set()
            await asyncio.sleep(REST_SECONDS)

    async def write(self) -> None:
        """Write down what there is. Raises StorageError, and keeps it then."""
        ended, working, failing = self._ended, self._working, self._failing
        dead, self._dead = self._dead, {}
        self._ended, self._working, self._failing = [], set(), {}

        async def write(tx: Transaction) -> None:
            await deliveries.end(tx, ended)
            for endpoint_id in working:
                await endpoints.note_working(tx, endpoint_id)
            for endpoint_id, since in failing.items():
                await endpoints.note_failing(tx, endpoint_id, since=since)

        try:
            await self._world.database.run(write, is_guarded=True)
        except BaseException:
            self._ended[:0] = ended
            self._working |= working
            self._failing = {**self._failing, **failing}
            self._dead = {**dead, **self._dead}
            raise
        for endpoint_id, (endpoint, because) in dead.items():
            try:
                await self._switch_off(endpoint, because)
            except StorageError:
                self._dead.setdefault(endpoint_id, (endpoint, because))
                raise

    async def _switch_off(self, endpoint: Endpoint, because: str) -> None:
        actor = job_actor(endpoint.account_id)
        await perform(self._world, actor, lambda change: switch_off(change, endpoint.id, because))
