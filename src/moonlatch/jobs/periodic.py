"""Repeats a job for as long as the program runs. Knows nothing of what the job does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


TakesTurn = Callable[[str, float], Awaitable[bool]]
"""Tells whether this process is to do the job of that name, when several could; no other is for so many seconds."""

_TURN = 0.9
"""How much of a job's interval its turn lasts: it is over when the next one comes."""


async def run_periodically(
    name: str, job: Callable[[], Awaitable[object]], *, every_seconds: float, takes_turn: TakesTurn | None = None
) -> None:
    """Run `job` now and then again `every_seconds` after each end, until cancelled; a failure is logged and ends nothing."""
    while True:
        try:
            if takes_turn is None or await takes_turn(name, every_seconds * _TURN):
                await job()
        except Exception:
            logger.exception("%s failed; the next attempt is in %g s", name, every_seconds)
        await asyncio.sleep(every_seconds)
