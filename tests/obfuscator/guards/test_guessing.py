"""A guard's author is warned of a text that can be guessed or stands elsewhere, and of tests that cost too often."""

from __future__ import annotations

import random
import string

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.guards.guessing import FEWEST_BITS, bits_of
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Rejected

STRONG = "Wq7.vN2x-Rk40Jd_Lm81Zt"
GUESSABLE = f"line 1: the text of LA_GUARD can be guessed, and whoever guesses it reads the function; take one of {22} letters and digits or more that a computer drew"


def warnings_of(source: str) -> list[str]:
    found = pipeline.warnings_or_faults(source.encode(), Options("standard"))
    assert not isinstance(found, Rejected), found
    return found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "admin",
        "opensesame",
        "hunter2",
        "correct horse battery",
        "the longest of all sentences",
        "MySecretPassword2024!",
        "1234567890123456789012345",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabcabcabcabcabcabc",
        "abcdefghijklmnopqrstuvwxyz",
        "qX7$kP2",
        "20260101-1200",
    ],
)
def test_a_text_that_people_choose_can_be_guessed(text: str) -> None:
    assert bits_of(text.encode()) < FEWEST_BITS
    assert warnings_of(f'LA_GUARD(x == "{text}", function() end)')[0] == GUESSABLE


@pytest.mark.parametrize("alphabet", [string.ascii_letters + string.digits, "0123456789abcdef", "0123456789ABCDEF"])
def test_a_text_that_a_computer_drew_cannot(alphabet: str) -> None:
    size = 22 if len(alphabet) > 16 else 32
    weak = [text for seed in range(500) if bits_of((text := drawn(alphabet, size, seed)).encode()) < FEWEST_BITS]
    assert len(weak) <= 2
    assert warnings_of(f'LA_GUARD(x == "{drawn(alphabet, size, 1)}", function() end)') == []


def drawn(alphabet: str, size: int, seed: int) -> str:
    return "".join(random.Random(f"{alphabet} {seed}").choices(alphabet, k=size))


@pytest.mark.parametrize(
    "elsewhere",
    [
        f'print("{STRONG}")',
        f'print("the password is {STRONG}!")',
        f"print(`{{x}}{STRONG}`)",
        f'if y == "{STRONG}" then end',
    ],
)
def test_a_text_that_stands_elsewhere_too_is_warned_of(elsewhere: str) -> None:
    told = warnings_of(f'LA_GUARD(x == "{STRONG}", function() end)\n{elsewhere}')
    assert told == ["line 2: the text of LA_GUARD on line 1 stands here too, where anybody can read it"]


def test_names_of_fields_and_methods_stand_in_a_build_too() -> None:
    name = "Wq7vN2xRk40JdLm81ZtGh"
    for elsewhere in (f"x.{name} = 1", f"x:{name}()", f"x = {{ {name} = 1 }}"):
        assert len(warnings_of(f'LA_GUARD(x == "{name}", function() end)\n{elsewhere}')) == 1


def test_what_is_guarded_itself_may_have_the_text() -> None:
    assert warnings_of(f'LA_GUARD(x == "{STRONG}", function() return "{STRONG}" end)') == []


@pytest.mark.parametrize(
    "source",
    [
        "while true do GUARD end",
        "for i = 1, 2 do GUARD end",
        "repeat GUARD until x",
        "for _ in pairs(x) do (function() GUARD end)() end",
        "local function f() GUARD end for i = 1, 3 do f() end",
    ],
)
def test_a_test_in_a_loop_is_warned_of(source: str) -> None:
    guard = f'LA_GUARD(x == "{STRONG}", function() end)'
    often = "line 1: LA_GUARD seems to run often, and each test takes hundredths of a second"
    assert warnings_of(source.replace("GUARD", guard)) == [often]


def test_a_loop_inside_of_what_is_guarded_is_nobodys_concern() -> None:
    assert warnings_of(f'LA_GUARD(x == "{STRONG}", function() for i = 1, 9 do print(i) end end)') == []


def test_where_a_guard_does_nothing_its_author_is_told() -> None:
    source = f'return LA_GUARD(x == "{STRONG}", function() end)'.encode()
    assert pipeline.warnings_or_faults(source, Options("minify")) == [
        "line 1: LA_GUARD has no effect with the profile 'minify'"
    ]
    assert pipeline.warnings_or_faults(source, Options("minify", keeps_macros=True)) == [
        "line 1: LA_GUARD has no effect with another engine"
    ]


def test_neither_a_guards_text_nor_what_it_opens_is_a_secret_that_anybody_reads() -> None:
    secret = drawn(string.ascii_letters + string.digits, 40, 3)
    told = warnings_of(f'print("{secret}")')
    assert len(told) == 1
    assert "long random text" in told[0]
    assert warnings_of(f'LA_GUARD(x == "{secret}", function() print("{secret[::-1]}") end)') == []
