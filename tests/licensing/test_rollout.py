"""Which build a start is given: the order of what may say so, as a table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moonlatch.licensing.rollout import (
    WHOLE,
    Plan,
    Share,
    build_for,
    channel_by_role,
    is_outdated,
    place_of,
    plan_of,
    text_of,
)

PLAN = Plan(channels={"beta": 4}, version="v")
ROLLING = Plan(channels={"beta": 4}, rollout=Share(build=5, basis_points=WHOLE, salt="s"), version="v")
KEYS = 1_000_000
NOTHING: dict[str, Any] = {"channel": None, "pin": None, "holder": b"key"}


@pytest.mark.parametrize(
    ("of_key", "expected"),
    [
        ({}, 3),
        ({"channel": "beta"}, 4),
        ({"channel": "alpha"}, 3),
        ({"channel": "stable"}, 3),
        ({"channel": "beta", "pin": 1}, 1),
        ({"pin": 1}, 1),
    ],
)
def test_pin_goes_before_channel_before_the_current_build(of_key: dict[str, Any], expected: int) -> None:
    assert build_for(PLAN, 3, **NOTHING | of_key) == expected


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (None, None),
        ("beta", "beta"),
        ("alpha", None),
        ("alpha,beta", "beta"),
        ("stable,beta", "stable"),
        ("beta,stable", "beta"),
    ],
)
def test_of_the_channels_of_roles_the_first_that_the_script_has_is_taken(
    channels: str | None, expected: str | None
) -> None:
    assert channel_by_role(PLAN, channels) == expected


@pytest.mark.parametrize(
    ("of_key", "expected"),
    [
        ({}, 5),
        ({"holder": None}, 3),
        ({"channel": "beta"}, 4),
        ({"channel": "alpha"}, 5),
        ({"channel": "stable"}, 3),
        ({"pin": 1}, 1),
        ({"channel": "stable", "pin": 1}, 1),
    ],
)
def test_pin_and_channel_go_before_a_rollout(of_key: dict[str, Any], expected: int) -> None:
    assert build_for(ROLLING, 3, **NOTHING | of_key) == expected


@pytest.mark.parametrize(
    ("of_key", "up_to_date"),
    [
        ({}, {3, 5}),
        ({"holder": None}, {3}),
        ({"channel": "beta"}, {4}),
        ({"channel": "stable"}, {3}),
        ({"pin": 5}, {5}),
        ({"pin": 3}, {3}),
    ],
)
def test_the_build_that_a_rollout_is_compared_with_is_outdated_for_nobody_who_may_take_part(
    of_key: dict[str, Any], up_to_date: set[int]
) -> None:
    of_key = NOTHING | of_key
    assert {build for build in range(7) if not is_outdated(ROLLING, 3, build, **of_key)} == up_to_date
    nobody = msgspec.structs.replace(ROLLING, rollout=Share(build=5, basis_points=0, salt="s"))
    assert is_outdated(nobody, 3, 5, **NOTHING), "who is no longer given it runs what is outdated"


def test_each_step_has_its_share_of_a_million_keys_and_only_adds() -> None:
    places = [place_of("a salt of its own", b"%032d" % number) for number in range(KEYS)]
    below = 0
    for basis_points in (1, 100, 500, 2_500, 5_000, 9_999, WHOLE):
        given = sum(place < basis_points for place in places)
        assert abs(given / KEYS - basis_points / WHOLE) <= 0.001
        assert given >= below, "a key below one step is below the next"
        below = given
    assert below == KEYS
    for number in range(0, KEYS, 1_000):
        key = b"%032d" % number
        share = Share(build=5, basis_points=2_500, salt="a salt of its own")
        plan = Plan(channels={}, rollout=share, version="v")
        assert build_for(plan, 3, **NOTHING | {"holder": key}) == (5 if places[number] < 2_500 else 3)


def test_nobody_is_first_in_every_rollout() -> None:
    keys = [b"%032d" % number for number in range(10_000)]
    first = {key for key in keys if place_of("one", key) < 500}
    again = {key for key in keys if place_of("another", key) < 500}
    assert len(first & again) < len(first) / 5, "25 of 500 are expected"


def test_a_place_is_what_its_documentation_says() -> None:
    """Held by a constant: another computation would give everybody another build in the middle of a rollout."""
    assert place_of("salt", b"key") == 581


@pytest.mark.parametrize("channels", [{}, {"beta": 4}, {"beta": 4, "x-_9": 2**53}])
def test_a_plan_is_read_as_it_was_written(channels: dict[str, int]) -> None:
    for rollout in (None, Share(build=5, basis_points=1, salt="s")):
        plan = Plan(channels=channels, has_pins=False, rollout=rollout, version="v")
        assert plan_of(text_of(plan)) == plan


def test_a_plan_from_before_there_were_rollouts_is_one_of_pins() -> None:
    assert plan_of('{"channels":{"beta":4},"version":"v"}') == PLAN


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"channels": {"beta": "4"}, "version": "v"}'])
def test_what_is_no_plan_is_not_read_as_one(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        plan_of(text)
