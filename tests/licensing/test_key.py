"""When keys expire, and what their first use starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.licensing.key import expiry_after_first_use, grace_end, has_passed, is_blacklisted, seconds_left

NOW = 1_700_000_000_000


@pytest.mark.parametrize(("at", "passed"), [(None, False), (NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_a_moment_is_over_when_it_is_reached(at: int | None, passed: bool) -> None:
    assert has_passed(at, NOW) is passed


@pytest.mark.parametrize(
    ("expires", "left"), [(None, None), (NOW, 0), (NOW - 5_000, 0), (NOW + 1, 1), (NOW + 1_000, 1), (NOW + 1_001, 2)]
)
def test_seconds_are_rounded_up(expires: int | None, left: int | None) -> None:
    assert seconds_left(expires, NOW) == left


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_a_key_shows_no_seconds_exactly_when_it_has_expired(expires: int, now: int) -> None:
    assert (seconds_left(expires, now) == 0) == has_passed(expires, now)


def test_days_begin_with_the_first_use_unless_an_expiry_is_set() -> None:
    assert expiry_after_first_use(None, None, NOW) is None
    assert expiry_after_first_use(None, 3, NOW) == NOW + 3 * 86_400_000
    assert expiry_after_first_use(NOW + 5, 3, NOW) == NOW + 5


def test_a_blacklisting_ends() -> None:
    assert is_blacklisted(True, None, NOW)
    assert is_blacklisted(True, NOW + 1, NOW)
    assert not is_blacklisted(True, NOW, NOW)
    assert not is_blacklisted(False, None, NOW)


def test_an_account_has_days_of_grace() -> None:
    assert grace_end(None, 7) is None
    assert grace_end(NOW, 7) == NOW + 7 * 86_400_000
