"""Claiming from the quota: the statement decides exactly as the rule does, also when many claim at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.licensing.quota import PERIOD_MS, ObfuscationQuota
from moonlatch.licensing.tier import Tier
from moonlatch.storage import accounts, quota
from moonlatch.storage.accounts import Account
from moonlatch.storage.interface import Transaction
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.database import database as database
from support.database import opened

NOW = 2 * PERIOD_MS


def account(account_id: str, *, period_start: int = NOW, used: int = 0) -> Account:
    return Account(
        id=account_id,
        name=account_id,
        tier="free",
        expires_at=None,
        created_at=NOW,
        obfuscation_period_start=period_start,
        obfuscations_used=used,
    )


def limited(obfuscations: int | None) -> Tier:
    return Tier(name="limited", obfuscations_per_period=obfuscations)


async def test_build_time_adds_up_and_begins_anew_with_the_period(database: SqliteDatabase) -> None:
    tier = Tier(name="limited", build_seconds_per_period=2)
    await database.run(lambda tx: accounts.insert(tx, account("a", used=3)))

    async def spent(build_ms: int, now: int) -> ObfuscationQuota:
        await database.run(lambda tx: quota.spend(tx, "a", build_ms, now=now))
        found = await quota.find(database, "a", tier, now=now)
        assert found is not None
        return found

    first, second = await spent(1_999, NOW), await spent(500, NOW)
    assert (first.used, first.build_ms_used, first.has_build_time) == (3, 1_999, True)
    assert (second.used, second.build_ms_used, second.has_build_time) == (3, 2_499, False)
    later = NOW + PERIOD_MS
    fresh = await spent(7, later)
    assert (fresh.used, fresh.build_ms_used, fresh.period_start) == (0, 7, later)
    assert await database.run(lambda tx: quota.claim(tx, "a", 1, limit=7, now=later + PERIOD_MS))
    claimed = await quota.find(database, "a", tier, now=later + PERIOD_MS)
    assert claimed is not None
    assert (claimed.used, claimed.build_ms_used) == (1, 0)


async def test_claims_at_the_same_time_cannot_pass_the_limit(database: SqliteDatabase) -> None:
    await database.run(lambda tx: accounts.insert(tx, account("a")))
    claims = [database.run(lambda tx: quota.claim(tx, "a", 2, limit=7, now=NOW)) for _ in range(10)]
    assert sum(await asyncio.gather(*claims)) == 3
    assert await quota.find(database, "a", limited(7), now=NOW) == ObfuscationQuota(period_start=NOW, used=6, limit=7)


async def test_an_account_that_is_gone_has_no_quota(database: SqliteDatabase) -> None:
    assert await quota.find(database, "a", limited(None), now=NOW) is None
    assert not await database.run(lambda tx: quota.claim(tx, "a", 1, limit=None, now=NOW))


Case = tuple[int, int, int, int | None]
CASES = st.lists(
    st.tuples(
        st.integers(NOW - PERIOD_MS - 2, NOW - PERIOD_MS + 2) | st.just(NOW),  # start of the period
        st.integers(0, 5),  # used
        st.integers(1, 2),  # claimed
        st.none() | st.integers(0, 6),  # limit
    ),
    min_size=1,
    max_size=40,
)


@given(CASES)
@settings(max_examples=30, deadline=None)
def test_a_claim_decides_and_counts_as_the_rule_does(tmp_path_factory: object, cases: list[Case]) -> None:
    folder: Path = tmp_path_factory.mktemp("quota")  # type: ignore[attr-defined]
    asyncio.run(_compare(folder, cases))


async def _compare(folder: Path, cases: list[Case]) -> None:
    async with opened(folder / "moonlatch.db") as fresh:

        async def unit(tx: Transaction) -> list[tuple[bool, ObfuscationQuota | None]]:
            outcomes = []
            for number, (period_start, used, count, limit) in enumerate(cases):
                name = str(number)
                await accounts.insert(tx, account(name, period_start=period_start, used=used))
                claimed = await quota.claim(tx, name, count, limit=limit, now=NOW)
                outcomes.append((claimed, await quota.find(tx, name, limited(limit), now=NOW)))
            return outcomes

        expected = []
        for period_start, used, count, limit in cases:
            rule = ObfuscationQuota(period_start=period_start, used=used, limit=limit).at(NOW)
            covered = rule.covers(count)
            after = ObfuscationQuota(period_start=rule.period_start, used=rule.used + count, limit=limit)
            expected.append((covered, after if covered else rule))
        assert await fresh.run(unit) == expected
