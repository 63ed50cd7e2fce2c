"""What was answered to calls with an idempotency key, for a day. Keys are hashed and replies sealed: some hold secrets."""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query(
    "idempotency.find",
    "select request_hash, status, reply, created_at from idempotency_records where account_id = :account_id and key = :key",
)
INSERT = Query(
    "idempotency.insert",
    "insert into idempotency_records (account_id, key, request_hash, status, reply, created_at) "
    "values (:account_id, :key, :request_hash, :status, :reply, :created_at)",
)
REMOVE_OLD = Query(
    "idempotency.remove_old",
    "delete from idempotency_records where account_id = :account_id and key = :key and created_at < :before",
)
PRUNE = Query(
    "idempotency.prune",
    "delete from idempotency_records where (account_id, key) in "
    "(select account_id, key from idempotency_records where created_at < :before order by created_at limit :most)",
)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One answered call. `reply` is sealed."""

    request_hash: bytes
    status: int
    reply: bytes
    created_at: int


async def find(db: Database | Transaction, account_id: str, key: str) -> Kept | None:
    row = await db.fetch_one(FIND, account_id=account_id, key=key)
    if row is None:
        return None
    return Kept(request_hash=bytes(row[0]), status=row[1], reply=bytes(row[2]), created_at=row[3])


async def insert(tx: Transaction, account_id: str, key: str, kept: Kept, *, expired_before: int) -> None:
    """Keep an answer in place of one from before a time (Unix milliseconds). Raises UniqueViolation for a younger one."""
    await tx.execute(REMOVE_OLD, account_id=account_id, key=key, before=expired_before)
    await tx.execute(INSERT, account_id=account_id, key=key, **msgspec.structs.asdict(kept))


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove answers from before a time (Unix milliseconds), at most so many; gives how many went."""
    return await tx.execute(PRUNE, before=before, most=most)
