"""Which master key the data belongs to: a server with another one would hand out what no script accepts, and know no device."""

from __future__ import annotations

from moonlatch.storage import loaders
from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query("installation.find", "select key_check from installation where id = 1")
ANY_USER = Query("installation.any_user", "select id from users limit 1")
ANY_REMOVED = Query("installation.any_removed", "select project_id from removed_users limit 1")
SET = Query(
    "installation.set",
    "insert into installation (id, key_check) values (1, :key_check) "
    "on conflict (id) do update set key_check = excluded.key_check",
)


async def needs_master_key(db: Database | Transaction) -> bool:
    """Return whether there is something that no other master key than its own is of use for: a loader, or a user's sealed key."""
    return await loaders.exist(db) or any([await db.fetch_one(query) is not None for query in (ANY_USER, ANY_REMOVED)])


async def belongs_to(db: Database, key_check: bytes) -> bool:
    """Return whether the data belongs to the master key of this check value; data that needs none yet does so from now on."""

    async def unit(tx: Transaction) -> bool:
        row = await tx.fetch_one(FIND)
        if row is not None and (bytes(row[0]) == key_check or await needs_master_key(tx)):
            return bytes(row[0]) == key_check
        await tx.execute(SET, key_check=key_check)
        return True

    return await db.run(unit)
