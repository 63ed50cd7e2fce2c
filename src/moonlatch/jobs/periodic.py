"""Repeats a job for as long as the program runs. Knows nothing of what the job does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


async def run_periodically(name: str, job: Callable[[], Awaitable[object]], *, every_seconds: float) -> None:
    """Run `job` now and then again `every_seconds` after each end, until cancelled; a failure is logged and ends nothing."""
    while True:
        try:
            await job()
        except Exception:
            logger.exception("%s failed; the next attempt is in %g s", name, every_seconds)
        await asyncio.sleep(every_seconds)
