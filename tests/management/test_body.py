"""Parsing of bodies: bounded in time and memory, whatever they hold."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.errors import ApiError
from moonlatch.management import large_body
from moonlatch.management.body import MAX_STRUCTURED_BYTES, JsonBody
from moonlatch.management.builds import UpdateScript

BODY = JsonBody(UpdateScript)
MEGABYTES = 18


def parse(raw: bytes) -> Any:
    """What the body holds."""
    return result_of(BODY.parse(raw))


def result_of(reading: Coroutine[Any, Any, Any]) -> Any:
    """What is read, without a loop: nothing in it waits for anything."""
    while True:
        try:
            reading.send(None)
        except StopIteration as done:
            return done.value


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet=st.characters(codec="utf-8"))


@given(st.dictionaries(st.sampled_from(["script"]), scalars), st.booleans())
def test_small_and_large_bodies_are_read_alike(value: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(raw) == parse(raw + b" " * MAX_STRUCTURED_BYTES) == value


fragments = st.sampled_from(
    [
        '"',
        "\\u",
        "d800",
        "dc00",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "-",
        ".",
        "e",
        "0",
        "1",
        "9" * 25,
        "NaN",
        "Infinity",
        "null",
    ]
)


@given(st.lists(fragments | st.text(max_size=3, alphabet=st.characters(codec="utf-8")), max_size=8).map("".join))
def test_a_value_is_what_the_standard_library_reads(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    if expected is None or "NaN" in text or "Infinity" in text:
        return
    assert repr(parse(f'{{"script":{text}}}'.encode())["script"]) == repr(expected)


@given(
    st.lists(
        st.sampled_from(
            ["a", "\\n", "\\\\", '\\"', "\\u0416", "\\ud83d\\ude00", "\u0416", "\u20ac", "\U0001f600", "/", "\\/"]
        ),
        max_size=40,
    ).map("".join)
)
def test_a_large_text_is_read_alike_wherever_its_steps_end(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        raw = f'{{"script" : "{text}" , "profile":null}}'.encode()
        for step in range(12, 20):
            patch.setattr(large_body, "STEP_BYTES", step)
            assert result_of(large_body.read_members(raw, {"script", "profile"})) == json.loads(raw)
            patch.undo()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"script":"\\ud800"}', "script"),
        ('{"script":"a\\udc00b"}', "script"),
        ('{"script":"\x01"}', "body"),
        ('{"script":"\\q"}', "body"),
        ('{"script":"a}', "body"),
        ('{"script":1.}', "body"),
        ('{"script":"a"', "body"),
        ('{"script":"a",}', "body"),
        ('{"script":"a"} x', "body"),
        ('{"scripts":"a"}', "body"),
        ('["script"]', "body"),
        ('"script"', "body"),
    ],
)
def test_a_large_body_that_is_broken_says_where(raw: str, expected: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(raw.encode() + b" " * MAX_STRUCTURED_BYTES)
    assert (refused.value.status, refused.value.extras["failed"][0]["field"]) == (400, expected)


# Made by the test that reads it: every process collects them all.
HOSTILE = {
    "lists": lambda: b'{"script":[' + b"[]," * (MEGABYTES * 333_333) + b"[]]}",
    "keys": lambda: b"{" + b",".join(b'"k%07d":1' % each for each in range(MEGABYTES * 80_000)) + b"}",
    "depth": lambda: b'{"script":' + b"[" * (MEGABYTES * 1_000_000),
    "cut off": lambda: b'{"script":"' + b"x" * (MEGABYTES * 1_000_000),
    "digits": lambda: b'{"script":' + b"9" * (MEGABYTES * 1_000_000) + b"}",
    "binary": lambda: b"\xff" * (MEGABYTES * 1_000_000),
}


@pytest.mark.parametrize("family", HOSTILE)
def test_eighteen_hostile_megabytes_hold_nobody_up(family: str) -> None:
    raw = HOSTILE[family]()
    before = time.process_time()
    with contextlib.suppress(ApiError):
        assert parse(raw) == {"script": []}
    assert time.process_time() - before < 10
