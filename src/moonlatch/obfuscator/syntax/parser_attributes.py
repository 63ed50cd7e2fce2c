"""Reads attributes of functions, `@native` and `@[deprecated {...}]`, and judges their names and arguments as Luau does."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import lexer, tree
from moonlatch.obfuscator.syntax.lexer import QUOTED, RAW
from moonlatch.obfuscator.syntax.parser_expressions import ExpressionParser
from moonlatch.obfuscator.syntax.recovery import MISSING_NAME
from moonlatch.obfuscator.syntax.tree import Attribute, Expression

KNOWN_ATTRIBUTES = frozenset({"checked", "native", "deprecated"})
DEPRECATED_KEYS = ("use", "reason")
CONSTANTS = (tree.Nil, tree.TrueValue, tree.FalseValue, tree.Number, tree.String)


class AttributeParser(ExpressionParser):
    """Attributes."""

    def attributes(self, depth: int) -> list[Attribute]:
        found: list[Attribute] = []
        while True:
            index = self.index
            kind = self.kinds[index]
            if kind == lexer.ATTRIBUTE:
                self.index = index + 1
                self.add_attribute(found, self.texts[index][1:], index)
            elif kind == "@[":
                self.attribute_list(found, depth)
            else:
                return found

    def attribute_list(self, found: list[Attribute], depth: int) -> None:
        opening = self.index
        self.index = opening + 1
        if self.kinds[self.index] == "]":
            self.report(self.tokens.starts[opening], self.tokens.end(self.index), "Attribute list cannot be empty")
        else:
            while True:
                index = self.index
                name = self.name("attribute name")
                arguments: list[Expression] | None = None
                if self.kinds[self.index] in (RAW, QUOTED, "{", "("):
                    first = self.index
                    arguments = self.arguments(depth)
                    for argument in arguments:
                        if not isinstance(argument, CONSTANTS) and not _is_literal_table(argument):
                            self.report_arguments(first)
                self.add_attribute(found, name, index, arguments)
                if self.kinds[self.index] != ",":
                    break
                self.index += 1
        self.expect_closing("]", opening)

    def report_arguments(self, opening: int) -> None:
        starts, end = self.tokens.starts, self.tokens.end
        start = end(opening) if self.kinds[opening] in "({" else starts[opening]
        self.report(start, end(self.index - 1), "Only literals can be passed as arguments for attributes")

    def add_attribute(
        self, found: list[Attribute], name: str, index: int, arguments: list[Expression] | None = None
    ) -> None:
        """Judges the attribute that token `index` names, or should name, and adds it to those found before."""
        if not name:
            self.report_at(index, "Attribute name is missing")
        elif name not in KNOWN_ATTRIBUTES:
            # A name that is missing has a place, but no length.
            start = self.tokens.starts[index]
            end = start if name == MISSING_NAME else self.tokens.end(index)
            self.report(start, end, f"Invalid attribute '@{name}'")
        else:
            if any(attribute.name == name for attribute in found):
                self.report_at(index, f"Cannot duplicate attribute '@{name}'")
            if name == "deprecated" and arguments:
                for fault in _deprecation_faults(arguments):
                    self.report_at(index, fault)
        found.append(Attribute(name, arguments or [], self.lines[index]))


def _is_literal_table(value: Expression) -> bool:
    if not isinstance(value, tree.Table):
        return False
    return all(
        isinstance(item, tree.PositionalItem | tree.NamedItem)
        and (isinstance(item.value, CONSTANTS) or _is_literal_table(item.value))
        for item in value.items
    )


def _deprecation_faults(arguments: list[Expression]) -> list[str]:
    table = arguments[0]
    if len(arguments) > 1:
        return ["@deprecated can be parametrized only by 1 argument"]
    if not isinstance(table, tree.Table):
        return ["Unknown argument type for @deprecated"]
    faults = []
    for item in table.items:
        if not isinstance(item, tree.NamedItem):
            faults.append("Only constants keys 'use' and 'reason' are allowed for @deprecated attribute")
        elif item.name not in DEPRECATED_KEYS:
            faults.append(
                f"Unknown argument '{item.name}' for @deprecated. Only string constants for 'use' and 'reason' are allowed"
            )
        elif not isinstance(item.value, tree.String):
            faults.append(f"Only constant string allowed as value for '{item.name}'")
    return faults
