"""Durations as people write them."""

from __future__ import annotations

import pytest

from moonlatch.licensing.durations import LONGEST_MS, duration_ms, duration_text

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("10m", 10 * MINUTE),
        ("3d", 3 * DAY),
        ("1d12h", DAY + 12 * HOUR),
        (" 2 W ", 14 * DAY),
        ("1mo", 30 * DAY),
        ("1m", MINUTE),
        ("1y", 365 * DAY),
        ("30", 30 * DAY),
        ("36500d", LONGEST_MS),
    ],
)
def test_a_duration_is_read(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-3d", "3x", "d", "1.5d", "3d!", "٣d", "0d", "36501d", "1d" * 21, "9999999999d", "999999999y"]
)
def test_what_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"10m|at most 36500 days"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(3 * DAY + 4 * HOUR, "3d 4h"), (90 * MINUTE, "1h 30m"), (DAY, "1d"), (999, "0s"), (61_000, "1m 1s")],
)
def test_a_duration_is_told_in_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text
