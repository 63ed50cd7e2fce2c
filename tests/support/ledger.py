"""Many callers that write and note what they were told, and the comparison of that with what is in the database."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter

from moonlatch.storage.interface import Database, OutcomeUnknown, Query, StorageError, Transaction
from support.accounts import ADD_ACCOUNT, SET_USED, USED, add_account

FAILED_PAUSE_SECONDS = 0.02


class Ledger:
    """Each caller adds accounts of its own and increments a counter that all share, in one unit."""

    def __init__(self, database: Database, *, callers: int) -> None:
        self._database = database
        self._callers = callers
        self._is_writing = True
        self.outcomes: dict[str, str] = {}
        """By account: `written`, `failed` or `unknown`."""
        self.slowest_seconds = 0.0

    async def prepare(self) -> None:
        await add_account(self._database, "counter")

    async def write(self) -> None:
        """Write until `stop`. Raises what is no StorageError."""
        async with asyncio.TaskGroup() as callers:
            for caller in range(self._callers):
                callers.create_task(self._write(caller))

    def stop(self) -> None:
        self._is_writing = False

    def counts(self) -> Counter[str]:
        return Counter(self.outcomes.values())

    async def answered(self) -> float:
        """Write until one is acknowledged that was begun after now; gives the seconds that took."""
        began = time.monotonic()
        while await self._one(f"probe-{began}-{time.monotonic()}") != "written":
            await asyncio.sleep(FAILED_PAUSE_SECONDS)
        return time.monotonic() - began

    async def _write(self, caller: int) -> None:
        for number in itertools.count():
            if not self._is_writing:
                return
            if await self._one(f"{caller}-{number}") != "written":
                await asyncio.sleep(FAILED_PAUSE_SECONDS)

    async def _one(self, name: str) -> str:
        async def unit(tx: Transaction) -> None:
            row = await tx.fetch_one(USED, id="counter")
            assert row is not None
            await tx.execute(ADD_ACCOUNT, id=name, name=name)
            await tx.execute(SET_USED, id="counter", used=row[0] + 1)

        began = time.monotonic()
        try:
            await self._database.run(unit)
        except OutcomeUnknown:
            outcome = "unknown"
        except StorageError:
            outcome = "failed"
        else:
            outcome = "written"
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        self.outcomes[name] = outcome
        return outcome

    async def compare(self, database: Database) -> None:
        """Nothing lost, nothing half applied, nothing written that was said to have failed."""
        rows = await database.fetch_all(Query("test.accounts", "select id, obfuscations_used from accounts"))
        stored = {row[0]: row[1] for row in rows}
        (counted,) = [stored.pop("counter")]
        told = {kind: {name for name, how in self.outcomes.items() if how == kind} for kind in ("written", "failed")}
        assert told["written"] - stored.keys() == set(), "acknowledged writes are missing"
        assert told["failed"] & stored.keys() == set(), "what was said to have failed is there"
        assert counted == len(stored), "a unit was applied by halves, or twice"
