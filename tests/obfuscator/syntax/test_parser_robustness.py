"""Scripts made to break a front end: too deep, too long, not text at all. Each gets its verdict, in good time."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from moonlatch.obfuscator.analysis.check import check
from support.rounds import rounds

DEEP = 10_000
NESTED = {
    "groups": ("x = ", "(", "1", ")"),
    "tables": ("x = ", "{", "", "}"),
    "calls": ("", "f(", "", ")"),
    "indexing": ("x = ", "a[", "1", "]"),
    "functions": ("x = ", "function() return ", "1", " end"),
    "blocks": ("", "do ", "", " end"),
    "loops": ("", "while x do ", "", " end"),
    "conditions": ("", "if x then ", "", " end"),
    "elseif clauses": ("if x then ", "elseif x then ", "end", ""),
    "negations": ("x = ", "not ", "1", ""),
    "minus signs": ("x = ", "- ", "1", ""),
    "powers": ("x = 1", " ^ 1", "", ""),
    "sums": ("x = 1", " + 1", "", ""),
    "concatenations": ("x = a", " .. a", "", ""),
    "call chains": ("x", "()", "", ""),
    "fields": ("x = a", ".b", "", ""),
    "method chains": ("x", ":m()", "", ""),
    "function names": ("function a", ".b", "() end", ""),
    "if-expressions": ("x = ", "if a then ", "1", " else 2"),
    "elseif expressions": ("x = if a then 1 ", "elseif b then 1 ", "else 2", ""),
    "interpolations": ("x = ", "`{", "1", "}`"),
    "table types": ("local x: ", "{", "number", "}"),
    "function types": ("local x: ", "() -> ", "number", ""),
    "generic types": ("local x: ", "A<", "number", ">"),
    "unions": ("type T = A", " | A", "", ""),
    "type assertions": ("x = ", "(", "1", " :: any)"),
    "typeof": ("local x: ", "typeof(a :: ", "any", ")"),
}


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("closed", [True, False])
def test_ten_thousand_levels_are_refused(name, closed):
    head, opening, middle, closing = NESTED[name]
    faults = check(head + opening * DEEP + middle + closing * (DEEP if closed else 0))
    assert faults
    assert "Exceeded allowed" in faults[-1].message


@pytest.mark.parametrize("name", NESTED)
def test_depth_that_luau_allows_is_no_trouble(name):
    head, opening, middle, closing = NESTED[name]
    assert check(head + opening * 80 + middle + closing * 80) == []


def test_threads_may_parse_deep_scripts_at_the_same_time():
    script = "x = " + "(" * 900 + "1" + ")" * 900
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(check, [script] * 8)) == [[]] * 8


KILO = rounds(300, 1_000)
"""Of a megabyte, three tenths in the short form."""
PATIENCE_SECONDS = rounds(5, 30)
"""What looks back at each step takes minutes for a megabyte, and a tenth of that for three tenths of it."""

MEGABYTE = {
    "statements": "x=1;" * 250 * KILO,
    "names": "a" * 1_000 * KILO + "=1",
    "number": "x=" + "1" * 1_000 * KILO,
    "integer": "x=" + "1" * 1_000 * KILO + "i",
    "string": "x='" + "a" * 1_000 * KILO + "'",
    "escapes": "x='" + "\\n" * 500 * KILO + "'",
    "comment": "--[[" + "]" * 1_000 * KILO + "]]",
    "long string": "x=[==[" + "]=" * 500 * KILO + "]==]",
    "list": "x={" + "1," * 500 * KILO + "}",
    "space": " " * 1_000 * KILO,
    "interpolations": "x={" + "`{a}b`," * 150 * KILO + "}",
    "backticks in a comment": "--" + "`" * 1_000 * KILO,
    "backticks in strings": "x={" + "'`'," * 250 * KILO + "}",
    "opened comments": "--[=[ " * 160 * KILO,
    "opened strings": "'" * (1_000 * KILO + 1),
    "opened interpolations": "`{" * 500 * KILO,
    "opened brackets": "[" * 1_000 * KILO,
    "opened long brackets": "[=" * 500 * KILO,
    "levels": "".join(f"[{'=' * level}[]{'=' * level}]" for level in range(700)),
    "words": "end " * 250 * KILO,
    "commas": "local " + "," * 1_000 * KILO,
    "equals": "=" * 1_000 * KILO,
    "types": "type T = " + "{" * 500 * KILO + "}" * 500 * KILO,
    "attributes": "@native " * 120 * KILO,
    "minus": "- " * 500 * KILO,
    "not ascii": "\u20ac" * 330 * KILO,
    "deep chains": ("x" + ":m()" * 900 + " ") * (27 * KILO // 100),
    "functions in until": "repeat if x then continue end local a = 1 until "
    + "f(function() return " * 150
    + "1"
    + " end)" * 150,
    "unusual levels": "".join(f"x=[{'=' * (4 + level % 60)}[ ]{'=' * (4 + level % 60)}]" for level in range(14 * KILO)),
}


@pytest.mark.parametrize("name", MEGABYTE)
def test_a_megabyte_on_one_line_is_judged_in_seconds(name):
    started = time.process_time()
    check(MEGABYTE[name])
    assert time.process_time() - started < PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"\x1bLuaS\x00\x19\x93\r\n", "Expected identifier when parsing expression, got '\x1b'"),
        (b"\x7fELF\x02\x01", "Expected identifier when parsing expression, got '\x7f'"),
        (b"\x89PNG\r\n\x1a\n", "Expected identifier when parsing expression, got invalid UTF-8 sequence"),
        (b"x = \xef\xbb\xbf1", "Expected identifier when parsing expression, got Unicode character U+feff"),
        (b"\xff\xfep\x00", "Expected identifier when parsing expression, got invalid UTF-8 sequence"),
        (b"\x00", "Unexpected NUL byte; Luau ignores everything after it"),
        ("local s = \u201cx\u201d".encode(), "Expected identifier when parsing expression, got Unicode character U+201c (did you mean '\"'?)"),
        ("local \u0435nd = 1".encode(), "Expected identifier when parsing variable name, got Unicode character U+435 (did you mean 'e'?)"),
        (b"x = \xb2", "Expected identifier when parsing expression, got invalid UTF-8 sequence"),
        (b"x = 1 \xc3", "Expected identifier when parsing expression, got invalid UTF-8 sequence"),
    ],
)  # fmt: skip
def test_what_is_no_script_is_refused(source, message):
    assert check(source)[0].message == message


@pytest.mark.parametrize(
    "source", [b"", b" \n\t", b"-- only a comment", b'x = "\xff\xfe"', b"--[[ \xff ]]", b"--\x80\nx = 1"]
)
def test_empty_scripts_and_odd_bytes_in_strings_and_comments_are_fine(source):
    assert check(source) == []


def test_a_hundred_faults_are_enough():
    faults = check("local = 1\n" * 5000)
    assert len(faults) == 101
    assert faults[-1].message == "Reached error limit (100)"


def test_the_recursion_limit_is_never_lowered():
    check("x = 1")
    before = sys.getrecursionlimit()
    check("x = " + "(" * 900 + "1" + ")" * 900)
    assert sys.getrecursionlimit() == before
