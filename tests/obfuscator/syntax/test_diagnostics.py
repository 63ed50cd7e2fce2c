from __future__ import annotations

import json
import re

import pytest

from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, format_diagnostic, hint_of, parser_output
from support.corpus import CORPUS, broken_scripts
from support.luau import compile_luau_batch

# Where Luau has changed since the version the tests can run (0.711), ours is the newer wording.
NEWER_MESSAGES = {
    "assignment-to-const": "script:2: Variable 'limit' is constant and may not be reassigned",
    "assignment-to-const-inside-function": "script:3: Variable 'limit' is constant and may not be reassigned",
    "brace-open": "script:5: Expected ',' after table constructor element",
    "const-function-assigned": "script:2: Variable 'f' is constant and may not be reassigned",
    "export-after-attribute": "script:2: Expected 'function' after export declaration with attribute, but got 'local' instead",
    "export-local-function": "script:1: 'export' must be followed by an identifier or 'function'; try removing 'local'",
    "export-without-names": "script:1: Expected identifier when parsing variable name, got '('",
}


@pytest.fixture(scope="module")
def luau_messages() -> dict[str, str | None]:
    scripts = broken_scripts()
    results = compile_luau_batch(list(scripts.values()))
    return {name: result.compile_error for name, result in zip(scripts, results, strict=True)} | NEWER_MESSAGES


@pytest.mark.parametrize("name", broken_scripts())
def test_the_first_message_is_luaus_own(name, luau_messages):
    first, *_ = parser_output(check(broken_scripts()[name])).split("\n")
    assert first == luau_messages[name]


@pytest.mark.parametrize("name", broken_scripts())
def test_every_message_and_its_place_are_luaus_own(name):
    """As recorded from Luau's parser at 367f9d8 (0.735 and newer), which tells the columns that `loadstring` does not."""
    recorded = json.loads((CORPUS / "broken" / "diagnostics.json").read_text("utf-8"))
    faults = check(broken_scripts()[name])
    # What follows from another dialect is left out.
    expected = recorded[name][: len(faults)] if hint_of(faults) else recorded[name]
    assert [[fault.line, fault.column, fault.message] for fault in faults] == expected


def test_recovery_finds_several_faults_at_once():
    assert parser_output(check(broken_scripts()["several-errors"])).split("\n") == [
        "script:1: Expected identifier when parsing variable name, got '='",
        "script:2: Expected ')' (to close '(' at column 6), got '2'",
        "script:3: Incomplete statement: expected assignment or a function call",
        "script:5: Expected 'then' when parsing if statement, got 'the'",
    ]


def test_an_excerpt_points_at_the_fault():
    source = "local x = 1\nif x the\nend\n"
    (first, *_) = check(source)
    assert format_diagnostic(source, first, "main") == (
        "main:2: Expected 'then' when parsing if statement, got 'the'\n2 | if x the\n         ^"
    )


def test_an_excerpt_counts_characters_where_the_column_counts_bytes():
    source = 'print("é", 1 2)'
    (first,) = check(source)
    assert first.column == 15
    assert format_diagnostic(source, first).split("\n")[1:] == ['1 | print("é", 1 2)', "                 ^"]


def test_an_excerpt_of_a_long_line_shows_the_part_around_the_caret():
    source = "x = " + "a + " * 5000 + "1 2"
    shown = format_diagnostic(source, Diagnostic(1, 20_007, "here")).split("\n")
    assert len(shown[1]) < 140
    assert shown[1][shown[2].index("^")] == "2"


def test_tabs_and_control_characters_cannot_move_the_caret():
    shown = format_diagnostic("\tx\x1b[2J 1", Diagnostic(1, 8, "here")).split("\n")
    assert shown[1] == "1 |  x [2J 1"
    assert not re.search(r"[^ -~]", "".join(shown))


def test_a_fault_after_the_last_line_needs_no_excerpt():
    assert format_diagnostic("x", Diagnostic(5, 1, "gone")) == "script:5: gone"
