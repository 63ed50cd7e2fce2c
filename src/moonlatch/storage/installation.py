"""The one row about the installation: which master key is in use, and what devices are hashed with."""

from __future__ import annotations

import msgspec

from moonlatch.storage import loaders
from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query("installation.find", "select key_check, identity_key from installation where id = 1")
ANY_USER = Query("installation.any_user", "select id from users limit 1")
ANY_REMOVED = Query("installation.any_removed", "select project_id from removed_users limit 1")
SET = Query(
    "installation.set",
    "insert into installation (id, key_check, identity_key) values (1, :key_check, :identity_key) "
    "on conflict (id) do update set key_check = excluded.key_check, identity_key = excluded.identity_key",
)
SET_KEY = Query("installation.set_key", "update installation set key_check = :key_check where id = 1")


class Installation(msgspec.Struct, frozen=True):
    """`key_check` tells the current master key; `identity_key` is sealed, None until a server has started once."""

    key_check: bytes
    identity_key: bytes | None


async def needs_master_key(db: Database | Transaction) -> bool:
    """Return whether there is something that no other master key than its own is of use for: a loader, or a user's sealed key."""
    return await loaders.exist(db) or any([await db.fetch_one(query) is not None for query in (ANY_USER, ANY_REMOVED)])


async def find(db: Database | Transaction) -> Installation | None:
    """None where no server ever ran on this database."""
    row = await db.fetch_one(FIND)
    return None if row is None else Installation(bytes(row[0]), None if row[1] is None else bytes(row[1]))


async def put(tx: Transaction, installation: Installation) -> None:
    """Write the row."""
    await tx.execute(SET, key_check=installation.key_check, identity_key=installation.identity_key)


async def use(tx: Transaction, key_check: bytes) -> None:
    """Have another master key be the current one."""
    await tx.execute(SET_KEY, key_check=key_check)
