"""When a key counts as expired or blacklisted, and what its first use starts. Pure: every time is given, in Unix milliseconds."""

from __future__ import annotations

_SECOND_MS = 1_000
_DAY_MS = 24 * 60 * 60 * _SECOND_MS

RESTORABLE_DAYS = 7
RESTORABLE_MS = RESTORABLE_DAYS * _DAY_MS
"""For how long after their removal users are kept so that they can be brought back."""


MAX_KEY_DAYS = 36_500
"""The longest that a key can be good for from its first use."""

_MASKED_PART = 8
_MOST_SHOWN = 4


def masked(key: str) -> str:
    """A key as it may be shown to those who must not use it: a quarter of it at most, and no more than `AbCd…wXyZ`."""
    shown = min(_MOST_SHOWN, len(key) // _MASKED_PART)
    return f"{key[:shown]}…{key[-shown:]}" if shown else "…"


def has_passed(at_ms: int | None, now_ms: int) -> bool:
    """Return whether a moment is over; it belongs to what follows it, and None never comes."""
    return at_ms is not None and at_ms <= now_ms


def is_blacklisted(blacklisted: bool, blacklist_expires: int | None, now_ms: int) -> bool:
    """Return whether the blacklisting still stands; one whose time is over is none."""
    return bool(blacklisted) and not has_passed(blacklist_expires, now_ms)


def is_held(held_by: str | None, held_until: int | None, now_ms: int) -> bool:
    """Return whether a key is on hold, by some rule; without an end it is until somebody releases it."""
    return held_by is not None and not has_passed(held_until, now_ms)


def expiry_after_first_use(key_expires: int | None, key_days: int | None, now_ms: int) -> int | None:
    """When a key expires once it was used at `now_ms`: its days start with the first use, a set expiry wins over them."""
    if key_expires is not None or key_days is None:
        return key_expires
    return now_ms + key_days * _DAY_MS


def seconds_left(key_expires: int | None, now_ms: int) -> int | None:
    """Whole seconds until the key expires, rounded up so that a valid key never shows 0; None when it never does."""
    if key_expires is None:
        return None
    return max(0, -((now_ms - key_expires) // _SECOND_MS))


def grace_end(account_expires: int | None, grace_days: int) -> int | None:
    """Until when scripts of an expired account are still served; None when the account does not expire."""
    return None if account_expires is None else account_expires + grace_days * _DAY_MS
