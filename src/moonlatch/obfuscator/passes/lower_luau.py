"""Writes in Lua 5.1 what only Luau has, for scripts that are to run there; for the target `luau` it does nothing.

Exact in value and in order of evaluation. What has no counterpart at all was refused by `dialect` before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from moonlatch.obfuscator.analysis.capacity import needs_own_function
from moonlatch.obfuscator.analysis.dialect import is_function_everywhere
from moonlatch.obfuscator.analysis.plain_lua_limits import plain_lua_faults
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.passes.lowering import plain_lua
from moonlatch.obfuscator.passes.lowering.continue_lowering import lower_continue
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import spellings
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.enclosure import enclose
from moonlatch.obfuscator.transform.unit import Unit

KEY = "lower_luau"
_NEVER_FALSE = (s.TrueValue, s.Number, s.String, s.InterpolatedString, s.Table, s.Function)
_PLAIN_KEYS = (s.String, s.Number, s.TrueValue, s.FalseValue)
_UNCHANGING = (s.Nil, s.TrueValue, s.FalseValue, s.Number, s.String, s.Name, s.Varargs)


def run(unit: Unit) -> None:
    """A script that is too large for Lua 5.1 afterwards is refused through the unit, with the line of each reason."""
    if unit.options.target is not Target.LUA51:
        return
    lowerer = _Lowerer(unit.resolution)
    lowerer.chunk(unit.chunk)
    if lowerer.helpers:
        if needs_own_function(unit.resolution.main):
            enclose(unit.chunk, uses_varargs=unit.resolution.main.uses_varargs)
        generator = unit.random(KEY)
        sources = [helper.source(name, generator) for name, helper in lowerer.helpers.items()]
        unit.chunk.body.body[:0] = parse_written("".join(sources)).body.body
    unit.resolve_anew()
    unit.diagnostics += plain_lua_faults(unit.chunk, unit.resolution)


class _Lowerer(InFunctions):
    """`helpers` are those that were needed, by the name they got."""

    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self.helpers: dict[str, plain_lua.Helper] = {}
        self._prefix = resolution.fresh_name("plain")
        self._resolution = resolution
        self._symbols = resolution.symbols

    def _helper(self, name: str, helper: plain_lua.Helper, arguments: list[s.Expression], line: int) -> s.Expression:
        name = f"{self._prefix}_{name}"
        self.helpers[name] = helper
        return s.Call(s.Name(name, line), arguments, line)

    # Functions and declarations

    def function(self, function: s.Function) -> None:
        function.attributes = []
        super().function(function)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        node.is_const = False
        return super().rewrite_local_function(node)

    def rewrite_local(self, node: s.Local) -> Replacement:
        node.is_const = False
        chosen = _only_choice(node.values)
        if chosen is None or len(node.bindings) != 1 or _mentions(chosen, node.bindings[0].name):
            return super().rewrite_local(node)
        node.values = []
        return [node, self._choice(chosen, self._assignment_to(node.bindings[0].name))]

    # Loops

    def rewrite_while(self, node: s.While) -> Replacement:
        super().rewrite_while(node)
        return lower_continue(node, f"{self._prefix}_stop")

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        super().rewrite_repeat(node)
        return lower_continue(node, f"{self._prefix}_stop")

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        super().rewrite_numeric_for(node)
        return lower_continue(node, f"{self._prefix}_stop")

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        is_plain = is_function_everywhere(node.values, self._resolution)
        super().rewrite_generic_for(node)
        if not is_plain:
            node.values = [self._helper("iterate", plain_lua.ITERATE, node.values, node.line)]
        return lower_continue(node, f"{self._prefix}_stop")

    # Assignments

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        chosen = _only_choice(node.values)
        if chosen is None or len(node.targets) != 1 or not isinstance(node.targets[0], s.Name):
            return super().rewrite_assign(node)
        return self._choice(chosen, self._assignment_to(node.targets[0].name))

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        target, line = node.target, node.line
        value = self.expression(node.value)
        if isinstance(target, s.Name):
            return self._compound(target, copy.copy(target), node.operator, value)
        assert isinstance(target, s.Index | s.IndexName)
        reads: dict[str, s.Expression] = {}
        owner = self._kept(self.expression(target.object), "owner", reads)
        place: Callable[[], s.Expression]
        if isinstance(target, s.IndexName):
            name = target.name
            place = lambda: s.IndexName(copy.copy(owner), name, line)  # noqa: E731 - chosen with the other one
        else:
            key = self._kept(self.expression(target.key), "key", reads)
            place = lambda: s.Index(copy.copy(owner), copy.copy(key), line)  # noqa: E731 - chosen with the other one
        change = self._compound(place(), place(), node.operator, value)
        if not reads:
            return change
        bindings = [s.Binding(name, line) for name in reads]
        read = s.Local(bindings, list(reads.values()), is_const=False, is_exported=False, line=line)
        return s.Do(s.Block([read, change], line), line)

    def _kept(self, node: s.Expression, role: str, reads: dict[str, s.Expression]) -> s.Expression:
        """Something that may be written twice: the expression itself, or a local that is added to `reads`.

        A local of the function is read anew when the value has been computed, in Luau too; a captured one that changes
        is read before the key, and only then, and so is a global.
        """
        plain = unwrapped(node)
        if isinstance(plain, _PLAIN_KEYS) or (isinstance(plain, s.Name) and self._is_read_late(plain)):
            return plain
        name = f"{self._prefix}_{role}"
        reads[name] = node
        return s.Name(name, node.line)

    def _is_read_late(self, node: s.Name) -> bool:
        """Reading it again is what Luau does, or gives the same."""
        symbol = None if node.binding is None else self._symbols.get(node.binding)
        return symbol is not None and (not symbol.is_assigned or symbol.function is self.current)

    def _may_change(self, node: s.Name) -> bool:
        """A local of the function that a call can change."""
        symbol = None if node.binding is None else self._symbols.get(node.binding)
        if symbol is None or symbol.function is not self.current:
            return False
        return symbol.is_captured and symbol.is_assigned

    def _compound(self, target: s.Expression, old: s.Expression, operator: str, value: s.Expression) -> s.Assign:
        line = target.line
        changed = self._floor_divide(old, value, line) if operator == "//" else s.Binary(operator, old, value, line)
        return s.Assign([target], [changed], line)

    # Choices

    def rewrite_return(self, node: s.Return) -> Replacement:
        chosen = _only_choice(node.values)
        if chosen is None:
            return super().rewrite_return(node)
        return self._choice(chosen, _returned)

    def _choice(self, node: s.IfExpression, use: Callable[[s.Expression], s.Statement]) -> s.If:
        """The `if` statement that does with the chosen value what `use` makes of it."""
        clauses = [(condition, s.Block([use(value)], value.line)) for condition, value in node.clauses]
        statement = s.If(clauses, s.Block([use(node.otherwise)], node.line), node.line)
        self.rewrite_if(statement)
        return statement

    def _assignment_to(self, name: str) -> Callable[[s.Expression], s.Statement]:
        return lambda value: s.Assign([s.Name(name, value.line)], [_one(value)], value.line)

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        if spellings(node) is not None:
            return super().rewrite_if_expression(node)
        if all(isinstance(unwrapped(value), _NEVER_FALSE) for _, value in node.clauses):
            chosen = self.expression(node.otherwise)
            for condition, value in reversed(node.clauses):
                test = s.Binary("and", self.expression(condition), self.expression(value), node.line)
                chosen = s.Binary("or", test, chosen, node.line)
            return s.Group(chosen, node.line)
        # Values that may be false are chosen in boxes. A function around the choice would read the locals that it
        # captures before the calls that change them, and be one more level for whoever counts those.
        boxed = s.IfExpression([(one, _boxed(value)) for one, value in node.clauses], _boxed(node.otherwise), node.line)
        return s.Index(self.rewrite_if_expression(boxed), s.Number("1", 1.0, node.line), node.line)

    # Text and numbers

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        line = node.line
        parts: list[s.Expression] = [s.String(part, line) for part in node.parts]
        if len(parts) == 1:
            return parts[0]
        arguments: list[s.Expression] = [s.Number(str(2 * len(parts) - 1), 2.0 * len(parts) - 1, line), parts[0]]
        for value, part in zip(self.expressions(node.values), parts[1:], strict=True):
            arguments += [value, part]
        return s.Group(self._helper("interpolate", plain_lua.INTERPOLATE, arguments, line), line)

    def rewrite_unary(self, node: s.Unary) -> s.Expression:
        operand = unwrapped(node.operand)
        if node.operator == "-" and isinstance(operand, s.Number) and operand.value == 0:
            # Lua 5.1 takes the constants 0 and -0 of one function for the same; this is negated when it runs.
            node.operand = s.String(b"0.", node.line)
            return node
        return super().rewrite_unary(node)

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        super().rewrite_binary(node)
        if node.operator == "//":
            return self._floor_divide(node.left, node.right, node.line)
        return node

    def _floor_divide(self, left: s.Expression, right: s.Expression, line: int) -> s.Expression:
        name, helper, operands = "floor_divide", plain_lua.FLOOR_DIVIDE, [left, _one(right)]
        plain = unwrapped(left)
        if isinstance(plain, s.Name) and self._may_change(plain) and not isinstance(right, _UNCHANGING):
            name, helper, operands = "late_floor_divide", plain_lua.FLOOR_DIVIDE_LATE, [_one(right), left]
        return s.Group(self._helper(name, helper, operands, line), line)


def _returned(value: s.Expression) -> s.Return:
    return s.Return([_one(value)], value.line)


def _only_choice(values: list[s.Expression]) -> s.IfExpression | None:
    value = unwrapped(values[0]) if len(values) == 1 else None
    return value if isinstance(value, s.IfExpression) and spellings(value) is None else None


def _one(value: s.Expression) -> s.Expression:
    return s.Group(value, value.line) if isinstance(unwrapped(value), s.MULTIPLE) else value


def _boxed(value: s.Expression) -> s.Table:
    return s.Table([s.PositionalItem(_one(value), value.line)], value.line)


def _mentions(node: s.Expression, name: str) -> bool:
    finder = _Finder()
    finder.expression(node)
    return name in finder.names


class _Finder(Rewriter):
    """The names that an expression reads, also those in functions."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self.names.add(node.name)
        return node
