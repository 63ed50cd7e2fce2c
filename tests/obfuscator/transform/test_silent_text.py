from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.silent_text import Assembly, Shape, digits_of
from support.luau import run_lua
from support.protecting import protected

WHOLE, NO_SCALE = 1, 1101


def shape(spelt: str) -> Shape:
    return Shape.of(Constant(spelt.encode(), is_number=True))


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_a_double_is_a_whole_number_and_a_power_of_two_exactly(number: float) -> None:
    found = shape(repr(float(number)))
    assert 0 <= found.value < 2**53
    assert WHOLE < found.kind < 2304
    assert found.value * 2.0 ** (found.kind - NO_SCALE) == number


@given(st.integers(0, 2**53 - 1))
def test_a_whole_number_is_its_digits(number: int) -> None:
    assert shape(str(number)) == shape(hex(number)) == Shape(WHOLE, number)
    for base in (50, 95):
        value = 0
        for digit in digits_of(number, base):
            assert 0 <= digit < base
            value = value * base + digit
        assert value == number


@pytest.mark.parametrize("spelt", ["9007199254740992", "0xffffffffffffffff", "1e999", "-1", "-0", "-2.5"])
def test_what_is_not_exact_or_has_a_sign_stays_spelt(spelt: str) -> None:
    assert shape(spelt).kind == 0
    assert Assembly.of([Constant(spelt.encode(), is_number=True)]).has_spelled


def test_hexadecimal_fractions_are_numbers_like_others() -> None:
    assert shape("0x1.8p3") == shape("12.0")


def test_headers_tell_lengths_and_kinds_apart() -> None:
    kinds = [-1, 0, 1, 27, NO_SCALE, 2072]
    found = {Shape(kind).header(length): (kind, length) for kind in kinds for length in range(200)}
    assert len(found) == len(kinds) * 200
    for header, (kind, length) in found.items():
        if kind < 0:
            assert (header % 2, header // 2) == (0, length)
        else:
            assert (header % 2, header % 4608 // 2, header // 4608) == (1, kind, length)


@pytest.mark.parametrize("engine", ["lua51", "luajit", "lua53", "lua54"])
def test_a_number_is_of_the_kind_that_it_was_spelt_as(engine: str) -> None:
    source = "print(12345, 12345.0, 0xffff, 1e15, 2^53, 4503599627370497.5, 5e-324, 1.7976931348623157e308, 0.1, 2147483648, 1e22)"
    for profile in ("light", "standard", "maximum"):
        assert run_lua(engine, protected(source, profile, target="lua51")) == run_lua(engine, source)
