"""What is written down a moment later and together, so that nobody who is answered waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod

WRITE_SECONDS = 1.0
"""From the first that is noted to the transaction that writes it."""


logger = logging.getLogger(__name__)


class LateLog(ABC):
    """What waits to be written by this process. Belongs to one event loop; `close` writes the rest."""

    def __init__(self, name: str) -> None:
        """`name` is that of the task that writes."""
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._closed = False

    async def settle(self) -> None:
        """Write everything that waits, now."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        self._hurry.clear()

    async def close(self) -> None:
        """Write what waits; what comes later is nobody's."""
        self._closed = True
        await self.settle()

    def _wake(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._write_later(), name=self._name)

    async def _write_later(self) -> None:
        try:
            while self._has_some():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), WRITE_SECONDS)
                await self._write_some()
        except Exception:  # what comes later is written all the same
            logger.exception("%s: what waited was not written", self._name)
        finally:
            self._task = None

    @abstractmethod
    def _has_some(self) -> bool:
        """Return whether anything waits."""

    @abstractmethod
    async def _write_some(self) -> None:
        """Write some of each kind. Raises nothing: what cannot be written is told to the log."""
