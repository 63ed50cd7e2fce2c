"""Which build a start is given: the order of what may say so, as a table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moonlatch.licensing.rollout import Plan, build_for, plan_of, text_of

PLAN = Plan(channels={"beta": 4}, version="v")


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
    assert build_for(PLAN, 3, **{"channel": None, "pin": None, **of_key}) == expected


@pytest.mark.parametrize("channels", [{}, {"beta": 4}, {"beta": 4, "x-_9": 2**53}])
def test_a_plan_is_read_as_it_was_written(channels: dict[str, int]) -> None:
    plan = Plan(channels=channels, version="v")
    assert plan_of(text_of(plan)) == plan


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"channels": {"beta": "4"}, "version": "v"}'])
def test_what_is_no_plan_is_not_read_as_one(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        plan_of(text)
