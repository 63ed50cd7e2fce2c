"""The accounts' keys with the Luraph service. Only sealed ones come here; this module could not open them."""

from __future__ import annotations

from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query("luraph_keys.find", "select sealed from luraph_keys where account_id = :account_id")
SET = Query(
    "luraph_keys.set",
    "insert into luraph_keys (account_id, sealed) values (:account_id, :sealed) "
    "on conflict (account_id) do update set sealed = excluded.sealed",
)
CLEAR = Query("luraph_keys.clear", "delete from luraph_keys where account_id = :account_id")


async def find(db: Database | Transaction, account_id: str) -> bytes | None:
    """An account's sealed key, None when it has none."""
    row = await db.fetch_one(FIND, account_id=account_id)
    return None if row is None else bytes(row[0])


async def put(tx: Transaction, account_id: str, sealed: bytes) -> None:
    """Keep a sealed key in place of the one before."""
    await tx.execute(SET, account_id=account_id, sealed=sealed)


async def clear(tx: Transaction, account_id: str) -> None:
    """Forget an account's key; without one nothing happens."""
    await tx.execute(CLEAR, account_id=account_id)
