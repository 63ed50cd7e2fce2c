"""What number and string literals stand for, digit by digit and byte by byte as Luau reads them."""

from __future__ import annotations

import re

from moonlatch.obfuscator.syntax.lexer import RAW

MAX_UNSIGNED = 2**64 - 1
MAX_SIGNED = 2**63 - 1

HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]+)(i?)")
BINARY = re.compile(r"0[bB]([01]+)(i?)")
DECIMAL_INTEGER = re.compile(r"([0-9]+)i")

ESCAPE = re.compile(
    r"\\(?:(?P<hex>x[0-9a-fA-F]{2})|(?P<space>z[ \t\r\n\v\f]*)|u\{(?P<code>[0-9a-fA-F]{1,16})\}|(?P<decimal>[0-9]{1,3})|(?P<line>\r\n?|\n)"
    r"|(?P<plain>[^xu0-9])|(?P<bad>[\s\S]?))"
)
CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class MalformedLiteralError(ValueError):
    """A literal that Luau refuses; the text is Luau's message."""


def number_value(text: str) -> float | int:
    """The double a number literal stands for, or the int of a 64-bit integer literal (`123i`).

    Raises MalformedLiteralError. A hexadecimal or binary number beyond 64 bits is 2^64 - 1, as `strtoull` has it.
    """
    digits = text.replace("_", "")
    if digits.endswith("i"):
        return _integer(digits)
    for pattern, base in ((HEXADECIMAL, 16), (BINARY, 2)):
        match = pattern.fullmatch(digits)
        if match:
            return float(min(int(match[1], base), MAX_UNSIGNED))
    try:
        return float(digits)
    except ValueError:
        raise MalformedLiteralError("Malformed number") from None


def _integer(digits: str) -> int:
    for pattern, base in ((HEXADECIMAL, 16), (BINARY, 2)):
        match = pattern.fullmatch(digits)
        if match:
            value = int(match[1], base)
            if value > MAX_UNSIGNED:
                raise MalformedLiteralError("Integer overflow")
            return value - 2**64 if value > MAX_SIGNED else value
    match = DECIMAL_INTEGER.fullmatch(digits)
    if not match:
        raise MalformedLiteralError("Malformed integer")
    # Python refuses to convert thousands of digits, and twenty already are too many.
    significant = match[1].lstrip("0") or "0"
    if len(significant) > 19 or int(significant) > MAX_SIGNED:
        raise MalformedLiteralError("Integer overflow")
    return int(significant)


def negated_integer(value: int) -> int:
    """The negative of a 64-bit integer, which wraps around: the smallest one is its own."""
    return value if value == ~MAX_SIGNED else -value


def string_content(text: str, kind: str) -> str:
    """The text between a string token's delimiters, or between a section's backticks and braces."""
    if kind == RAW:
        margin = text.index("[", 1) + 1
        return text[margin:-margin]
    return text[1:-1]


def string_value(text: str, kind: str) -> bytes:
    """The bytes a string token, or one section of an interpolated string, stands for.

    Raises MalformedLiteralError for an escape Luau does not know.
    """
    content = string_content(text, kind)
    if kind == RAW:
        if content.startswith(("\n", "\r\n")):
            content = content[content.index("\n") + 1 :]
        content = content.replace("\r\n", "\n")
    elif "\\" in content:
        content = ESCAPE.sub(_escaped, content)
    return content.encode("latin-1")


def _escaped(match: re.Match[str]) -> str:
    group = match.lastgroup
    found = match[group] if group else ""
    if group == "plain":
        return CONTROL.get(found, found)
    if group == "hex":
        return chr(int(found[1:], 16))
    if group == "decimal" and int(found) <= 255:
        return chr(int(found))
    if group == "code":
        # Luau counts in 32 bits, so that longer codes wrap around.
        code = int(found, 16) & 0xFFFFFFFF
        if code < 0x110000:
            return chr(code).encode("utf-8", "surrogatepass").decode("latin-1")
    if group == "space":
        return ""
    if group == "line":
        return "\n"
    raise MalformedLiteralError("String literal contains malformed escape sequence")
