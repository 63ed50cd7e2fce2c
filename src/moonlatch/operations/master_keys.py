"""What can be done to the installation's ring of master keys, which belong to no account: see what needs each, change over, retire one.

The keys themselves stand elsewhere; here they are ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.clock import MINUTE_MS
from moonlatch.crypto import KEY_ID_LENGTH
from moonlatch.keyring import TOKEN_MS
from moonlatch.storage import installation, loaders, master_keys, sealed
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.loaders import StartingLoader
from moonlatch.storage.master_keys import KnownKey

RUNNING_MS = 5 * MINUTE_MS
"""So long after a server last told that a key is its current one, it is taken to run with it; it tells every minute."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A master key, and what still needs it. `needed_until` is Unix milliseconds, for copies that run."""

    key: KnownKey
    is_current: bool
    sealed: dict[str, int]
    loaders: list[StartingLoader]
    needed_until: int | None = None
    is_in_use: bool = False
    """Whether a server runs that has it as the current one."""

    @property
    def served(self) -> list[StartingLoader]:
        return [loader for loader in self.loaders if loader.is_served]

    @property
    def is_needed(self) -> bool:
        return bool(self.sealed or self.loaders or self.needed_until)


async def standings(db: Database, *, now: int) -> list[Standing]:
    """Every key that there ever was, the oldest first. Raises StorageError."""
    known = await master_keys.list_all(db)
    found = await installation.find(db)
    current = None if found is None else found.key_check
    first = next((key.id for key in known if key.is_first), None)
    under = await sealed.under_keys(db, [key.id for key in known], first)
    starting = await loaders.list_starting(db, now=now)
    return [
        Standing(
            key=key,
            is_current=key.key_check == current,
            sealed=under[key.id],
            loaders=[loader for loader in starting if _key_of(loader.id, known, first) == key.id],
            needed_until=_needed_until(key, now) if key.retired_at is None else None,
            is_in_use=key.current_at is not None and key.current_at + RUNNING_MS > now,
        )
        for key in known
    ]


async def use(tx: Transaction, key_id: str, *, now: int) -> None:
    """Have a known key be the current one of servers that start from now on. Raises LookupError, also for one that is retired."""
    known = {key.id: key for key in await master_keys.list_all(tx)}
    found = await installation.find(tx)
    if key_id not in known or known[key_id].retired_at is not None or found is None:
        raise LookupError(key_id)
    current = found.key_check.hex()[:KEY_ID_LENGTH]
    if current != key_id:
        await master_keys.switch(tx, current, key_id, known[key_id].key_check, now=now)


async def retire(tx: Transaction, standing: Standing, *, now: int) -> bool:
    """Need a key no more. Loaders of it that are not served start nothing from now on, and answers under it are forgotten.

    Whoever calls it has seen to that nothing else needs it. False, and nothing is changed, where it has become the current one since.
    """
    if not await master_keys.retire(tx, standing.key.id, now=now):
        return False
    await loaders.end(tx, [loader.id for loader in standing.loaders if not loader.is_served], now=now)
    await sealed.ANSWERS.forget(tx, standing.key.id, has_unmarked=standing.key.is_first)
    return True


def _key_of(loader_id: str, known: Sequence[KnownKey], first: str | None) -> str | None:
    begin = loader_id[:KEY_ID_LENGTH]
    return begin if any(key.id == begin for key in known) else first


def _needed_until(key: KnownKey, now: int) -> int | None:
    last = max(key.current_at or 0, key.copies_at or 0)
    return last + TOKEN_MS if last + TOKEN_MS > now else None
