"""What a parser of Luau needs to go wrong well: where it stands, Luau's wording of a fault, and how to go on after one.

Nothing here knows the grammar. A parser that finds what it expects never gets here but for `expect*`, so nothing in
this module needs to be quick.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from moonlatch.obfuscator.syntax import lexer
from moonlatch.obfuscator.syntax.confusables import confused_with
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.lexer import EOF, NAME, RESERVED, Tokens
from moonlatch.obfuscator.syntax.literals import string_content
from moonlatch.obfuscator.syntax.tree import Expression

MAX_NESTING = 1000  # as in Luau, so that what it accepts is accepted here and nothing else is
MAX_ERRORS = 100
MISSING_NAME = "%error-id%"

# What a kind of token is called when its text is not at hand.
KIND_NAMES = {
    EOF: "<eof>",
    NAME: "identifier",
    lexer.NUMBER: "number",
    lexer.QUOTED: "string",
    lexer.RAW: "string",
    lexer.INTERPOLATED: "interpolated string",
    lexer.INTERPOLATION_BEGIN: "the beginning of an interpolated string",
    lexer.INTERPOLATION_MIDDLE: "the middle of an interpolated string",
    lexer.INTERPOLATION_END: "the end of an interpolated string",
    lexer.ATTRIBUTE: "attribute",
    lexer.BROKEN_STRING: "malformed string",
    lexer.BROKEN_COMMENT: "unfinished comment",
    lexer.DOUBLE_BRACE: "'{{', which is invalid (did you mean '\\{'?)",
    lexer.NOT_ASCII: "invalid UTF-8 sequence",
}


class ParsingEndedError(Exception):
    """Luau gives up here: too deep, or too many faults. The last diagnostic says why."""


@dataclass(slots=True, eq=False)
class BrokenExpression(Expression):
    """Stands where no expression could be read, from source byte `start` up to `end`; never in a tree that is handed out."""

    start: int
    end: int
    line: int


class Recovery:
    """A position in the tokens, and the faults found so far.

    `index` is the token to be read next. `wanted_*` count the constructs around it that could take up that token again
    when the search for a missing bracket meets it.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.lines = tokens.lines
        self.gaps = tokens.gaps
        self.index = 0
        self.faults: list[tuple[int, int, str]] = []
        # (opening token, token whose column counts for it, closing token) of every block that spans lines
        self.closed_blocks: list[tuple[int, int, int]] = []
        self.missing_name_at = -1
        self.wanted_ends = 0
        self.wanted_equals = 0
        self.wanted_parentheses = 0
        self.wanted_arrows = 0

    # Reporting

    def report(self, start: int, end: int, message: str) -> None:
        """Notes a fault from byte `start` up to `end`; a second one in the very same place is a consequence and dropped."""
        if self.faults and self.faults[-1][:2] == (start, end):
            return
        self.faults.append((start, end, message))
        if len(self.faults) >= MAX_ERRORS:
            self.stop(start, f"Reached error limit ({MAX_ERRORS})")

    def report_here(self, message: str) -> None:
        self.report_at(self.index, message)

    def report_at(self, index: int, message: str) -> None:
        self.report(self.tokens.starts[index], self.tokens.end(index), message)

    def report_since(self, first: int, message: str) -> None:
        """Notes a fault of everything from token `first` up to where parsing stands."""
        self.report(self.tokens.starts[first], self.tokens.end(max(first, self.index - 1)), message)

    def stop(self, start: int, message: str) -> NoReturn:
        self.faults.append((start, start, message))
        raise ParsingEndedError

    def too_deep(self, what: str) -> NoReturn:
        message = f"Exceeded allowed recursion depth; simplify your {what} to make the code compile"
        self.stop(self.tokens.starts[self.index], message)

    def broken(self, first: int, message: str) -> BrokenExpression:
        """A fault that stands for an expression, from token `first` up to where parsing stands."""
        self.report_since(first, message)
        return self.placeholder(self.tokens.starts[first], self.tokens.end(max(first, self.index - 1)))

    def placeholder(self, start: int, end: int) -> BrokenExpression:
        return BrokenExpression(start, end, self.line_of(start))

    def diagnostics(self) -> list[Diagnostic]:
        return [
            Diagnostic(self.line_of(start), self.column_of(start), message.encode("latin-1").decode("utf-8", "replace"))
            for start, _, message in self.faults
        ]

    # Positions

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset at which each line begins; worked out once, because a hostile script has many faults on long lines."""
        return [0, *(match.end() for match in re.finditer("\n", self.tokens.source))]

    def line_of(self, offset: int) -> int:
        return bisect_right(self.line_starts, offset)

    def column_of(self, offset: int) -> int:
        return offset - self.line_starts[self.line_of(offset) - 1] + 1

    def column(self, index: int) -> int:
        return self.column_of(self.tokens.starts[index])

    def begins_anew(self, index: int) -> bool:
        """True for a token on a later line than the expression before it ends on; a missing name counts as if it stood here."""
        return "\n" in self.gaps[index] and index != self.missing_name_at

    # Wording

    def describe(self, index: int) -> str:
        """A token as Luau's messages name it."""
        kind = self.kinds[index]
        text = self.texts[index]
        if kind in (lexer.QUOTED, lexer.RAW):
            return f'"{string_content(text, kind)}"'
        if kind in (NAME, lexer.NUMBER):
            return f"'{text}'"
        if kind == lexer.ATTRIBUTE:
            return f"'{text[1:]}'"
        if kind == lexer.NOT_ASCII:
            return _describe_character(text)
        if kind in KIND_NAMES and "interpol" not in kind:
            return KIND_NAMES[kind]
        return text if kind in KIND_NAMES else f"'{kind}'"

    # Moving on

    def advance(self) -> None:
        if self.kinds[self.index] != EOF:
            self.index += 1

    def expect(self, kind: str, context: str) -> bool:
        """Takes a token of that kind; otherwise says so, and takes it if it comes one token later."""
        if self.kinds[self.index] == kind:
            self.index += 1
            return True
        self.report_here(f"Expected {name_of(kind)} when parsing {context}, got {self.describe(self.index)}")
        self.skip_to(kind)
        return False

    def skip_to(self, kind: str) -> bool:
        if self.kinds[self.index] != EOF and self.kinds[self.index + 1] == kind:
            self.index += 2
            return True
        return False

    def expect_closing(self, kind: str, opening: int, *, search: bool = False) -> bool:
        """Takes the bracket that closes token `opening`; with `search`, skips what stands before it on this line."""
        if self.kinds[self.index] == kind:
            self.index += 1
            return True
        self.report_unclosed(kind, opening, opening)
        if not search:
            return self.skip_to(kind)
        line = self.lines[self.index - 1] + self.texts[self.index - 1].count("\n")
        while self.lines[self.index] == line and self.kinds[self.index] != kind:
            if self.is_wanted(self.kinds[self.index]):
                break
            self.index += 1
        if self.kinds[self.index] == kind:
            self.index += 1
            return True
        return False

    def is_wanted(self, kind: str) -> bool:
        match kind:
            case "end":
                return self.wanted_ends > 0
            case "=":
                return self.wanted_equals > 0
            case ")":
                return self.wanted_parentheses > 0
            case "->":
                return self.wanted_arrows > 0
            case _:
                return kind == EOF

    def expect_end(self, kind: str, opening: int, column_of: int = -1) -> None:
        """Takes the `end` or `until` of a block that token `opening` began, in the column of token `column_of`."""
        index = self.index
        if self.kinds[index] == kind:
            if self.lines[index] != self.lines[opening]:
                self.closed_blocks.append((opening, opening if column_of < 0 else column_of, index))
            self.index = index + 1
            return
        suspect = self.suspect_block()
        hint = ""
        if suspect is not None and self.lines[suspect] > self.lines[opening]:
            hint = f"; did you forget to close {name_of(self.kinds[suspect])} at line {self.lines[suspect]}?"
        self.report_unclosed(kind, opening, opening if column_of < 0 else column_of, hint)
        self.skip_to(kind)

    def suspect_block(self) -> int | None:
        """The opening token of a closed block whose indentation says that its `end` was meant for another."""
        suspect = None
        for opening, column_of, closing in self.closed_blocks:
            if self.lines[opening] > (1 if suspect is None else self.lines[suspect]) and self.column(
                closing
            ) != self.column(column_of):
                suspect = opening
        return suspect

    def report_unclosed(self, kind: str, opening: int, column_of: int, hint: str = "") -> None:
        if self.lines[self.index] == self.lines[opening]:
            where = f"column {self.column(column_of)}"
        else:
            where = f"line {self.lines[opening]}"
        opened = name_of(self.kinds[opening])
        self.report_here(
            f"Expected {name_of(kind)} (to close {opened} at {where}), got {self.describe(self.index)}{hint}"
        )

    # Names

    def name_missing(self, context: str | None) -> None:
        self.missing_name_at = self.index
        during = f" when parsing {context}" if context else ""
        self.report_here(f"Expected identifier{during}, got {self.describe(self.index)}")

    def name(self, context: str | None) -> str:
        """Takes a name; when there is none says so and takes nothing."""
        index = self.index
        if self.kinds[index] == NAME:
            self.index = index + 1
            return self.texts[index]
        self.name_missing(context)
        return MISSING_NAME

    def name_after(self, operator: int, context: str | None) -> str:
        """Takes the name after `.` or `:`; a reserved word on the operator's line is taken for an unfortunate name."""
        index = self.index
        name = self.name(context)
        if self.index == index and self.kinds[index] in RESERVED and self.lines[index] == self.lines[operator]:
            self.index = index + 1
            return self.texts[index]
        return name


def name_of(kind: str) -> str:
    """A kind of token as Luau's messages name it when they expect one."""
    return KIND_NAMES.get(kind) or f"'{kind}'"


def _describe_character(text: str) -> str:
    """A character outside ASCII, whose UTF-8 bytes are `text`; Luau does not mind overlong encodings here."""
    lead = ord(text[0])
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC0 or lead >= 0xF8 or len(text) < length:
        return "invalid UTF-8 sequence"
    code = lead & (0x7F >> length)
    for byte in text[1:]:
        code = code << 6 | ord(byte) & 0x3F
    if not code:
        return "invalid UTF-8 sequence"
    looks_like = confused_with(code)
    hint = f" (did you mean '{looks_like}'?)" if looks_like else ""
    return f"Unicode character U+{code:x}{hint}"
