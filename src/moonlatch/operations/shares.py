"""How many changes of one account are under way at once: more wait, so that others' get their turn at the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHANGES_AT_ONCE = 4


class Shares:
    """Places of each account. Belongs to one event loop."""

    def __init__(self, at_once: int = CHANGES_AT_ONCE) -> None:
        self._at_once = at_once
        self._places: dict[str, tuple[asyncio.Semaphore, int]] = {}
        """With how many have one or wait for one."""

    @contextlib.asynccontextmanager
    async def of(self, account_id: str) -> AsyncIterator[None]:
        """Take one of an account's places for the block, as soon as there is one; in the order of those who ask."""
        places, number = self._places.get(account_id) or (asyncio.Semaphore(self._at_once), 0)
        self._places[account_id] = places, number + 1
        try:
            async with places:
                yield
        finally:
            places, number = self._places.pop(account_id)
            if number > 1:
                self._places[account_id] = places, number - 1
