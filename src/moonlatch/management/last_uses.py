"""Notes when and from where each token and each session was last used: once a minute at most, and never while a call waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from moonlatch.clock import MINUTE_MS
from moonlatch.storage.interface import Database, StorageError, Transaction

log = logging.getLogger("moonlatch.management")

EVERY_MS = MINUTE_MS
MOST_NOTED = 10_000

Write = Callable[[Transaction, str, int, str], Awaitable[None]]
"""Writes down that what has this id was used at a time (Unix milliseconds) from an address."""


class LastUses:
    """What one process noted of one kind of thing. A use that cannot be written down is none that matters."""

    def __init__(self, database: Database, write: Write) -> None:
        self._database = database
        self._write_use = write
        self._noted: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, used_id: str, last_at: int | None, last_address: str | None, *, address: str, now_ms: int) -> None:
        """It was used now (Unix milliseconds) from this address; the database knows of the last use."""
        at, noted_address = self._noted.get(used_id, (last_at or 0, last_address))
        if now_ms - at < EVERY_MS and address == noted_address:
            return
        self._noted[used_id] = now_ms, address
        self._noted.move_to_end(used_id)
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)
        task = asyncio.create_task(self._write(used_id, address, now_ms))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, used_id: str, address: str, at_ms: int) -> None:
        try:
            await self._database.run(lambda tx: self._write_use(tx, used_id, at_ms, address))
        except StorageError as error:
            log.debug("a use was not noted: %s", error)
