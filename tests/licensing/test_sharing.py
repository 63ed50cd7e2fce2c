"""What is taken for a shared key: each rule at its limit, and what holds for any rules and any use."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.licensing.sharing import (
    RULES,
    Breach,
    Consequence,
    KeyUsage,
    Rule,
    SharingRules,
    breaches,
    edited,
    rules_of,
    starts_left,
)

SIGNAL, HOLD, BLACKLIST = Consequence
NO_RULE = SharingRules(**dict.fromkeys(RULES, Rule()))


def only(**rules: Rule) -> SharingRules:
    return msgspec.structs.replace(NO_RULE, **rules)


@pytest.mark.parametrize(
    ("rule", "limit", "still", "broken"),
    [
        ("devices", 3, {"devices": 3}, {"devices": 4}),
        ("devices", 3, {"devices": 5, "max_devices": 5}, {"devices": 6, "max_devices": 5}),
        ("networks_a_day", 3, {"networks_today": 3}, {"networks_today": 4}),
        ("starts_an_hour", 60, {"starts_this_hour": 60}, {"starts_this_hour": 61}),
        ("starts_an_hour", 0, {}, {"starts_this_hour": 1}),
        ("seconds_between_devices", 60, {"ms_between_devices": 60_000}, {"ms_between_devices": 59_999}),
        ("seconds_between_devices", 60, {"ms_between_devices": None}, {"ms_between_devices": 0}),
        ("starts_without_fingerprint", 0, {"unknown_today": 0}, {"unknown_today": 1}),
        (
            "starts_without_fingerprint",
            0,
            {"unknown_today": 9, "fingerprintless": True},
            {"unknown_today": 9},
        ),
        ("hooked_starts", 0, {"hooked_today": 0}, {"hooked_today": 1}),
        ("hooked_starts", 3, {"hooked_today": 3}, {"hooked_today": 4, "fingerprintless": True}),
    ],
)
def test_a_rule_is_broken_just_beyond_its_limit(
    rule: str, limit: int, still: dict[str, Any], broken: dict[str, Any]
) -> None:
    rules = only(**{rule: Rule(limit, HOLD)})
    assert breaches(rules, KeyUsage(**still)) == []
    (breach,) = breaches(rules, KeyUsage(**broken))
    assert (breach.rule, breach.action) == (rule, HOLD)
    assert breaches(NO_RULE, KeyUsage(**broken)) == []


def test_a_breach_tells_the_limit_that_held_and_what_was_seen() -> None:
    rules = only(devices=Rule(3))
    assert breaches(rules, KeyUsage(devices=9, max_devices=4)) == [Breach("devices", 4, 9, SIGNAL)]


def test_the_defaults_only_tell_and_leave_an_ordinary_customer_alone() -> None:
    rules = SharingRules()
    assert {rule.action for rule in rules_of(rules).values()} == {SIGNAL}
    ordinary = KeyUsage(devices=2, networks_today=5, starts_this_hour=60, ms_between_devices=0, unknown_today=60)
    assert breaches(rules, ordinary) == []
    found = breaches(rules, KeyUsage(networks_today=50, devices=1, starts_this_hour=50))
    assert found == [Breach("networks_a_day", 10, 50, SIGNAL)]


def test_editing_changes_what_is_named_and_nothing_else() -> None:
    rules = edited(SharingRules(), {"devices": {"action": HOLD}, "hold_hours": 24})
    assert rules == SharingRules(devices=Rule(5, HOLD), hold_hours=24)
    assert edited(rules, {"devices": {"limit": None}}).devices == Rule(None, HOLD)
    assert edited(rules, {}) == rules


def test_only_what_differs_is_stored() -> None:
    assert msgspec.json.encode(SharingRules()) == b"{}"
    rules = SharingRules(networks_a_day=Rule(None, HOLD), hold_hours=3)
    assert msgspec.json.decode(msgspec.json.encode(rules), type=SharingRules) == rules


rule = st.builds(Rule, st.none() | st.integers(0, 20), st.sampled_from(Consequence))
some_rules = st.builds(SharingRules, **dict.fromkeys(RULES, rule))
usage = st.builds(
    KeyUsage,
    max_devices=st.integers(1, 20),
    fingerprintless=st.booleans(),
    devices=st.integers(0, 30),
    networks_today=st.integers(0, 30),
    starts_this_hour=st.integers(0, 30),
    ms_between_devices=st.none() | st.integers(0, 30_000),
    unknown_today=st.integers(0, 30),
    hooked_today=st.integers(0, 30),
)


@given(some_rules, usage)
def test_the_gravest_comes_first_and_each_rule_once(rules: SharingRules, used: KeyUsage) -> None:
    found = breaches(rules, used)
    gravity = [list(Consequence).index(each.action) for each in found]
    assert gravity == sorted(gravity, reverse=True)
    assert len({each.rule for each in found}) == len(found)
    for each in found:
        is_least = each.rule == "seconds_between_devices"
        assert each.seen < each.limit if is_least else each.seen > each.limit
        assert rules_of(rules)[each.rule].limit is not None


@given(some_rules, usage, usage)
def test_more_use_breaks_no_fewer_rules(rules: SharingRules, used: KeyUsage, more: KeyUsage) -> None:
    together = msgspec.structs.replace(
        used,
        devices=used.devices + more.devices,
        networks_today=used.networks_today + more.networks_today,
        starts_this_hour=used.starts_this_hour + more.starts_this_hour,
        unknown_today=used.unknown_today + more.unknown_today,
        hooked_today=used.hooked_today + more.hooked_today,
    )
    assert {each.rule for each in breaches(rules, used)} <= {each.rule for each in breaches(rules, together)}


@given(some_rules, usage)
def test_a_rule_more_lenient_or_off_is_broken_no_sooner(rules: SharingRules, used: KeyUsage) -> None:
    before = {each.rule for each in breaches(rules, used)}
    for name, each in rules_of(rules).items():
        step = -1 if name == "seconds_between_devices" else 1
        milder = None if each.limit is None else max(0, each.limit + step)
        for limit in (milder, None):
            lenient = edited(rules, {name: {"limit": limit}})
            assert {breach.rule for breach in breaches(lenient, used)} <= before


@given(some_rules, usage)
def test_starts_are_left_as_long_as_the_rule_of_the_hour_holds(rules: SharingRules, used: KeyUsage) -> None:
    left = starts_left(rules, used)
    is_broken = "starts_an_hour" in {each.rule for each in breaches(rules, used)}
    assert is_broken == (left is not None and left < 0)
