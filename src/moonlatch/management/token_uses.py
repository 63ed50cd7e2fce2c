"""Notes when and from where each token was last used: once a minute at most, and never while a call waits for it."""

from __future__ import annotations

import asyncio
import logging

from moonlatch.clock import MINUTE_MS
from moonlatch.storage import tokens
from moonlatch.storage.interface import Database, StorageError
from moonlatch.storage.tokens import Token

log = logging.getLogger("moonlatch.management")

EVERY_MS = MINUTE_MS


class TokenUses:
    """What one process noted. A use that cannot be written down is none that matters."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, tuple[int, str]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, token: Token, address: str, now_ms: int) -> None:
        """The token was used now (Unix milliseconds) from this address."""
        at, last_address = self._noted.get(token.id, (token.last_used_at or 0, token.last_used_from))
        if now_ms - at < EVERY_MS and address == last_address:
            return
        self._noted[token.id] = now_ms, address
        task = asyncio.create_task(self._write(token.id, address, now_ms))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, token_id: str, address: str, at_ms: int) -> None:
        try:
            await self._database.run(lambda tx: tokens.note_use(tx, token_id, at=at_ms, address=address))
        except StorageError as error:
            log.debug("the use of a token was not noted: %s", error)
