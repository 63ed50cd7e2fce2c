"""The obfuscation quota: periods of 30 days and what is left of one."""

from __future__ import annotations

import pytest

from moonlatch.licensing.quota import PERIOD_MS, ObfuscationQuota


@pytest.mark.parametrize(
    ("used", "limit", "count", "covered"),
    [
        (0, 20, 1, True),
        (19, 20, 1, True),
        (19, 20, 2, False),
        (20, 20, 1, False),
        (25, 20, 1, False),
        (9, None, 99, True),
    ],
)
def test_a_quota_covers_what_is_left(used: int, limit: int | None, count: int, covered: bool) -> None:
    assert ObfuscationQuota(period_start=0, used=used, limit=limit).covers(count) is covered


def test_a_lowered_limit_leaves_nothing_rather_than_less() -> None:
    assert ObfuscationQuota(period_start=0, used=25, limit=20).left == 0


def test_a_period_ends_after_30_days_and_the_next_starts_now() -> None:
    quota = ObfuscationQuota(period_start=1000, used=20, limit=20)
    assert quota.period_end == 1000 + PERIOD_MS
    assert quota.at(quota.period_end - 1) == quota
    later = quota.period_end + 5
    assert quota.at(later) == ObfuscationQuota(period_start=later, used=0, limit=20)
