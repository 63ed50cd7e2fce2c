"""Whether this process should be sent requests: its engines answer, and it is not on its way out. Tells only names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from moonlatch.storage import accounts
from moonlatch.storage.interface import Database, Transaction

CHECK_SECONDS = 2.0
"""An engine that takes longer to answer counts as away."""

DRAINING = "draining"

Check = Callable[[], Awaitable[object]]
"""Asks one engine something it can only answer when it works; raises when it does not."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """Something the server stands on: what it is for, which one it is, and how to find out whether it works."""

    name: str
    kind: str
    check: Check


@dataclass(frozen=True, slots=True)
class About:
    """What the server is: the address that running scripts know it by, and its engines."""

    public_url: str
    engines: Sequence[Engine]


class Readiness:
    """The checks by the name of what they ask."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.is_draining = False
        """Set when the process begins to stop: what it still serves it finishes, and nothing new should come."""

    async def faults(self) -> list[str]:
        """Names of what is wrong; empty when the process is ready. Takes `CHECK_SECONDS` at most."""
        answers = await asyncio.gather(*(works(name, check) for name, check in self._checks.items()))
        away = [name for name, answer in zip(self._checks, answers, strict=True) if not answer]
        return [DRAINING, *away] if self.is_draining else away


async def works(name: str, check: Check) -> bool:
    """Return whether an engine answers in time."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:
        logger.warning("the %s does not answer (%s)", name, type(error).__name__)
        return False
    return True


async def answers(database: Database) -> None:
    """Read a table and take the turn of a writer. Raises StorageError."""
    await accounts.find(database, "")
    await database.run(_nothing)


async def _nothing(_: Transaction) -> None:
    """Changes nothing, so that its commit costs no disk write."""
