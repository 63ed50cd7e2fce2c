"""Writes expressions as the tightest text that parses back to them, with no more parentheses and spaces than it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import spellings
from moonlatch.obfuscator.target import Target

# Left and right binding strength, as in Luau's own parser; a right one below the left makes the operator right-associative.
_PRIORITY: dict[str, tuple[int, int]] = {
    "or": (1, 1),
    "and": (2, 2),
    "==": (3, 3),
    "~=": (3, 3),
    "<": (3, 3),
    "<=": (3, 3),
    ">": (3, 3),
    ">=": (3, 3),
    "..": (5, 4),
    "+": (6, 6),
    "-": (6, 6),
    "*": (7, 7),
    "/": (7, 7),
    "//": (7, 7),
    "%": (7, 7),
    "^": (10, 9),
}
_UNARY_PRIORITY = 8
WRAPPERS = (s.Group, s.TypeAssertion, s.Instantiation)
_PREFIXES = (s.Name, s.IndexName, s.Index, s.Call, s.MethodCall)
# What the last token was: a word and a number need a space before a letter or digit, a number also before a dot.
_AFTER_WORD = "a"
_AFTER_NUMBER = "0"
_AFTER_TEXT = "a0"


def unwrapped(node: s.Expression) -> s.Expression:
    """The expression inside any parentheses, casts and explicit instantiations."""
    while isinstance(node, WRAPPERS):
        node = node.value
    return node


class ExpressionPrinter(ABC):
    """Tokens and expressions. `_last` is what the last token leaves for the next one to mind."""

    def __init__(self, target: Target, *, has_lines: bool) -> None:
        self._target = target
        self._out: list[str] = []
        self._last = ";"
        self._numbers: dict[str, str] = {}
        self.lines: list[int] = [s.NO_LINE]
        """The source's line for each line of the text, `NO_LINE` where it has none."""
        self._line: int = s.NO_LINE
        self._keeps_line = not has_lines

    def text(self) -> str:
        return "".join(self._out)

    @abstractmethod
    def block(self, block: s.Block) -> None:
        """Writes the statements of a block."""

    # Lines

    def _begin(self, line: int) -> None:
        """What follows stands on that line of the source, and so not on a line of the text with what stands on another.

        Never called before a parenthesis that belongs to what is in front of it: on a line of its own it would not.
        """
        if line == self._line or not line or self._keeps_line:
            return
        if self._line:
            self._out.append("\n")
            self._last = "\n"
            self.lines.append(line)
        else:
            self.lines[-1] = line
        self._line = line

    # Tokens

    def _word(self, text: str) -> None:
        if self._last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(text)
        self._last = _AFTER_WORD

    def _mark(self, text: str) -> None:
        last, first = self._last, text[0]
        if (last == first and first in "-.[") or (last == _AFTER_NUMBER and first == "."):
            self._out.append(" ")
        self._out.append(text)
        self._last = text[-1]

    def _number(self, node: s.Number) -> None:
        self._begin(node.line)
        text = self._numbers.get(node.text)
        if text is None:
            text = self._numbers[node.text] = spelling.number(node.value, node.text, self._target)
        self._digits(text)

    def _integer(self, node: s.Integer) -> None:
        self._begin(node.line)
        self._digits(f"{node.value}i" if node.value >= 0 else f"{node.value & 0xFFFFFFFFFFFFFFFF:#x}i")

    def _digits(self, text: str) -> None:
        last = self._last
        if last == "." if text[0] == "." else last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(text)
        self._last = _AFTER_NUMBER

    def _string(self, node: s.String) -> None:
        self._begin(node.line)
        self._mark(spelling.string(node.value, self._target))

    # Expressions

    def _expression(self, node: s.Expression) -> None:
        self._expressions[type(node)](self, node)

    def _nil(self, node: s.Nil) -> None:
        self._begin(node.line)
        self._word("nil")

    def _true(self, node: s.TrueValue) -> None:
        self._begin(node.line)
        self._word("true")

    def _false(self, node: s.FalseValue) -> None:
        self._begin(node.line)
        self._word("false")

    def _varargs(self, node: s.Varargs) -> None:
        self._begin(node.line)
        self._mark("...")

    def _name(self, node: s.Name) -> None:
        if node.line != self._line:
            self._begin(node.line)
        if self._last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(node.name)
        self._last = _AFTER_WORD

    def _wrapper(self, node: s.Expression) -> None:
        self._expression(unwrapped(node))

    def _parenthesised(self, node: s.Expression) -> None:
        self._mark("(")
        self._expression(node)
        self._mark(")")

    def _list(self, nodes: list[s.Expression]) -> None:
        """Values of which the last may be several: parentheses around that one mean something."""
        final = len(nodes) - 1
        for position, node in enumerate(nodes):
            if position:
                self._mark(",")
            if position == final:
                self._last_value(node)
            else:
                self._expression(node)

    def _last_value(self, node: s.Expression) -> None:
        inner = unwrapped(node)
        if inner is not node and isinstance(inner, s.MULTIPLE):
            self._parenthesised(inner)
        else:
            self._expression(inner)

    def _prefix(self, node: s.Expression) -> None:
        inner = unwrapped(node)
        if isinstance(inner, _PREFIXES):
            self._expression(inner)
        else:
            self._parenthesised(inner)

    def _interpolated(self, node: s.InterpolatedString) -> None:
        self._begin(node.line)
        kept_line, self._keeps_line = self._keeps_line, True
        self._out.append("`")
        for position, part in enumerate(node.parts):
            if position:
                self._out.append("{")
                self._last = ";"
                start = len(self._out)
                self._expression(node.values[position - 1])
                if self._out[start].startswith("{"):
                    self._out[start] = " " + self._out[start]
                self._out.append("}")
            self._out.append(spelling.escaped(part, self._target, "`{"))
        self._out.append("`")
        self._last = "`"
        self._keeps_line = kept_line

    def _index_name(self, node: s.IndexName) -> None:
        self._prefix(node.object)
        self._begin(node.line)
        if self._target is Target.LUA51 and node.name in spelling.RESERVED_ELSEWHERE:
            self._mark(f'["{node.name}"]')
            return
        self._out.append(".")
        self._out.append(node.name)
        self._last = _AFTER_WORD

    def _index(self, node: s.Index) -> None:
        self._prefix(node.object)
        self._begin(node.line)
        key = unwrapped(node.key)
        if isinstance(key, s.String) and spelling.is_identifier(key.value, self._target):
            self._mark(".")
            self._word(key.value.decode("ascii"))
            return
        self._bracketed(key)

    def _bracketed(self, key: s.Expression) -> None:
        self._mark("[")
        self._expression(key)
        self._mark("]")

    def _arguments(self, nodes: list[s.Expression]) -> None:
        if len(nodes) == 1:
            sole = unwrapped(nodes[0])
            # Lua takes the line of a call from where its arguments begin, so these stay there.
            if isinstance(sole, s.String):
                self._mark(spelling.string(sole.value, self._target))
                return
            if isinstance(sole, s.Table):
                self._items(sole)
                return
        self._out.append("(")
        self._last = "("
        self._list(nodes)
        self._mark(")")

    def _call(self, node: s.Call) -> None:
        self._prefix(node.function)
        self._arguments(node.arguments)

    def _method_call(self, node: s.MethodCall) -> None:
        self._prefix(node.object)
        self._begin(node.line)
        self._mark(":")
        self._word(node.name)
        self._arguments(node.arguments)

    def _operand(self, node: s.Expression, strength: int, *, ties: bool) -> None:
        """An operand of an operator of that strength; `ties` says that an equally strong one needs no parentheses."""
        inner = unwrapped(node)
        if isinstance(inner, s.Binary):
            own = _PRIORITY[inner.operator][0]
            needs = own < strength or (own == strength and not ties)
        else:
            needs = isinstance(inner, s.IfExpression)
        if needs:
            self._parenthesised(inner)
        else:
            self._expression(inner)

    def _unary(self, node: s.Unary) -> None:
        self._begin(node.line)
        if node.operator == "not":
            self._word("not")
        else:
            self._mark(node.operator)
        operand = unwrapped(node.operand)
        if isinstance(operand, s.Integer) and node.operator == "-":
            self._parenthesised(operand)  # without them it is a literal
        else:
            self._operand(operand, _UNARY_PRIORITY, ties=True)

    def _binary(self, node: s.Binary) -> None:
        strength, right_strength = _PRIORITY[node.operator]
        left = unwrapped(node.left)
        if isinstance(left, s.Unary) and strength > _UNARY_PRIORITY:
            self._parenthesised(left)
        else:
            self._operand(left, strength, ties=strength == right_strength)
        self._begin(node.line)
        if node.operator in ("and", "or"):
            self._word(node.operator)
        else:
            self._mark(node.operator)
        self._operand(node.right, strength, ties=strength != right_strength)

    def _if_expression(self, node: s.IfExpression) -> None:
        self._begin(node.line)
        both = spellings(node)
        if both is not None:
            self._spelling(both[0])
            return
        for position, (condition, value) in enumerate(node.clauses):
            self._word("elseif" if position else "if")
            self._expression(condition)
            self._word("then")
            self._expression(value)
        self._word("else")
        self._expression(node.otherwise)

    def _spelling(self, node: s.Expression) -> None:
        """One value, on the line that the choice stands on."""
        kept_line, self._keeps_line = self._keeps_line, True
        self._last_value(s.Group(node, node.line))
        self._keeps_line = kept_line

    def _table(self, node: s.Table) -> None:
        self._begin(node.line)
        self._items(node)

    def _items(self, node: s.Table) -> None:
        self._mark("{")
        final = len(node.items) - 1
        for position, item in enumerate(node.items):
            if position:
                self._mark(",")
            if isinstance(item, s.PositionalItem):
                if position == final:
                    self._last_value(item.value)
                else:
                    self._expression(item.value)
            else:
                self._keyed_item(item)
        self._mark("}")

    def _keyed_item(self, item: s.TableItem) -> None:
        self._begin(item.line)
        if isinstance(item, s.NamedItem):
            if self._target is Target.LUA51 and item.name in spelling.RESERVED_ELSEWHERE:
                self._mark(f'["{item.name}"]')
            else:
                self._word(item.name)
            self._mark("=")
            self._expression(item.value)
        elif isinstance(item, s.KeyedItem):
            key = unwrapped(item.key)
            if isinstance(key, s.String) and spelling.is_identifier(key.value, self._target):
                self._word(key.value.decode("ascii"))
            else:
                self._bracketed(key)
            self._mark("=")
            self._expression(item.value)

    def _attributes(self, function: s.Function) -> None:
        for attribute in function.attributes:
            self._mark("@")
            self._last = ";"
            self._word(attribute.name)

    def _function(self, node: s.Function) -> None:
        self._begin(node.line)
        self._attributes(node)
        self._word("function")
        self._function_rest(node, node.parameters)

    def _function_rest(self, node: s.Function, parameters: list[s.Binding]) -> None:
        names = [parameter.name for parameter in parameters]
        if node.is_vararg:
            names.append("...")
        self._mark("(" + ",".join(names) + ")")
        self.block(node.body)
        self._word("end")

    # Of the class, not the object: bound methods in an object make a cycle, which keeps its text until a collection.
    _expressions: ClassVar[dict[type[s.Expression], Callable[[Any, Any], None]]] = {
        s.Nil: _nil,
        s.TrueValue: _true,
        s.FalseValue: _false,
        s.Varargs: _varargs,
        s.Number: _number,
        s.Integer: _integer,
        s.String: _string,
        s.InterpolatedString: _interpolated,
        s.Name: _name,
        s.Group: _wrapper,
        s.TypeAssertion: _wrapper,
        s.Instantiation: _wrapper,
        s.IndexName: _index_name,
        s.Index: _index,
        s.Call: _call,
        s.MethodCall: _method_call,
        s.Unary: _unary,
        s.Binary: _binary,
        s.IfExpression: _if_expression,
        s.Table: _table,
        s.Function: _function,
    }
