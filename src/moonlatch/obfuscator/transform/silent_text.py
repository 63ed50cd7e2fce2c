"""Lua that puts texts and numbers together without calling a function: who has replaced those of the host sees none of them.

Letters come from a table that is made once, a text of them by `..`. A number is no text on its way: it lies there as a whole
number, which is added up from its digits, and a power of two, so that it is exact and, where Lua tells them apart, of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from moonlatch.obfuscator.transform.pool import Constant

_LETTERS = "local _letters={} for _code=0,255 do _letters[_code]=string.char(_code) end"
_DIGITS = "local _digits={} for _code=0,94 do _digits[_code]=_code end"
"""Where Lua tells whole numbers from others, what decoders reckon with may be of either kind; a table gives whole ones."""

_PIECE = 400
"""Every letter copies those before it; longer texts are put together from pieces."""

_EXACT = 2**53
"""Below, every whole number is exact on every Lua (IEEE 754, double precision)."""

_KINDS = 2304
_TEXT, _SPELLED, _WHOLE = -1, 0, 1
_NO_SCALE = 1101
"""A kind that tells of a power of two stands this far above it: those of doubles go from -1074 to 971."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a constant is laid out: as its text, or as the whole number `value` with a `kind` that says what becomes of it."""

    kind: int
    value: int = 0

    @classmethod
    def of(cls, constant: Constant) -> Shape:
        if not constant.is_number:
            return cls(_TEXT)
        text = constant.text.decode("ascii")
        if text.startswith("-"):
            return cls(_SPELLED)
        try:
            whole = int(text, 16 if text[:2].lower() == "0x" else 10)
        except ValueError:
            return cls._of_double(text)
        return cls(_WHOLE, whole) if whole < _EXACT else cls(_SPELLED)

    @classmethod
    def _of_double(cls, text: str) -> Shape:
        try:
            number = float(text)
        except ValueError:  # hexadecimal digits with a point
            number = float.fromhex(text)
        if not isfinite(number):
            return cls(_SPELLED)
        value, divisor = number.as_integer_ratio()
        power = 1 - divisor.bit_length()
        while value and value % 2 == 0:
            value, power = value // 2, power + 1
        return cls(power + _NO_SCALE, value)

    @property
    def is_text(self) -> bool:
        """Whether its letters stand there."""
        return self.kind in (_TEXT, _SPELLED)

    def header(self, length: int) -> int:
        """Tells the number of its symbols and its kind."""
        return length * 2 if self.kind == _TEXT else (length * _KINDS + self.kind) * 2 + 1


def digits_of(value: int, base: int) -> list[int]:
    """The digits of a whole number, the first one foremost; none of zero."""
    found: list[int] = []
    while value:
        value, digit = divmod(value, base)
        found.append(digit)
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Assembly:
    """Puts the constants of one decoder together, in `_value`: only what they need is written."""

    longest: int
    has_numbers: bool
    has_spelled: bool

    @classmethod
    def of(cls, constants: Iterable[Constant]) -> Assembly:
        known = list(constants)
        kinds = {Shape.of(constant).kind for constant in known}
        return cls(
            longest=max((len(constant.text) for constant in known), default=0),
            has_numbers=any(kind > _SPELLED for kind in kinds),
            has_spelled=_SPELLED in kinds,
        )

    def captures(self) -> list[str]:
        """Declarations around the decoder, in any order."""
        numbers = [_DIGITS] if self.has_numbers else []
        return [_LETTERS, *numbers, *(["local _number=tonumber"] if self.has_spelled else [])]

    def header_source(self) -> str:
        """Declares `_kind` and `_count`, the number of symbols, of the header `_size`."""
        if not (self.has_numbers or self.has_spelled):
            return f"local _kind,_count={_TEXT},_size/2"
        return (
            f"local _kind,_count={_TEXT},_size/2 if _size%2>0 then "
            f"_kind=(_size%{2 * _KINDS}-1)/2 _count=(_size-_size%{2 * _KINDS})/{2 * _KINDS} end"
        )

    def source(self, letters: str, digits: str) -> str:
        """Puts the constant together: by the first statements if its letters stand there, else by the second, which append digits."""
        text = f"{self._begin()} {letters} {'_value=_value.._piece' if self._has_pieces else ''}"
        if self.has_spelled:
            text += f" if _kind>{_TEXT} then _value=_number(_value) end"
        if not self.has_numbers:
            return f"local _value {text}"
        scale = f"if _kind>{_WHOLE} then _value=_value*2^(_kind-{_NO_SCALE}) end"
        return f"local _value if _kind<{_WHOLE} then {text} else _value=0 {digits} {scale} end"

    @staticmethod
    def digit_source(digit: str, base: int) -> str:
        """A statement that appends a digit of a whole number to that base, of 95 at most."""
        return f"_value=_value*{base}+_digits[{digit}]"

    def append_source(self, code: str) -> str:
        """Statements that append the letter of a byte."""
        if not self._has_pieces:
            return f"_value=_value.._letters[{code}]"
        return (
            f"_piece=_piece.._letters[{code}] _length=_length+1 "
            f'if _length>{_PIECE} then _value=_value.._piece _piece,_length="",0 end'
        )

    @property
    def _has_pieces(self) -> bool:
        return self.longest > _PIECE

    def _begin(self) -> str:
        return '_value="" local _piece,_length="",0' if self._has_pieces else '_value=""'
