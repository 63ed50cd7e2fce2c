"""Where texts of instructions break, and which of them stay apart."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.syntax.tree import NO_LINE, SEVERAL_LINES
from moonlatch.obfuscator.vm.code import HOLE, LINE, SourceLine
from moonlatch.obfuscator.vm.line_breaks import LineBreaks
from moonlatch.obfuscator.vm.linking import Linked
from moonlatch.obfuscator.vm.names import Names

NAMES = Names("vm")
R = f"{NAMES.registers}[{HOLE}]"


def settled(*parts: tuple[int, str], has_lines: bool = True) -> Linked:
    """The instruction of those texts, each on a line of the source."""
    operands = [
        one for line, text in parts for one in (SourceLine(line), *([7] * text.count(HOLE)))
    ]  # as lowering has them: in the order of the text
    instruction = Linked("".join(LINE + text for _, text in parts), operands, 1)
    LineBreaks(NAMES, has_lines=has_lines).settle([instruction])
    assert instruction.operands == [7] * instruction.text.count(HOLE)
    return instruction


@pytest.mark.parametrize(
    "text",
    [
        f"{R}({R})",
        f"{R}={R}[{HOLE}]",
        f"{R}=({R} + {R})",
        f"{R}=({R} < {R})",
        f"{R}=({R} .. {R})",
        f"{R}=(-{R})",
        f"{R}=(#{R})",
        f"{R}:name()",
        f"string.rep({R})",
        f"{R}={{[{R}]=1}}",
        f"for l in {R} do end f()",
    ],
)
def test_what_may_raise_has_a_line(text: str) -> None:
    assert settled((5, text)).lines == (5,)


@pytest.mark.parametrize(
    "text",
    [
        f"{R}={R}",
        f"{R}={R}[1]",
        f"{R}=nil",
        f"{R}={{{R}}}",
        f"if {R} then {NAMES.node}={HOLE} else {NAMES.node}={HOLE} end",
        f"{R}={NAMES.machine(1)}({HOLE},{{{R},{R}}})",
        f"return {R}",
        f"{R}=({R} == {HOLE})",
        f"{R}=not {R}",
    ],
)
def test_what_cannot_raise_is_shared_by_all_lines(text: str) -> None:
    assert settled((5, text)).lines == ()
    assert settled((5, text)).text == settled((9, text)).text


def test_a_text_breaks_where_the_line_changes_and_nowhere_else() -> None:
    instruction = settled((3, f"{R}("), (NO_LINE, f"{R}("), (4, f"{R}[{HOLE}],"), (4, f"{R}("), (3, "))("))
    assert instruction.lines == (3, 4, 3)
    assert instruction.text.split("\n") == [f"{R}({R}(", f"{R}[{HOLE}],{R}(", "))("]


def test_without_lines_a_text_is_what_it_was() -> None:
    instruction = settled((3, f"{R}("), (4, f"{R}[{HOLE}])"), has_lines=False)
    assert (instruction.text, instruction.lines) == (f"{R}({R}[{HOLE}])", ())


def test_where_there_is_no_room_the_longest_are_shared_and_have_no_line() -> None:
    short, long = f"{R}()", f"{R}({R},{R},{R},{R},{R},{R},{R})"
    code = [settled((line, text)) for line in range(1, 6) for text in (short, long)]
    LineBreaks(NAMES, has_lines=True).share([code], most=100)
    assert {one.text: {two.lines for two in code if two.text == one.text} for one in code} == {
        short: {(line,) for line in range(1, 6)},
        long: {(SEVERAL_LINES,)},
    }
