"""Tiers: the built-in limits, and what becomes of an account whose tier is gone."""

from __future__ import annotations

import pytest

from moonlatch.licensing.tier import BUILT_IN, FREE, Tier, tier_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("free", (False, 20, 1_800, 1, 3, 100)),
        ("pro", (True, 500, 36_000, 20, 200, 50_000)),
        ("unlimited", (True, None, None, None, None, None)),
    ],
)
def test_the_built_in_tiers_have_the_documented_limits(name: str, expected: tuple[object, ...]) -> None:
    tier = BUILT_IN[name]
    limits = (
        tier.free_for_all,
        tier.obfuscations_per_period,
        tier.build_seconds_per_period,
        tier.projects,
        tier.scripts,
        tier.users,
    )
    assert limits == expected
    assert tier.script_bytes == 8 * 1024 * 1024
    assert tier.build_history == 10


def test_an_account_whose_tier_is_not_configured_any_more_has_the_limits_of_free() -> None:
    stricter = Tier(name="free", users=1)
    assert tier_of({"free": stricter}, "gone") is stricter
    assert tier_of({}, "gone") is FREE


def test_the_word_unlimited_lifts_a_limit() -> None:
    assert Tier.model_validate({"name": "a", "users": "unlimited"}).users is None


@pytest.mark.parametrize("limits", [{"users": -1}, {"script_bytes": 0}, {"build_history": 0}, {"user": 1}])
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Tier.model_validate({"name": "a", **limits})
