from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax.lexer import QUOTED, RAW
from moonlatch.obfuscator.syntax.literals import number_value, string_value
from moonlatch.obfuscator.target import Target


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (5.0, "5"),
        (100.0, "100"),
        (1000.0, "1e3"),
        (1500000.0, "15e5"),
        (0.5, ".5"),
        (0.001, ".001"),
        (0.0001, "1e-4"),
        (0.00012, "12e-5"),
        (3.25, "3.25"),
        (9007199254740992.0, "9007199254740992"),
        (4503599627370495.0, "0xfffffffffffff"),
        (1e308, "1e308"),
        (5e-324, "5e-324"),
        (math.inf, "1e309"),
    ],
)
def test_a_number_has_its_shortest_spelling(value: float, text: str) -> None:
    assert spelling.number(value, repr(value), Target.LUAU) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1000", "1000"),
        ("1e3", "1e3"),
        ("100.0", "1e2"),
        ("5.0", "5."),
        ("0.0", "0."),
        ("0b101", "5"),
        ("1_000", "1000"),
    ],
)
def test_plain_lua_keeps_integers_and_floats_apart(source: str, text: str) -> None:
    assert spelling.number(float(number_value(source)), source, Target.LUA51) == text


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_every_number_reads_back_exactly(value: float) -> None:
    for target in Target:
        assert number_value(spelling.number(value, repr(value), target)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", '""'),
        (b"plain", '"plain"'),
        (b'say "hi"', "'say \"hi\"'"),
        (b"it's", '"it\'s"'),
        (b"a\nb\0c\x000", r'"a\nb\0c\0000"'),
        (b"\x80\xff1", r'"\128\2551"'),
        ("é€😀".encode(), r'"\u{e9}\u{20ac}\u{1f600}"'),
        (b"\\\\\\\\ back \\\\\\\\ slash", r"[[\\\\ back \\\\ slash]]"),
    ],
)
def test_a_string_has_its_shortest_spelling(value: bytes, text: str) -> None:
    assert spelling.string(value, Target.LUAU) == text


def test_plain_lua_gets_decimal_escapes_only() -> None:
    assert spelling.string("é".encode(), Target.LUA51) == r'"\195\169"'


@given(
    st.binary(max_size=80)
    | st.text(alphabet="\\\"']=[ab\n", max_size=60).map(str.encode)
    | st.text(max_size=40).map(str.encode)
)
def test_every_string_reads_back_byte_for_byte(value: bytes) -> None:
    for target in Target:
        text = spelling.string(value, target)
        assert text.isascii()
        assert "\n" not in text
        assert _read(text) == value


def _read(text: str) -> bytes:
    return string_value(text, RAW if text.startswith("[") else QUOTED)


@pytest.mark.parametrize(
    ("name", "expected"), [(b"field", True), (b"end", False), (b"1a", False), (b"a b", False), (b"", False)]
)
def test_identifiers_are_recognised(name: bytes, expected: bool) -> None:
    assert spelling.is_identifier(name, Target.LUAU) is expected
