"""Takes turns under a name: at most so many at once for each, in the order they came. Knows no work and no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moonlatch.builds.places import PoolBusyError


class Turns:
    """`at_once` holders per name. Names nobody uses take no memory. Belongs to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._places: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, name: str, *, deadline: float) -> AsyncIterator[None]:
        """Hold a turn for the block. Raises PoolBusyError when it does not come before the (event loop's) deadline."""
        semaphore, users = self._places.get(name, (asyncio.Semaphore(self._at_once), 0))
        self._places[name] = semaphore, users + 1
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await semaphore.acquire()
            except TimeoutError:
                raise PoolBusyError from None
            try:
                yield
            finally:
                semaphore.release()
        finally:
            semaphore, users = self._places[name]
            if users > 1:
                self._places[name] = semaphore, users - 1
            else:
                del self._places[name]
