"""Reads expressions: operators by precedence, calls and indexing, tables.

`depth` arguments are Luau's nesting counter, so that exactly what Luau finds too deep is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.lexer import NAME, QUOTED, RAW, Tokens
from moonlatch.obfuscator.syntax.literals import negated_integer
from moonlatch.obfuscator.syntax.local_names import LocalNames
from moonlatch.obfuscator.syntax.parser_literals import LiteralParser
from moonlatch.obfuscator.syntax.recovery import MAX_NESTING, BrokenExpression
from moonlatch.obfuscator.syntax.tree import Expression

# operator → (how tightly it holds what is before it, and what is after it); the latter is less for right association
BINARY_PRIORITY = {
    **dict.fromkeys(["+", "-"], (6, 6)),
    **dict.fromkeys(["*", "/", "//", "%"], (7, 7)),
    "^": (10, 9),
    "..": (5, 4),
    **dict.fromkeys(["~=", "==", "<", "<=", ">", ">="], (3, 3)),
    "and": (2, 2),
    "or": (1, 1),
}
UNARY_PRIORITY = 8
UNARY_OPERATORS = frozenset({"-", "not", "#", "!"})
# What people write who come from C, and what they mean.
CONFUSED_OPERATORS = {("&", "&"): "and", ("|", "|"): "or", ("!", "="): "~="}
# What can make an expression go on after a value, rightly or wrongly.
CONTINUATIONS = frozenset({*BINARY_PRIORITY, "::", "&", "|", "!"})
SUFFIXES = frozenset({".", "[", ":", "(", "{", "<", QUOTED, RAW})
FOLLOWERS = CONTINUATIONS | SUFFIXES
AMBIGUOUS_CALL = (
    "Ambiguous syntax: this looks like an argument list for a function call, but could also be a start of new statement;"
    " use ';' to separate statements"
)


class ExpressionParser(LiteralParser):
    """Expressions other than functions. `readers` says by kind of token what reads an expression that no name or `(` begins."""

    readers: ClassVar[dict[str, Callable[[Any, int], Expression]]] = {}

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.local_names = LocalNames.if_needed(tokens)

    # Operators

    def expression(self, limit: int, depth: int) -> Expression:
        """Reads an expression whose operators all hold more tightly than `limit`."""
        depth += 1
        if depth > MAX_NESTING:
            self.too_deep("expression")
        kinds = self.kinds
        index = self.index
        kind = kinds[index]
        value: Expression
        if kind == NAME:
            if kinds[index + 1] not in FOLLOWERS and self.local_names is None:
                self.index = index + 1
                return tree.Name(self.texts[index], self.lines[index])
            value = self.suffixed(depth)
        elif kind in UNARY_OPERATORS:
            value = self.unary(depth)
        else:
            read = self.readers.get(kind)
            value = self.suffixed(depth) if read is None else read(self, depth)
        following = kinds[self.index]
        if following not in CONTINUATIONS:
            return value
        if following == "::" and kind not in UNARY_OPERATORS:  # the operand has had its chance
            value = self.assertion(value, depth)
            following = kinds[self.index]
        kind = following
        while True:
            priority = BINARY_PRIORITY.get(kind)
            if priority is None:
                if kind not in CONTINUATIONS:
                    return value
                kind = self.confused_operator(limit)
                if not kind:
                    return value
                priority = BINARY_PRIORITY[kind]
            elif priority[0] <= limit:
                return value
            index = self.index
            self.index = index + 1
            value = tree.Binary(kind, value, self.expression(priority[1], depth), self.lines[index])
            depth += 1
            if depth > MAX_NESTING:
                self.too_deep("expression")
            kind = kinds[self.index]

    def unary(self, depth: int) -> Expression:
        index = self.index
        operator = self.kinds[index]
        if operator == "!":
            self.report_here("Unexpected '!'; did you mean 'not'?")
            operator = "not"
        self.index = index + 1
        operand = self.expression(UNARY_PRIORITY, depth)
        if operator == "-" and isinstance(operand, tree.Integer) and not operand.text.startswith("-"):
            # As in Luau, where this is the literal of a negative integer; with anything in between it is an operation.
            return tree.Integer("-" + operand.text, negated_integer(operand.value), self.lines[index])
        return tree.Unary(operator, operand, self.lines[index])

    def confused_operator(self, limit: int) -> str:
        """The operator that `&&`, `||` or `!=` is meant to be, its first character taken; nothing when it is none here."""
        index = self.index
        meant = CONFUSED_OPERATORS.get((self.kinds[index], self.kinds[index + 1]), "")
        if not meant or self.gaps[index + 1] or BINARY_PRIORITY[meant][0] <= limit:
            return ""
        self.index = index + 1
        found = self.kinds[index] + self.kinds[index + 1]
        starts = self.tokens.starts
        self.report(starts[index], self.tokens.end(index + 1), f"Unexpected '{found}'; did you mean '{meant}'?")
        return meant

    def assertion(self, value: Expression, depth: int) -> Expression:
        line = self.lines[self.index]
        self.index += 1
        self.annotation(depth)
        return tree.TypeAssertion(value, line)

    def expressions(self, depth: int) -> list[Expression]:
        """Reads one expression or more, separated by commas."""
        values = [self.expression(0, depth)]
        while self.kinds[self.index] == ",":
            self.index += 1
            if self.kinds[self.index] == ")":
                self.report_here("Expected expression after ',' but got ')' instead")
                break
            values.append(self.expression(0, depth))
        return values

    # Names, calls, indexing

    def suffixed(self, depth: int, *, is_statement: bool = False) -> Expression:
        """Reads a name or group and the indexing and calls that follow it."""
        kinds, texts, lines = self.kinds, self.texts, self.lines
        first = index = self.index
        value: Expression
        if kinds[index] == NAME:
            self.index = index + 1
            value = tree.Name(texts[index], lines[index])
            if self.local_names is not None and self.local_names.is_out_of_reach(texts[index]):
                value = self.unreachable_name(index)
        elif kinds[index] == "(":
            value = self.group(depth)
        else:
            value = self.missing_name("expression")
        while True:
            index = self.index
            kind = kinds[index]
            if kind not in SUFFIXES:
                return value
            if kind == "." and kinds[index + 1] == NAME:
                value = tree.IndexName(value, texts[index + 1], lines[index + 1])
                self.index = index + 2
            elif kind == "(":
                if not is_statement and self.begins_anew(index):
                    self.report_here(AMBIGUOUS_CALL)
                    return value
                value = tree.Call(value, self.arguments(depth), lines[index])
            elif kind == "[":
                value = self.index_expression(value, depth)
            elif kind == ":":
                value = self.method_call(value, first, depth)
            elif kind == ".":
                self.index = index + 1
                name = self.name_after(index, None)
                value = tree.IndexName(value, name, lines[index])
            elif kind == "<":
                if kinds[index + 1] != "<":
                    return value
                self.depth = depth
                self.instantiation_parameters()
                value = tree.Instantiation(value, lines[index])
            else:
                value = tree.Call(value, self.arguments(depth), lines[index])
            depth += 1
            if depth > MAX_NESTING:
                self.too_deep("expression")

    def group(self, depth: int) -> Expression:
        opening = self.index
        self.index = opening + 1
        value = self.expression(0, depth)
        if self.kinds[self.index] == ")":
            self.index += 1
        else:
            hint = "; did you mean to use '{' when defining a table?" if self.kinds[self.index] == "=" else ""
            self.report_unclosed(")", opening, opening, hint)
        return tree.Group(value, self.lines[opening])

    def unreachable_name(self, index: int) -> Expression:
        self.report_here(f"Type function cannot reference outer local '{self.texts[index]}'")
        return self.placeholder(self.tokens.starts[self.index], self.tokens.end(self.index))

    def missing_name(self, context: str) -> Expression:
        self.name_missing(context)
        return self.placeholder(self.tokens.starts[self.index], self.tokens.end(self.index))

    def index_expression(self, value: Expression, depth: int) -> Expression:
        opening = self.index
        self.index = opening + 1
        key = self.expression(0, depth)
        if self.kinds[self.index] == "]":
            self.index += 1
        else:
            self.expect_closing("]", opening)
        return tree.Index(value, key, self.lines[opening])

    def method_call(self, value: Expression, first: int, depth: int) -> Expression:
        """Reads a call of a method of `value`, which token `first` began."""
        operator = self.index
        named = self.index = operator + 1
        name = self.name_after(operator, "method name")
        line = self.lines[self.index - 1]
        if self.kinds[self.index] == "<" and self.kinds[self.index + 1] == "<":
            self.depth = depth
            self.instantiation_parameters()
        if self.kinds[self.index] not in ("(", "{", QUOTED, RAW):
            return self.missing_arguments(first, named)
        return tree.MethodCall(value, name, self.arguments(depth), line)

    def missing_arguments(self, first: int, named: int) -> Expression:
        """Says that a call of the method that token `named` names lacks its arguments; token `first` began it all."""
        start = self.tokens.starts[first]
        if self.lines[self.index] == self.lines[named]:
            end = self.tokens.starts[self.index]
            found = self.describe(self.index)
            message = f"Expected '(', '{{' or <string> when parsing function call, got {found}"
        else:
            end, message = self.tokens.end(named), "Expected function call arguments after '('"
        self.report(start, end, message)
        return self.placeholder(start, end)

    def arguments(self, depth: int) -> list[Expression]:
        """Reads the arguments of a call: a list in parentheses, one table or one string."""
        opening = self.index
        kind = self.kinds[opening]
        if kind == "(":
            if self.begins_anew(opening):
                self.report_here(AMBIGUOUS_CALL)
            self.index = opening + 1
            if self.kinds[opening + 1] == ")":
                self.index = opening + 2
                return []
            values = self.expressions(depth)
            if self.kinds[self.index] == ")":
                self.index += 1
            else:
                self.expect_closing(")", opening)
            return values
        return [self.table(depth) if kind == "{" else self.string(depth)]

    # Tables

    def table(self, depth: int) -> tree.Table:
        kinds, texts, lines = self.kinds, self.texts, self.lines
        opening = self.index
        self.index = opening + 1
        items: list[tree.TableItem] = []
        while True:
            index = self.index
            kind = kinds[index]
            if kind == "}":
                self.index = index + 1
                return tree.Table(items, lines[opening])
            if kind == NAME and kinds[index + 1] == "=":
                self.index = index + 2
                items.append(tree.NamedItem(texts[index], self.expression(0, depth), lines[index]))
            elif kind == "[":
                self.index = index + 1
                key = self.expression(0, depth)
                self.expect_closing("]", index)
                self.expect("=", "table field")
                items.append(tree.KeyedItem(key, self.expression(0, depth), lines[index]))
            else:
                items.append(tree.PositionalItem(self.expression(0, depth), lines[index]))
            kind = kinds[self.index]
            if kind in (",", ";"):
                self.index += 1
            elif kind in ("[", NAME):
                self.report_here("Expected ',' after table constructor element")
            elif kind != "}":
                break
        self.expect_closing("}", opening)
        return tree.Table(items, lines[opening])

    # If-expressions

    def if_expression(self, depth: int) -> Expression:
        line = self.lines[self.index]
        clauses: list[tuple[Expression, Expression]] = []
        while True:
            self.index += 1
            condition = self.expression(0, depth)
            self.expect("then", "if then else expression")
            clauses.append((condition, self.expression(0, depth)))
            if self.kinds[self.index] != "elseif":
                break
            depth += 1
            if depth > MAX_NESTING:
                self.too_deep("expression")
        self.expect("else", "if then else expression")
        return tree.IfExpression(clauses, self.expression(0, depth), line)


def is_assignable(value: Expression) -> bool:
    """Return whether a value may stand left of `=`, whatever `const` says."""
    return isinstance(value, tree.Name | tree.IndexName | tree.Index)


def location_of(parser: ExpressionParser, value: Expression, first: int) -> tuple[int, int]:
    """The bytes of an expression that token `first` began and the token just read ended."""
    if isinstance(value, BrokenExpression):
        return value.start, value.end
    return parser.tokens.starts[first], parser.tokens.end(parser.index - 1)
