"""Which master key the data belongs to: a server with another one would hand out what no script accepts, and know no device."""

from __future__ import annotations

from moonlatch.storage import loaders
from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query("installation.find", "select key_check from installation where id = 1")
SET = Query(
    "installation.set",
    "insert into installation (id, key_check) values (1, :key_check) "
    "on conflict (id) do update set key_check = excluded.key_check",
)


async def belongs_to(db: Database, key_check: bytes) -> bool:
    """Return whether the data belongs to the master key of this check value; data that no loader was made from yet does so from now on."""

    async def unit(tx: Transaction) -> bool:
        row = await tx.fetch_one(FIND)
        if row is not None and (bytes(row[0]) == key_check or await loaders.exist(tx)):
            return bytes(row[0]) == key_check
        await tx.execute(SET, key_check=key_check)
        return True

    return await db.run(unit)
