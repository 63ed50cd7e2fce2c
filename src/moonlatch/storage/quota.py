"""Claims obfuscations from an account's quota in one statement, so that concurrent updates cannot pass its limit; charges build time."""

from __future__ import annotations

from moonlatch.licensing.quota import PERIOD_MS, ObfuscationQuota
from moonlatch.licensing.tier import Tier
from moonlatch.storage.interface import Database, Query, Transaction

FIND = Query(
    "quota.find",
    "select obfuscation_period_start, obfuscations_used, build_ms_used from accounts where id = :account_id",
)
CLAIM = Query(
    "quota.claim",
    "update accounts set "
    "obfuscations_used = :count + case when obfuscation_period_start <= :over then 0 else obfuscations_used end, "
    "build_ms_used = case when obfuscation_period_start <= :over then 0 else build_ms_used end, "
    "obfuscation_period_start = case when obfuscation_period_start <= :over then :now else obfuscation_period_start end "
    "where id = :account_id and (cast(:places as bigint) is null or "
    ":count + case when obfuscation_period_start <= :over then 0 else obfuscations_used end <= :places)",
)
SPEND = Query(
    "quota.spend",
    "update accounts set "
    "build_ms_used = :ms + case when obfuscation_period_start <= :over then 0 else build_ms_used end, "
    "obfuscations_used = case when obfuscation_period_start <= :over then 0 else obfuscations_used end, "
    "obfuscation_period_start = case when obfuscation_period_start <= :over then :now else obfuscation_period_start end "
    "where id = :account_id",
)


async def find(db: Database | Transaction, account_id: str, tier: Tier, *, now: int) -> ObfuscationQuota | None:
    """An account's quota as it stands now, None when there is no such account. The limits are its tier's."""
    row = await db.fetch_one(FIND, account_id=account_id)
    if row is None:
        return None
    return ObfuscationQuota(
        period_start=row[0],
        used=row[1],
        limit=tier.obfuscations_per_period,
        build_ms_used=row[2],
        build_seconds_limit=tier.build_seconds_per_period,
    ).at(now)


async def claim(tx: Transaction, account_id: str, count: int, *, limit: int | None, now: int) -> bool:
    """Take `count` obfuscations, all or none; False when the quota does not cover them."""
    over = now - PERIOD_MS
    return await tx.execute(CLAIM, account_id=account_id, count=count, places=limit, now=now, over=over) == 1


async def spend(tx: Transaction, account_id: str, build_ms: int, *, now: int) -> None:
    """Charge build time, also what is more than the quota covers."""
    await tx.execute(SPEND, account_id=account_id, ms=build_ms, now=now, over=now - PERIOD_MS)
