"""The verdict: each guard by itself, and their order as a property of all facts at once."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.licensing.verdict import (
    FINGERPRINT_REQUIRED,
    Granted,
    Policy,
    Refusal,
    Running,
    RunningFacts,
    Start,
    StartFacts,
    decide_running,
    decide_start,
)

NOW = 1_000_000_000_000
DAY = 86_400_000
POLICY = Policy(account_grace_days=7, minimum_loader_version=2)

FACTS: dict[str, Any] = {
    "project_id": "p",
    "script_name": "Script",
    "free_for_all": False,
    "use_heartbeat": True,
    "kick_outdated": False,
    "require_sessions": False,
    "enabled": True,
    "build": 3,
    "account_expires": None,
    "project_max_instances": None,
    "plan": None,
    "user_id": "k",
    "key_expires": None,
    "max_instances": None,
    "fingerprintless": False,
    "fingerprint": None,
    "blacklisted": False,
    "barred_by": None,
}
OF_START: dict[str, Any] = {
    "discord_id": None,
    "note": None,
    "executions": 0,
    "key_days": None,
    "max_executions": None,
    "loader_version": 2,
    "loader_valid_until": None,
    "has_barred_networks": False,
    "require_fingerprint": False,
    "offline_days": 0,
    "place_seconds": 0,
    "report_errors": False,
    "mark_copies": False,
}
NO_USER = dict.fromkeys(("user_id", "fingerprintless", "blacklisted", "key_expires", "max_instances", "fingerprint"))


def start(claim: dict[str, Any] | None = None, **facts: Any) -> Granted | Refusal:
    known = StartFacts(**{**FACTS, **OF_START, **facts})
    return decide_start(
        known, Start(**{"has_key": True, "fingerprint": b"f", "supports_sessions": True, **(claim or {})}), POLICY, NOW
    )


def running(claim: dict[str, Any] | None = None, **facts: Any) -> Granted | Refusal:
    known = RunningFacts(**{**FACTS, "stopped": None, "instances_since": None, **facts})
    asked = {
        "instance": "i",
        "script": "s",
        "user_id": "k",
        "fingerprint": b"f",
        "supports_sessions": True,
        "build": 3,
        "started_at": NOW - DAY,
        **(claim or {}),
    }
    return decide_running(known, Running(**asked), POLICY, NOW)


def code(verdict: Granted | Refusal) -> str:
    return verdict.code if isinstance(verdict, Refusal) else "granted"


# In the order of the guards: the code, and what makes it apply.
START_GUARDS = [
    ("SCRIPT_DISABLED", {"enabled": False}, {}),
    ("SCRIPT_DISABLED", {"build": 0}, {}),
    ("SCRIPT_DISABLED", {"account_expires": NOW - 7 * DAY}, {}),
    ("OUTDATED", {"kick_outdated": True}, {"build": 2}),
    ("LOADER_OUTDATED", {"loader_version": None}, {}),
    ("LOADER_OUTDATED", {"loader_version": 1}, {}),
    ("LOADER_OUTDATED", {"loader_valid_until": NOW}, {}),
    ("SESSIONS_REQUIRED", {"require_sessions": True}, {"supports_sessions": False}),
    ("KEY_REQUIRED", NO_USER, {"has_key": False}),
    ("KEY_NOT_FOUND", NO_USER, {}),
    ("BLACKLISTED", {"blacklisted": True}, {}),
    ("BLACKLISTED", {"barred_by": "other"}, {}),
    ("BLACKLISTED", {"is_network_barred": True}, {}),
    ("KEY_HELD", {"held_by": "devices"}, {}),
    ("KEY_HELD", {"held_by": "devices", "held_until": NOW + 1}, {}),
    ("KEY_EXPIRED", {"key_expires": NOW}, {}),
    ("KEY_LOCKED", {"is_locked_elsewhere": True}, {}),
    ("TOO_MANY_KEYS", {"is_device_full": True}, {}),
    ("FINGERPRINT_REQUIRED", {"fingerprint": b"f"}, {"fingerprint": None}),
    ("FINGERPRINT_REQUIRED", {"require_fingerprint": True}, {"fingerprint": None}),
    ("FINGERPRINT_MISMATCH", {"fingerprint": b"other"}, {}),
    ("EXECUTION_LIMIT_REACHED", {"max_executions": 5, "executions": 5}, {}),
]
RUNNING_GUARDS = [
    ("DISCONNECTED", {"stopped": "DISCONNECTED"}, {}),
    ("DISCONNECTED", {"instances_since": NOW - DAY}, {}),
    ("DISCONNECTED", {"instances_since": NOW}, {}),
    ("SCRIPT_DISABLED", {"enabled": False}, {}),
    ("OUTDATED", {"kick_outdated": True}, {"build": 2}),
    ("SESSIONS_REQUIRED", {"require_sessions": True}, {"overdue_session": True}),
    ("SESSIONS_REQUIRED", {"require_sessions": True}, {"supports_sessions": False}),
    ("KEY_REQUIRED", NO_USER, {"user_id": None}),
    ("KEY_NOT_FOUND", NO_USER, {}),
    ("BLACKLISTED", {"blacklisted": True}, {}),
    ("BLACKLISTED", {"barred_by": "other"}, {}),
    ("KEY_EXPIRED", {"key_expires": NOW}, {}),
    ("FINGERPRINT_REQUIRED", {"fingerprint": b"f"}, {"fingerprint": None}),
    ("FINGERPRINT_MISMATCH", {"fingerprint": b"other"}, {}),
]
ORDER = [
    *("SCRIPT_NOT_FOUND", "DISCONNECTED", "SCRIPT_DISABLED", "OUTDATED", "LOADER_OUTDATED", "SESSIONS_REQUIRED"),
    *("KEY_REQUIRED", "KEY_NOT_FOUND", "BLACKLISTED", "KEY_HELD", "KEY_EXPIRED"),
    *("KEY_LOCKED", "TOO_MANY_KEYS"),
    *("FINGERPRINT_REQUIRED", "FINGERPRINT_MISMATCH"),
    *("EXECUTION_LIMIT_REACHED", "granted"),
]


@pytest.mark.parametrize(("expected", "facts", "claim"), START_GUARDS)
def test_each_guard_refuses_a_start(expected: str, facts: dict, claim: dict) -> None:
    assert code(start(claim, **facts)) == expected


@pytest.mark.parametrize(("expected", "facts", "claim"), RUNNING_GUARDS)
def test_each_guard_stops_a_running_copy(expected: str, facts: dict, claim: dict) -> None:
    assert code(running(claim, **facts)) == expected


def test_a_script_that_is_gone_is_not_found() -> None:
    assert code(decide_start(None, Start(True, None, True), POLICY, NOW)) == "SCRIPT_NOT_FOUND"
    assert code(decide_running(None, Running("i", "s", "k", None, True, 1, NOW), POLICY, NOW)) == "SCRIPT_NOT_FOUND"


def test_what_breaks_no_rule_is_granted() -> None:
    assert start() == Granted(premium=True, binds_fingerprint=True)
    assert running() == Granted(premium=True)
    assert running(instances_since=NOW - DAY - 1) == Granted(premium=True)


def test_a_start_on_one_more_device_binds_it_while_there_is_room() -> None:
    assert start(fingerprint=b"other", has_free_device=True) == Granted(premium=True, binds_fingerprint=True)
    assert start(fingerprint=b"f", has_free_device=True) == Granted(premium=True)
    assert code(start({"fingerprint": None}, fingerprint=b"f", has_free_device=True)) == "FINGERPRINT_REQUIRED"


def test_a_grant_says_how_many_places_the_key_has() -> None:
    assert start(max_instances=2) == Granted(premium=True, binds_fingerprint=True, max_instances=2)
    assert running(max_instances=2) == Granted(premium=True, max_instances=2)
    assert running(max_instances=2, free_for_all=True, key_expires=NOW) == Granted(premium=False)


@pytest.mark.parametrize(("own", "places"), [(None, 3), (2, 2), (5, 5)])
def test_a_key_without_places_of_its_own_has_its_projects(own: int | None, places: int) -> None:
    assert start(project_max_instances=3, max_instances=own).max_instances == places  # type: ignore[union-attr]
    assert running(project_max_instances=3, max_instances=own).max_instances == places  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("facts", "claim"),
    [
        ({"account_expires": NOW - 7 * DAY + 1}, {}),
        ({"blacklisted": True, "blacklist_expires": NOW}, {}),
        ({"barred_by": "other", "bar_expires": NOW}, {}),
        ({"is_network_barred": True, "bar_expires": NOW}, {}),
        ({"has_barred_networks": True}, {}),
        ({"held_by": "devices", "held_until": NOW}, {}),
        ({"key_expires": NOW + 1}, {}),
        ({"fingerprint": b"f"}, {}),
        ({"fingerprint": b"other", "has_free_device": True}, {}),
        ({"fingerprint": b"other", "fingerprintless": True}, {}),
        ({"max_executions": 5, "executions": 4}, {}),
        ({"require_sessions": True}, {}),
        ({"require_fingerprint": True}, {}),
        ({"require_fingerprint": True, "fingerprintless": True}, {"fingerprint": None}),
    ],
)
def test_just_inside_a_limit_is_granted(facts: dict, claim: dict) -> None:
    assert code(start(claim, **facts)) == "granted"


def test_the_first_use_starts_the_days_of_a_key() -> None:
    assert start(key_days=2) == Granted(premium=True, key_expires=NOW + 2 * DAY, binds_fingerprint=True)
    assert start(key_days=2, key_expires=NOW + 5) == Granted(premium=True, key_expires=NOW + 5, binds_fingerprint=True)


@pytest.mark.parametrize("facts", [NO_USER, {"key_expires": NOW}, {"key_expires": NOW, "fingerprint": b"other"}])
def test_a_free_for_all_script_runs_without_a_valid_key_as_non_premium(facts: dict) -> None:
    assert start(free_for_all=True, **facts) == Granted(premium=False)
    nameless = {"fingerprint": None}
    assert start(nameless, free_for_all=True, require_fingerprint=True, **facts) == Granted(premium=False)
    assert running(free_for_all=True, **facts) == Granted(premium=False)


@pytest.mark.parametrize(
    "facts", [{"blacklisted": True}, {"barred_by": "x"}, {"blacklisted": True, "key_expires": NOW}]
)
def test_a_free_for_all_script_never_runs_for_a_blacklisted_key_or_device(facts: dict) -> None:
    assert code(start(free_for_all=True, **facts)) == "BLACKLISTED"
    assert code(running(free_for_all=True, **facts)) == "BLACKLISTED"


def test_a_blacklisting_says_why_and_until_when() -> None:
    refusal = start(blacklisted=True, blacklist_reason="resold", blacklist_expires=NOW + 5)
    assert isinstance(refusal, Refusal)
    assert refusal.extras == {"reason": "resold", "expires": NOW + 5}
    assert "resold" in refusal.message
    refusal = start(barred_by="x", bar_reason="shared", bar_expires=None)
    assert isinstance(refusal, Refusal)
    assert refusal.extras == {"reason": "shared", "expires": None}


@pytest.mark.parametrize(
    ("left_ms", "says"), [(1, "in an hour at most"), (3_600_001, "in 2 hours at most"), (DAY, "in 24 hours at most")]
)
def test_a_hold_says_what_to_do_and_when_it_ends(left_ms: int, says: str) -> None:
    refusal = start(held_by="devices", held_until=NOW + left_ms)
    assert isinstance(refusal, Refusal)
    assert (says in refusal.message, refusal.extras) == (True, {"until": NOW + left_ms})
    refusal = start(held_by="devices")
    assert isinstance(refusal, Refusal)
    assert ("release it." in refusal.message, refusal.extras) == (True, {"until": None})


def test_a_hold_keeps_new_starts_out_also_of_free_for_all_scripts_and_stops_no_copy() -> None:
    assert code(start(free_for_all=True, held_by="devices", key_expires=NOW)) == "KEY_HELD"
    assert running(held_by="devices") == Granted(premium=True)


def pairs(guards: list) -> list:
    """Every two guards that can apply at once: their facts and claims do not contradict each other."""
    return [
        (first, second)
        for number, first in enumerate(guards)
        for second in guards[number + 1 :]
        if not (first[1].keys() & second[1].keys()) and not (first[2].keys() & second[2].keys())
    ]


@pytest.mark.parametrize(("first", "second"), pairs(START_GUARDS))
def test_of_two_guards_that_refuse_a_start_the_first_answers(first: tuple, second: tuple) -> None:
    assert code(start({**first[2], **second[2]}, **{**first[1], **second[1]})) == first[0]


@pytest.mark.parametrize(("first", "second"), pairs(RUNNING_GUARDS))
def test_of_two_guards_that_stop_a_running_copy_the_first_answers(first: tuple, second: tuple) -> None:
    assert code(running({**first[2], **second[2]}, **{**first[1], **second[1]})) == first[0]


optional_time = st.none() | st.integers(NOW - 10 * DAY, NOW + 10 * DAY)
any_facts = st.fixed_dictionaries(
    {
        "free_for_all": st.booleans(),
        "enabled": st.booleans(),
        "build": st.integers(0, 4),
        "account_expires": optional_time,
        "require_sessions": st.booleans(),
        "user_id": st.sampled_from(["k", None]),
        "key_expires": optional_time,
        "max_instances": st.none() | st.integers(0, 3),
        "fingerprintless": st.booleans(),
        "fingerprint": st.sampled_from([None, b"f", b"g"]),
        "executions": st.integers(0, 3),
        "max_executions": st.none() | st.integers(0, 3),
        "blacklisted": st.booleans(),
        "blacklist_expires": optional_time,
        "barred_by": st.sampled_from([None, "x"]),
        "bar_expires": optional_time,
        "held_by": st.sampled_from([None, "devices"]),
        "held_until": optional_time,
        "loader_version": st.none() | st.integers(1, 3),
        "require_fingerprint": st.booleans(),
        "offline_days": st.sampled_from([0, 30]),
        "place_seconds": st.sampled_from([0, 3600]),
    }
)
any_claim = st.fixed_dictionaries(
    {
        "has_key": st.booleans(),
        "fingerprint": st.sampled_from([None, b"f", b"g"]),
        "supports_sessions": st.booleans(),
        "build": st.sampled_from([None, 3, 4]),
    }
)


@given(any_facts, any_claim)
def test_lifting_a_restriction_never_brings_an_earlier_refusal(facts: dict, claim: dict) -> None:
    before = code(start(claim, **facts))
    for lifted in (
        {"enabled": True, "build": 1, "account_expires": None},
        {"loader_version": 2},
        {"require_sessions": False},
        {"blacklisted": False, "barred_by": None},
        {"held_by": None},
        {"key_expires": None},
        {"fingerprintless": True},
        {"require_fingerprint": False},
        {"max_instances": None},
        {"max_executions": None},
    ):
        after = code(start(claim, **{**facts, **lifted}))
        if facts["free_for_all"] and "key_expires" in lifted:
            continue  # a key that becomes valid has rules of its own to keep
        assert ORDER.index(after) >= ORDER.index(before)


@given(any_facts, any_claim)
def test_a_grant_breaks_no_rule(facts: dict, claim: dict) -> None:
    verdict = start(claim, **facts)
    if isinstance(verdict, Refusal):
        return
    assert facts["enabled"]
    assert facts["build"] > 0
    assert facts["loader_version"] >= 2
    assert claim["supports_sessions"] or not facts["require_sessions"]
    assert facts["barred_by"] is None or (facts["bar_expires"] or NOW + 1) <= NOW
    assert not facts["blacklisted"] or (facts["blacklist_expires"] or NOW + 1) <= NOW
    assert facts["held_by"] is None or (facts["held_until"] or NOW + 1) <= NOW
    assert verdict.premium or facts["free_for_all"]
    if verdict.premium:
        assert facts["user_id"] == "k"
        assert facts["key_expires"] is None or facts["key_expires"] > NOW
        assert facts["fingerprintless"] or facts["fingerprint"] in (None, claim["fingerprint"])
        assert facts["fingerprintless"] or claim["fingerprint"] or not facts["require_fingerprint"]


def test_a_device_that_is_not_told_is_refused_with_what_to_do_about_it() -> None:
    bound, any_key = ({"fingerprint": b"f"}, {"require_fingerprint": True})
    nameless = {"fingerprint": None}
    assert start(nameless, **bound) == start(nameless, **bound, **any_key) == FINGERPRINT_REQUIRED
    refusal = start(nameless, **any_key)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "host table needs a fingerprint" in refusal.message) == ("FINGERPRINT_REQUIRED", True)


def test_a_copy_that_runs_without_a_device_runs_on_when_the_project_begins_to_ask_for_it() -> None:
    assert running({"fingerprint": None}) == Granted(premium=True)


def test_every_message_is_a_sentence_for_the_customer() -> None:
    from moonlatch.licensing import verdict

    messages = [value.message for value in vars(verdict).values() if isinstance(value, Refusal)]
    assert len(messages) >= 14
    for message in messages:
        assert message[0].isupper()
        assert message.endswith(".")
        assert "_" not in message.replace("script_key", "")


def test_facts_are_in_the_order_of_the_columns() -> None:
    names = [field.name for field in msgspec.structs.fields(StartFacts) if field.required]
    assert names == [*FACTS, *OF_START]
    names = [field.name for field in msgspec.structs.fields(RunningFacts)]
    assert names[: len(FACTS) + 4] == [*FACTS, "stopped", "instances_since", "discord_id", "note"]
