"""Makes anew under the current master key what lies under older ones, and writes down which are still needed. There is nothing to do with one key."""

from __future__ import annotations

import asyncio
import logging

from moonlatch.clock import Clock
from moonlatch.jobs.periodic import TakesTurn, run_periodically
from moonlatch.keyring import Keyring
from moonlatch.storage import master_keys, sealed
from moonlatch.storage.interface import Database

NOTE_SECONDS = 60.0
REWRAP_SECONDS = 300.0
"""From the end to the next: servers that were not restarted yet still make some under the key before."""

_TOLD_ROWS = 50_000

logger = logging.getLogger(__name__)


async def watch_rewrapping(
    database: Database, keyring: Keyring, clock: Clock, takes_turn: TakesTurn | None = None
) -> None:
    """Rewrap at once and then every few minutes until cancelled. Any number of processes may do so, and be killed."""
    async with asyncio.TaskGroup() as together:
        together.create_task(
            run_periodically(
                "writing down which master keys are needed",
                lambda: master_keys.note_uses(database, keyring.current.id, keyring.taken_uses(), now=clock()),
                every_seconds=NOTE_SECONDS,
            )
        )
        together.create_task(
            run_periodically(
                "rewrapping",
                lambda: rewrap(database, keyring),
                every_seconds=REWRAP_SECONDS,
                takes_turn=takes_turn,
            )
        )


async def rewrap(database: Database, keyring: Keyring) -> None:
    """Make anew what is left, and tell the log. Raises StorageError."""
    rewrapped: dict[str, int] = {}

    def told(what: str, done: int) -> None:
        if done // _TOLD_ROWS != rewrapped.get(what, 0) // _TOLD_ROWS:
            logger.info("rewrapping under master key %s: %d %s so far", keyring.current.id, done, what)
        rewrapped[what] = done

    unreadable = await sealed.rewrap(database, keyring, told)
    for what, rows in rewrapped.items():
        logger.info("rewrapped under master key %s: %d %s", keyring.current.id, rows, what)
    for what, rows in unreadable.items():
        logger.error("%d %s cannot be opened with any of the master keys", rows, what)
