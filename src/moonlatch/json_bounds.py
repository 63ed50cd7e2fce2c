"""JSON of no known shape: how deep it may be nested and how many values it may hold, in requests to the management API and in what running
copies answer, which its replies carry on. Nobody else is answered while it is decoded, so what that costs is bounded before.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import msgspec

MAX_DEPTH = 64

MAX_VALUES = 50_000
"""Values of lists and objects in all. Decoding and looking through so many takes some 10 ms, whatever they are."""

VALUES_OF_AN_OBJECT = 3
"""What an object counts as, beside its members: making one costs as much as reading so many numbers."""

SMALL_BYTES = 64 * 1024
"""In so few there cannot be too many."""

_STRINGS_OF_A_VALUE = 2
_QUOTES_OF_A_STRING = 2
_MAX_QUOTES = MAX_VALUES * _STRINGS_OF_A_VALUE * _QUOTES_OF_A_STRING
_NOT_TELLING = bytes(set(range(256)) - set(b'",[{'))


def is_too_deep(value: Any) -> bool:
    """Return whether lists and objects lie in each other more than `MAX_DEPTH` levels deep; without recursion, so at any depth."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def has_too_many_values(raw: bytes) -> bool:
    """Return whether JSON has more than `MAX_VALUES` values, as far as that can be told without decoding it.

    An object counts as `VALUES_OF_AN_OBJECT`; commas in texts do not count.
    """
    if len(raw) <= SMALL_BYTES:
        return False
    # Most are within even if all that stands in texts counts, which a tenth of the time tells.
    telling = raw.translate(None, _NOT_TELLING)
    if _is_within(telling, telling.count(b'"')):
        return False
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    quotes = plain.count(b'"')
    return not _is_within(b"".join(plain.split(b'"')[::2]) if quotes <= _MAX_QUOTES else b"", quotes)


def _is_within(outside: bytes, quotes: int) -> bool:
    values = outside.count(b",") + outside.count(b"[") + VALUES_OF_AN_OBJECT * outside.count(b"{")
    return values <= MAX_VALUES and quotes <= _MAX_QUOTES


# Its own reading of a number near the ends of the range takes 20 times as long as Python's.
_any_number = msgspec.json.Decoder(float_hook=float)


def decode(raw: bytes | memoryview | str) -> Any:
    """What JSON means; a number too large is infinite. Raises as msgspec's decoder does."""
    return _any_number.decode(raw)


def decode_finite(raw: bytes | str) -> Any:
    """What JSON means. Raises msgspec.DecodeError, ValueError or RecursionError, also for a number that is too large."""
    value = _finite_numbers.decode(raw)
    # Of those without a fraction the decoder makes integers of any size, for which nobody is asked.
    if _has_long_number(raw):
        _require_finite(value)
    return value


_FEWEST_DIGITS = sys.float_info.max_10_exp + 1
"""Of a number that is too large."""
_BLOCK = _FEWEST_DIGITS // 2


def _has_long_number(raw: bytes | str) -> bool:
    """Return whether there may be so many digits in a row, be it in a text; a search for them would take as long as decoding."""
    # So many hold a whole block wherever they begin.
    return len(raw) >= _FEWEST_DIGITS and any(raw[at : at + _BLOCK].isdigit() for at in range(0, len(raw), _BLOCK))


def _require_finite(value: Any) -> None:
    """Raise ValueError for a number that no float comes near to."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, int) and abs(item) > sys.float_info.max:
            raise ValueError(_TOO_LARGE)


_TOO_LARGE = "a number is too large"


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(_TOO_LARGE)
    return number


_finite_numbers = msgspec.json.Decoder(float_hook=_finite)
