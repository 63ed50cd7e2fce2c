"""What is known of the installation's master keys: since when, which is in use, which were retired. The keys themselves never come here.

The database says which key is in use, and not the order of a file: so that several servers can all know a new key before any uses it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from moonlatch.crypto import MasterKey, UnreadableSecretError
from moonlatch.keyring import Arrangement, Keyring
from moonlatch.storage import installation
from moonlatch.storage.installation import Installation
from moonlatch.storage.interface import Database, Query, Transaction

LIST = Query(
    "master_keys.list",
    "select id, key_check, added_at, used_from, current_at, copies_at, retired_at, is_first from master_keys order by added_at, id",
)
ADD = Query(
    "master_keys.add",
    "insert into master_keys (id, key_check, added_at, is_first) values (:id, :key_check, :now, :is_first) on conflict do nothing",
)
FORGET = Query("master_keys.forget", "delete from master_keys")
NOTE_CURRENT = Query("master_keys.note_current", "update master_keys set current_at = :now where id = :id")
NOTE_COPIES = Query("master_keys.note_copies", "update master_keys set copies_at = :now where id = :id")
BEGIN_USE = Query(
    "master_keys.begin_use",
    "update master_keys set used_from = coalesce(used_from, :now), retired_at = null where id = :id",
)
RETIRE = Query(
    "master_keys.retire",
    "update master_keys set retired_at = :now where id = :id and retired_at is null "
    "and not exists (select 1 from installation i where i.key_check = master_keys.key_check)",
)


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A master key. Times in Unix milliseconds; 0 is before they were written down."""

    id: str
    key_check: bytes
    added_at: int
    used_from: int | None
    """When it was first the current one; None for one that waits."""
    current_at: int | None
    """When a server last had it as the current one, within a minute or so."""
    copies_at: int | None
    """When a copy was last given a token by it, or for a loader of it, within a minute or so."""
    retired_at: int | None
    is_first: bool

    @property
    def is_waiting(self) -> bool:
        """Whether it was made and never used, nor given up."""
        return self.used_from is None and self.retired_at is None

    @property
    def is_needed(self) -> bool:
        """Whether something may have been made with it that is still to be read."""
        return self.used_from is not None and self.retired_at is None


class MasterKeyError(ValueError):
    """The master keys that there are do not fit the data. Its text says what to do."""


async def list_all(db: Database | Transaction) -> list[KnownKey]:
    """Every key that this database ever knew of, the oldest first."""
    return [
        KnownKey(
            id=row[0],
            key_check=bytes(row[1]),
            added_at=row[2],
            used_from=row[3],
            current_at=row[4],
            copies_at=row[5],
            retired_at=row[6],
            is_first=bool(row[7]),
        )
        for row in await db.fetch_all(LIST)
    ]


async def arranged(db: Database, keyring: Keyring, place: str, *, is_alone: bool, now: int) -> Keyring:
    """The ring as the data needs it. A server that is alone begins to use a key that stands first and was never used.

    `place` is where the keys come from, for messages. Raises MasterKeyError for keys that do not fit, StorageError.
    """

    async def unit(tx: Transaction) -> Arrangement:
        found = await installation.find(tx)
        if found is None or (found.key_check not in keyring and not await installation.needs_master_key(tx)):
            return await _begin(tx, keyring, now)
        known = {key.id: key for key in await list_all(tx)}
        current = keyring.with_check(found.key_check)
        if current is None:
            raise MasterKeyError(_foreign(keyring, found, place))
        if lacking := [key.id for key in known.values() if key.is_needed and key.key_check not in keyring]:
            raise MasterKeyError(
                f"{place} lacks the master key {' and '.join(lacking)}, which is not retired: put its line back behind the others "
                "(`moonlatch keys list` tells what still needs it)"
            )
        first = next((key.id for key in known.values() if key.is_first), current.id)
        await _add(tx, keyring.keys, known, now=now, first=first)
        retired = [key.id for key in known.values() if key.retired_at is not None]
        arrangement = await _with_identity_key(tx, keyring, found, Arrangement(current.id, first, retired))
        newest = keyring.keys[0]
        if not is_alone or newest is current or (newest.id in known and not known[newest.id].is_waiting):
            return arrangement
        await switch(tx, current.id, newest.id, newest.check_value(), now=now)
        return msgspec.structs.replace(arrangement, current=newest.id)

    return keyring.arranged(await db.run(unit))


async def _begin(tx: Transaction, keyring: Keyring, now: int) -> Arrangement:
    """Let the ring be that of data that needs no key yet."""
    first, current = keyring.keys[-1].id, keyring.keys[0]
    await tx.execute(FORGET)
    await _add(tx, keyring.keys, (), now=now, first=first)
    await tx.execute(BEGIN_USE, id=current.id, now=now)
    arrangement = Arrangement(current.id, first, identity_key=keyring.keys[-1].identity_key())
    sealed = keyring.arranged(arrangement).seal_identity_key()
    await installation.put(tx, Installation(current.check_value(), sealed))
    return arrangement


async def _with_identity_key(
    tx: Transaction, keyring: Keyring, found: Installation, arrangement: Arrangement
) -> Arrangement:
    """Raises MasterKeyError."""
    if found.identity_key is not None:
        try:
            identity_key = keyring.open_identity_key(found.identity_key)
        except UnreadableSecretError:
            raise MasterKeyError("what devices are hashed with cannot be opened with any of the master keys") from None
        return msgspec.structs.replace(arrangement, identity_key=identity_key)
    # From before keys could be changed: that of the only one that there was.
    before = keyring.arranged(arrangement).current.identity_key()
    arrangement = msgspec.structs.replace(arrangement, identity_key=before)
    sealed = keyring.arranged(arrangement).seal_identity_key()
    await installation.put(tx, Installation(found.key_check, sealed))
    return arrangement


async def _add(tx: Transaction, keys: Collection[MasterKey], known: Collection[str], *, now: int, first: str) -> None:
    for key in keys:
        if key.id not in known:
            await add(tx, key, now=now, is_first=key.id == first)


async def add(tx: Transaction, key: MasterKey, *, now: int, is_first: bool = False) -> None:
    """Know of a key from now on; one that is known stays as it is."""
    await tx.execute(ADD, id=key.id, key_check=key.check_value(), now=now, is_first=is_first)


async def switch(tx: Transaction, current: str, to: str, key_check: bytes, *, now: int) -> None:
    """Have another key be the current one."""
    await tx.execute(NOTE_COPIES, id=current, now=now)
    await tx.execute(BEGIN_USE, id=to, now=now)
    await installation.use(tx, key_check)


async def note_uses(db: Database, current: str, of_copies: Collection[str], *, now: int) -> None:
    """Write down that a server has this key as the current one, and that copies need these."""

    async def unit(tx: Transaction) -> None:
        await tx.execute(NOTE_CURRENT, id=current, now=now)
        await tx.execute_each(NOTE_COPIES, [(now, each) for each in sorted({current, *of_copies})])

    await db.run(unit, is_guarded=True)


async def retire(tx: Transaction, key_id: str, *, now: int) -> bool:
    """Need a key no more. False for the current one, and one that is retired already."""
    return await tx.execute(RETIRE, id=key_id, now=now) == 1


def _foreign(keyring: Keyring, found: Installation, place: str) -> str:
    wanted = found.key_check.hex()[: len(keyring.current.id)]
    here = ", ".join(key.id for key in keyring.keys)
    return (
        f"{place} is not the master key that the loaders and keys of users in the database were made with "
        f"(that is {wanted}; there is {here})"
    )
