"""Reads literals: constants, numbers, strings and interpolated strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moonlatch.obfuscator.syntax import lexer, tree
from moonlatch.obfuscator.syntax.lexer import NUMBER, QUOTED, RAW, Tokens
from moonlatch.obfuscator.syntax.literals import MalformedLiteralError, number_value, string_value
from moonlatch.obfuscator.syntax.parser_types import TypeParser
from moonlatch.obfuscator.syntax.tree import Expression


class LiteralParser(TypeParser):
    """Literals, and `...`, which is allowed where `is_vararg` says so."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.numbers: dict[str, float | int] = {}
        self.is_vararg = True
        self.backtick_texts: list[tree.String] = []

    def nil(self, _depth: int) -> Expression:
        self.index += 1
        return tree.Nil(self.lines[self.index - 1])

    def true(self, _depth: int) -> Expression:
        self.index += 1
        return tree.TrueValue(self.lines[self.index - 1])

    def false(self, _depth: int) -> Expression:
        self.index += 1
        return tree.FalseValue(self.lines[self.index - 1])

    def varargs(self, _depth: int) -> Expression:
        index = self.index
        self.index = index + 1
        if not self.is_vararg:
            return self.broken(index, "Cannot use '...' outside of a vararg function")
        return tree.Varargs(self.lines[index])

    def number(self, _depth: int) -> Expression:
        index = self.index
        self.index = index + 1
        text = self.texts[index]
        value = self.numbers.get(text)
        if value is None:
            try:
                value = self.numbers[text] = number_value(text)
            except MalformedLiteralError as problem:
                return self.broken(index, str(problem))
        if isinstance(value, float):
            return tree.Number(text, value, self.lines[index])
        return tree.Integer(text, value, self.lines[index])

    def string(self, _depth: int) -> Expression:
        index = self.index
        self.index = index + 1
        text = self.texts[index]
        kind = self.kinds[index]
        if kind == QUOTED and "\\" not in text:
            return tree.String(text[1:-1].encode("latin-1"), self.lines[index])
        try:
            return tree.String(string_value(text, kind), self.lines[index])
        except MalformedLiteralError as problem:
            return self.broken(index, str(problem))

    def backtick_text(self, depth: int) -> Expression:
        value = self.string(depth)
        if isinstance(value, tree.String):
            self.backtick_texts.append(value)
        return value

    def broken_string(self, _depth: int) -> Expression:
        self.index += 1
        return self.broken(self.index - 1, "Malformed string; did you forget to finish it?")

    def double_brace(self, _depth: int) -> Expression:
        self.index += 1
        message = "Double braces are not permitted within interpolated strings; did you mean '\\{'?"
        return self.broken(self.index - 1, message)

    def interpolated_string(self, depth: int) -> Expression:
        first = self.index
        parts: list[bytes] = []
        values: list[Expression] = []
        while True:
            section = self.index
            kind = self.kinds[section]
            self.index = section + 1
            try:
                parts.append(string_value(self.texts[section], lexer.INTERPOLATED))
            except MalformedLiteralError:
                return self.broken(first, "Interpolated string literal contains malformed escape sequence")
            if kind in (lexer.INTERPOLATION_END, lexer.INTERPOLATED):
                break
            if self.kinds[self.index] in (lexer.INTERPOLATION_MIDDLE, lexer.INTERPOLATION_END):
                self.index += 1
                self.report_at(section, "Malformed interpolated string, expected expression inside '{}'")
                break
            if self.kinds[self.index] == lexer.BROKEN_STRING:
                self.index += 1
                self.report_at(section, "Malformed interpolated string; did you forget to add a '`'?")
                break
            values.append(self.expression(0, depth))
            kind = self.kinds[self.index]
            if kind in (lexer.INTERPOLATION_BEGIN, lexer.INTERPOLATION_MIDDLE, lexer.INTERPOLATION_END):
                continue
            return self.broken_interpolation(section)
        return tree.InterpolatedString(parts, values, self.lines[first])

    def broken_interpolation(self, section: int) -> Expression:
        """Says why the expression after token `section` is not followed by the rest of the string."""
        kind = self.kinds[self.index]
        if kind == lexer.DOUBLE_BRACE:
            self.index += 1
            message = "Double braces are not permitted within interpolated strings; did you mean '\\{'?"
            self.report_at(section, message)
        elif kind in (lexer.BROKEN_STRING, lexer.EOF):
            if kind == lexer.BROKEN_STRING:
                self.index += 1
            inside = self.tokens.is_inside_interpolation(self.index)
            if inside is not False:
                missing = "}" if inside else "`"
                self.report_at(self.index - 1, f"Malformed interpolated string; did you forget to add a '{missing}'?")
        else:
            self.report_at(section, f"Malformed interpolated string, got {self.describe(self.index)}")
        return self.placeholder(self.tokens.starts[section], self.tokens.end(section))


LITERAL_READERS: dict[str, Callable[[Any, int], Expression]] = {
    NUMBER: LiteralParser.number,
    QUOTED: LiteralParser.string,
    RAW: LiteralParser.string,
    lexer.INTERPOLATED: LiteralParser.backtick_text,
    lexer.INTERPOLATION_BEGIN: LiteralParser.interpolated_string,
    lexer.BROKEN_STRING: LiteralParser.broken_string,
    lexer.DOUBLE_BRACE: LiteralParser.double_brace,
    "nil": LiteralParser.nil,
    "true": LiteralParser.true,
    "false": LiteralParser.false,
    "...": LiteralParser.varargs,
}
