"""Removes the users of projects with `delete_expired_users`, 15 minutes after their keys expire or are set to have expired."""

from __future__ import annotations

import logging

from moonlatch.clock import MINUTE_MS
from moonlatch.jobs.periodic import TakesTurn, run_periodically
from moonlatch.live.interface import Live
from moonlatch.operations.context import World
from moonlatch.operations.expiring import expire

logger = logging.getLogger(__name__)

GRACE_MS = 15 * MINUTE_MS
EVERY_SECONDS = 60.0
BATCH = 500
"""Users per transaction: a few milliseconds, so that other writes do not wait for a long removal."""


async def watch_expiry(world: World, takes_turn: TakesTurn | None = None) -> None:
    """Remove expired users every minute until cancelled."""
    await run_periodically(
        "removing expired users",
        lambda: remove_expired_users(world),
        every_seconds=EVERY_SECONDS,
        takes_turn=takes_turn,
    )


async def remove_expired_users(world: World) -> int:
    """Remove every user who is due now, tell their sessions, and give their number.

    Raises StorageError when the database fails; batches that were committed before stay removed.
    """
    total, now = 0, world.clock()
    while True:
        removed = await world.database.run(lambda tx: expire(tx, expired_by=now - GRACE_MS, now=now, most=BATCH))
        total += len(removed)
        for user in removed:
            await _tell(world.live, user.id)
        if len(removed) < BATCH:
            return total


async def _tell(live: Live | None, user_id: str) -> None:
    # The user is gone already and will not be found again, so a failure must not keep the others from being told.
    try:
        if live is not None:
            await live.user_changed(user_id)
    except Exception:
        logger.exception("the sessions of a removed user could not be told")
