"""Hashing passwords beside the event loop: a few at once and a bounded number waiting, so that a flood of sign-ins stops nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from moonlatch import proofs
from moonlatch.licensing.signing_in import canonical_password
from moonlatch.operations.refusals import TryLater

T = TypeVar("T")

AT_ONCE = 1
"""A hash takes one core for its time; the other ones go on serving."""

MOST_WAITING = 32
"""Less than a second of work; whoever comes behind them is told to try again."""

_RETRY_SECONDS = 2


class Passwords:
    """One process's hashing."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._of_nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep of a password. Raises TryLater."""
        return await self._work(lambda: proofs.password_hash(canonical_password(password)))

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Return whether a hash is of this password. Takes as long without a hash, so that names cannot be told apart. Raises TryLater."""
        return await self._work(lambda: self._compare(canonical_password(password), encoded))

    def _compare(self, password: str, encoded: str | None) -> bool:
        if encoded is not None:
            return proofs.password_matches(password, encoded)
        if self._of_nobody is None:
            self._of_nobody = proofs.password_hash(proofs.new_secret())
        proofs.password_matches(password, self._of_nobody)
        return False

    async def _work(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise TryLater(_RETRY_SECONDS)
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
