from __future__ import annotations

import math

import pytest

from moonlatch.obfuscator.syntax.lexer import QUOTED, RAW
from moonlatch.obfuscator.syntax.literals import MalformedLiteralError, number_value, string_value
from support.luau import run_luau

NUMBERS = [
    "0",
    "007",
    "1_0",
    "1.",
    ".5",
    "1e3",
    "1E-3",
    "0xFF",
    "0Xff_ff",
    "0b101",
    "0B1",
    "9007199254740993",
    "0xffffffffffffffffff",
]


def test_numbers_have_the_value_that_luau_gives_them():
    printed = run_luau("\n".join(f'print(string.format("%.17g", {text}))' for text in NUMBERS)).output.split("\n")
    assert [f"{number_value(text):.17g}" for text in NUMBERS] == printed


def test_a_number_too_large_is_infinite():
    assert number_value("1e999") == math.inf


@pytest.mark.parametrize("text", ["0x", "0b", "0b2", "1e", "1.2.3", "12abc", "0x1p4", "0b0b1", "1__x", "0xg"])
def test_malformed_numbers_are_refused(text):
    with pytest.raises(MalformedLiteralError, match="Malformed number"):
        number_value(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0i", 0), ("1_000i", 1000), ("0xffffffffffffffffi", -1), ("0b11i", 3), ("9223372036854775807i", 2**63 - 1)],
)
def test_integers_have_64_bits(text, value):
    found = number_value(text)
    assert (found, type(found)) == (value, int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9223372036854775808i", "Integer overflow"),
        ("0x1ffffffffffffffffi", "Integer overflow"),
        ("1" * 6000 + "i", "Integer overflow"),
        ("0xi", "Malformed integer"),
        ("1.5i", "Malformed integer"),
    ],
)
def test_integers_that_do_not_fit_are_refused(text, message):
    with pytest.raises(MalformedLiteralError, match=message):
        number_value(text)


STRINGS = [
    r'"\a\b\f\n\r\t\v\\\"\'"',
    r'"\0\65\0651\255\x00\xfF"',
    r'"\u{0}\u{7f}\u{7ff}\u{ffff}\u{10FFFF}\u{100000041}\u{D800}"',
    '"a\\z  \n\t b\\\nc\\\r\nd"',
    r'"\q\(\`\{"',
    "[[\nfirst newline dropped\r\nsecond kept]]",
    "[==[]] \\n not an escape]==]",
]


def test_strings_have_the_bytes_that_luau_gives_them():
    dump = "print((string.gsub({}, '.', function(c) return string.format('%02x', string.byte(c)) end)))"
    printed = run_luau("\n".join(dump.format(text) for text in STRINGS)).output.split("\n")
    # Luau's `.` matches any byte, and so does ours.
    assert [string_value(text, RAW if text[0] == "[" else QUOTED).hex() for text in STRINGS] == printed


@pytest.mark.parametrize(
    "text", [r'"\x4"', r'"\xg0"', r'"\u41"', r'"\u{}"', r'"\u{110000}"', r'"\u{12345678901234567}"', r'"\256"']
)
def test_malformed_escapes_are_refused(text):
    with pytest.raises(MalformedLiteralError, match="String literal contains malformed escape sequence"):
        string_value(text, QUOTED)
