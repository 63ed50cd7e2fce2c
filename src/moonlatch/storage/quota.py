"""Claims obfuscations from an account's quota in one statement, so that concurrent updates cannot pass its limit."""

from __future__ import annotations

from moonlatch.licensing.quota import PERIOD_MS, ObfuscationQuota
from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query("quota.find", "select obfuscation_period_start, obfuscations_used from accounts where id = :account_id")
CLAIM = Query(
    "quota.claim",
    "update accounts set "
    "obfuscations_used = :count + case when obfuscation_period_start <= :over then 0 else obfuscations_used end, "
    "obfuscation_period_start = case when obfuscation_period_start <= :over then :now else obfuscation_period_start end "
    "where id = :account_id and (cast(:places as bigint) is null or "
    ":count + case when obfuscation_period_start <= :over then 0 else obfuscations_used end <= :places)",
)


async def find(db: Database | Transaction, account_id: str, *, limit: int | None, now: int) -> ObfuscationQuota | None:
    """An account's quota as it stands now, None when there is no such account. `limit` is its tier's."""
    row = await db.fetch_one(FIND, account_id=account_id)
    return None if row is None else ObfuscationQuota(period_start=row[0], used=row[1], limit=limit).at(now)


async def claim(tx: Transaction, account_id: str, count: int, *, limit: int | None, now: int) -> bool:
    """Take `count` obfuscations, all or none; False when the quota does not cover them."""
    over = now - PERIOD_MS
    return await tx.execute(CLAIM, account_id=account_id, count=count, places=limit, now=now, over=over) == 1
