"""Durations as people write them: `10m`, `3d`, `1d12h`. Pure."""

from __future__ import annotations

import re

_MS = {
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "mo": 2_592_000_000,
    "y": 31_536_000_000,
}
_PART = re.compile(r"([0-9]{1,9})\s*(mo|[smhdwy])\s*")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")

LONGEST_DAYS = 36_500
LONGEST_MS = LONGEST_DAYS * _MS["d"]
LONGEST_TEXT = 40
HINT = "write it like 10m, 12h, 3d, 2w, 1mo or 1d12h"


def duration_ms(text: str) -> int:
    """Milliseconds of a duration; a month (`mo`) has 30 days, a year 365. A number alone is days.

    Raises ValueError, whose words say how to write one.
    """
    text = text.strip().lower()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        text += "d"
    if len(text) > LONGEST_TEXT or _WHOLE.fullmatch(text) is None:
        raise ValueError(f"is not a duration: {HINT}")
    total = sum(int(number) * _MS[unit] for number, unit in _PART.findall(text))
    if not 0 < total <= LONGEST_MS:
        raise ValueError(f"must be more than nothing and at most {LONGEST_DAYS} days")
    return total


def duration_text(milliseconds: int) -> str:
    """A duration in its two largest units: `3d 4h`; less than a second is `0s`."""
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, milliseconds = divmod(milliseconds, _MS[unit])
        if count or parts:
            parts.append(f"{count}{unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0")) or "0s"
