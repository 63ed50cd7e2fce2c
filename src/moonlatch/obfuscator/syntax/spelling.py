"""Writes numbers and strings as the shortest ASCII literal that means exactly the same value."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from moonlatch.obfuscator.syntax.lexer import RESERVED
from moonlatch.obfuscator.target import Target

RESERVED_ELSEWHERE = frozenset({"goto"})
"""In Lua 5.2 to 5.4 and LuaJIT, on which scripts for `lua51` have to run, but not in Luau and Lua 5.1."""
_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN = re.compile(rb"[ !#-\[\]-~]*\Z")
_PRINTABLE = re.compile(r"[ -~]*\Z")
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")
_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}
_SHORTEST_LONG_STRING = 16
_LONG_STRING_LEVELS = 8
_FLOAT_KIND = re.compile(r"(?!0[xXbB]).*[.eE]")


def is_identifier(value: bytes, target: Target) -> bool:
    """True when `value` can be written as a field name."""
    if not _IDENTIFIER.match(value):
        return False
    name = value.decode("ascii")
    return name not in RESERVED and not (target is Target.LUA51 and name in RESERVED_ELSEWHERE)


def number(value: float, text: str, target: Target) -> str:
    """The shortest literal for `value`, which is not negative.

    For `lua51` it stays an integer or a float as `text`, the source's spelling, has it: Lua 5.3 and newer tell them apart.
    """
    if math.isinf(value):
        return "1e309"
    if target is Target.LUA51:
        if _FLOAT_KIND.match(text):
            return min((spelt for spelt in _spellings(value) if "." in spelt or "e" in spelt), key=len)
        if value < 2**53:
            return min((str(int(value)), hex(int(value))), key=len)
        if text[:2] not in ("0b", "0B"):
            return text.replace("_", "")
    return min(_spellings(value), key=len)


def _spellings(value: float) -> list[str]:
    """Every candidate spelling, the plainest first."""
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).lstrip("0")
    if not significant:
        return ["0", "0.", "0e0"]
    stripped = significant.rstrip("0")
    exponent += len(significant) - len(stripped)
    candidates = []
    if exponent >= 0:
        if exponent < 22:
            candidates += [stripped + "0" * exponent, stripped + "0" * exponent + "."]
        if value < 2**53:
            candidates.append(hex(int(value)))
    elif -exponent < len(stripped):
        candidates.append(f"{stripped[:exponent]}.{stripped[exponent:]}")
    else:
        candidates.append("." + "0" * (-exponent - len(stripped)) + stripped)
    candidates.append(f"{stripped}e{exponent}")
    return candidates


def string(value: bytes, target: Target) -> str:
    """The shortest one-line literal for `value`: either quote, or a long bracket where that saves escapes."""
    if _PLAIN.match(value):
        return f'"{value.decode("ascii")}"'
    quote = '"' if value.count(b'"') <= value.count(b"'") else "'"
    quoted = quote + escaped(value, target, quote) + quote
    if len(value) >= _SHORTEST_LONG_STRING:
        bracketed = _long_bracket(value)
        if bracketed is not None and len(bracketed) < len(quoted):
            return bracketed
    return quoted


def escaped(value: bytes, target: Target, specials: str) -> str:
    """`value` with everything that is not printable ASCII, backslashes and the characters of `specials` escaped."""
    pieces: list[str] = []
    position = 0
    if target is Target.LUAU:
        for match in _MULTIBYTE.finditer(value):
            end, code = _code_point(value, match.start())
            if code:
                pieces += (_bytewise(value[position : match.start()], specials), f"\\u{{{code:x}}}")
                position = end
    pieces.append(_bytewise(value[position:], specials))
    return "".join(pieces)


def _code_point(value: bytes, start: int) -> tuple[int, int]:
    """Where the UTF-8 sequence at `start` ends and its code point, or (0, 0) when it is not well-formed."""
    lead = value[start]
    end = start + (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4)
    try:
        return end, ord(value[start:end].decode("utf-8"))
    except (UnicodeDecodeError, TypeError):
        return 0, 0


def _bytewise(value: bytes, specials: str) -> str:
    pieces: list[str] = []
    for position, code in enumerate(value):
        if code in _NAMED:
            pieces.append(_NAMED[code])
        elif 32 <= code < 127:
            character = chr(code)
            pieces.append("\\" + character if character in specials else character)
        elif value[position + 1 : position + 2].isdigit():
            pieces.append(f"\\{code:03}")
        else:
            pieces.append(f"\\{code}")
    return "".join(pieces)


def _long_bracket(value: bytes) -> str | None:
    text = value.decode("latin-1")
    if not _PRINTABLE.match(text):
        return None
    for level in range(_LONG_STRING_LEVELS):
        bars = "=" * level
        closing = f"]{bars}]"
        # Lua 5.1 refuses a nested [[ at level zero.
        if (text + closing).find(closing) == len(text) and not (level == 0 and "[[" in text):
            return f"[{bars}[{text}{closing}"
    return None
