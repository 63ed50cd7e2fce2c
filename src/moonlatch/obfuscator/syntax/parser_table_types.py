"""Reads the types of tables, `{ name: type, [type]: type }`, and counts how deep types lie in each other."""

from __future__ import annotations

from abc import ABC, abstractmethod

from moonlatch.obfuscator.syntax.lexer import NAME, QUOTED, RAW, Tokens
from moonlatch.obfuscator.syntax.literals import MalformedLiteralError, string_value
from moonlatch.obfuscator.syntax.recovery import MAX_NESTING, Recovery


class TableTypeParser(Recovery, ABC):
    """Table types; `depth` is Luau's nesting counter, which expressions carry as an argument and types share."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.depth = 0

    @abstractmethod
    def type(self) -> None:
        """Reads any type."""

    def deepen(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.too_deep("type annotation")

    def table_type(self) -> None:
        self.deepen()
        opening = self.index
        self.index += 1
        has_properties = has_indexer = False
        while self.kinds[self.index] != "}":
            if self.texts[self.index] in ("read", "write") and self.kinds[self.index + 1] != ":":
                self.index += 1
            if self.kinds[self.index] == "[":
                if self.kinds[self.index + 1] in (RAW, QUOTED) and self.kinds[self.index + 2] == "]":
                    has_properties |= self.string_property()
                else:
                    self.table_indexer(is_second=has_indexer)
                    has_indexer = True
            elif not (has_properties or has_indexer) and not (
                self.kinds[self.index] == NAME and self.kinds[self.index + 1] == ":"
            ):
                self.type()
                break
            else:
                first = self.index
                self.name("table field")
                if self.index == first:
                    break
                self.expect(":", "table field")
                self.type()
                has_properties = True
            if self.kinds[self.index] in (",", ";"):
                self.index += 1
            elif self.kinds[self.index] != "}":
                break
        self.expect_closing("}", opening, search=True)

    def string_property(self) -> bool:
        """Reads `["name"]: type`; false when the name is not a valid string."""
        opening = self.index
        self.index += 3
        try:
            is_valid = b"\0" not in string_value(self.texts[opening + 1], self.kinds[opening + 1])
        except MalformedLiteralError:
            is_valid = False
        self.expect(":", "table field")
        self.type()
        if not is_valid:
            self.report_at(opening, "String literal contains malformed escape sequence or \\0")
        return is_valid

    def table_indexer(self, *, is_second: bool) -> None:
        """Reads `[type]: type`."""
        opening = self.index
        self.index += 1
        self.type()
        self.expect_closing("]", opening)
        self.expect(":", "table field")
        self.type()
        if is_second:
            self.report_since(opening, "Cannot have more than one table indexer")
