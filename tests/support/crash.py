"""Kills a real writing process at random moments, again and again, and holds what it acknowledged against what is on disk.

Knows neither what the process is nor how it is written to: the engine in a child process today, a whole server tomorrow.
"""

import asyncio
import random
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

Start = Callable[[int], Awaitable[asyncio.subprocess.Process]]
"""Starts the process that writes, for a round's number."""

Load = Callable[[asyncio.subprocess.Process], Coroutine[Any, Any, None]]
"""Makes it write and notes what it acknowledges, until it is dead."""

Verify = Callable[[], Awaitable[None]]
"""Opens what the dead process left, and asserts that it is whole."""


async def kill_in_rounds(
    rounds: int,
    start: Start,
    load: Load,
    verify: Verify,
    *,
    between_seconds: tuple[float, float],
    seed: int,
    is_enough: Callable[[], bool] = lambda: True,
) -> None:
    """Start, load, SIGKILL at a random moment within `between_seconds` of the start, verify; `rounds` times.

    `start` gives the process once it is ready to write, so that the moment falls among writes. The last process is not killed
    before `is_enough`: on a busy machine little may be done in the seconds of the others.
    """
    moments = random.Random(seed)
    for number in range(rounds):
        process = await start(number)
        loading = asyncio.create_task(load(process))
        await asyncio.sleep(moments.uniform(*between_seconds))
        async with asyncio.timeout(120):
            while number == rounds - 1 and process.returncode is None and not (loading.done() or is_enough()):
                await asyncio.sleep(0.01)
        assert process.returncode is None, "it died by itself"
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        await asyncio.wait_for(loading, 60)
        await verify()


def assert_sound(path: Path) -> None:
    """SQLite finds no damage in the file and no reference to a missing row."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
    finally:
        connection.close()
