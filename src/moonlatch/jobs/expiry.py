"""Removes the users of projects with `delete_expired_users`, 15 minutes after their keys expire or are set to have expired."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from moonlatch.clock import MINUTE_MS, Clock
from moonlatch.jobs.periodic import TakesTurn, run_periodically
from moonlatch.storage.expiry import remove_expired
from moonlatch.storage.interface import Database

logger = logging.getLogger(__name__)

GRACE_MS = 15 * MINUTE_MS
EVERY_SECONDS = 60.0
BATCH = 500
"""Users per transaction: a few milliseconds, so that other writes do not wait for a long removal."""

UserChanged = Callable[[str], Awaitable[None]]
"""Tells whoever is connected with a key that its user is no longer what they were; `Live.user_changed`."""


async def watch_expiry(
    database: Database, user_changed: UserChanged, clock: Clock, takes_turn: TakesTurn | None = None
) -> None:
    """Remove expired users every minute until cancelled."""
    await run_periodically(
        "removing expired users",
        lambda: remove_expired_users(database, user_changed, clock()),
        every_seconds=EVERY_SECONDS,
        takes_turn=takes_turn,
    )


async def remove_expired_users(database: Database, user_changed: UserChanged, now_ms: int) -> int:
    """Remove every user who is due at `now_ms` (Unix milliseconds), tell their sessions, and give their number.

    Raises StorageError when the database fails; batches that were committed before stay removed.
    """
    total = 0
    while True:
        keys = await database.run(lambda tx: remove_expired(tx, expired_by=now_ms - GRACE_MS, now=now_ms, most=BATCH))
        total += len(keys)
        for key in keys:
            await _tell(user_changed, key)
        if len(keys) < BATCH:
            return total


async def _tell(user_changed: UserChanged, key: str) -> None:
    # The user is gone already and will not be found again, so a failure must not keep the others from being told.
    try:
        await user_changed(key)
    except Exception:
        logger.exception("the sessions of a removed user could not be told")
