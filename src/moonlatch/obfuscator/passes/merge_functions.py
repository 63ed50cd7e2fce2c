"""Makes one function of several small local ones: its first argument, a number of many that would do, selects the body.

Only functions that are called by name and never handed around can be merged, and only neighbours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.transform.cold_code import contents
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.transform.witness import whole_number

KEY = "merge_functions"
_MOST_MERGED = 3
_MOST_PARAMETERS = 8
_MOST_ARGUMENTS = 100
_SELECTORS = (10, 999)
# Luau copies functions about as small as this into the loops that call them, if they do not call themselves.
_LARGEST_COPIED = 100
_SPARE_LOCALS = 20
_SPARE_UPVALUES = 15


def run(unit: Unit) -> None:
    """Functions without room for what the others capture stay apart, and all where one may get an environment of its own."""
    if unit.changes_environment:
        return
    unit.make_names_unique()
    calls = _Calls()
    calls.chunk(unit.chunk)
    merger = _Merger(unit, calls)
    merger.chunk(unit.chunk)
    if merger.selections:
        _Redirector(merger.selections, unit.random(KEY)).chunk(unit.chunk)
        unit.resolve_anew()


class _Calls(Rewriter):
    """Collects the names that are called, with the number of arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: dict[s.Expression, int] = {}

    def rewrite_call(self, node: s.Call) -> s.Expression:
        self.arguments[node.function] = len(node.arguments)
        return super().rewrite_call(node)


@dataclass(frozen=True, slots=True)
class _Selection:
    """Where calls of a function go now, and the numbers that select it there."""

    merged: s.Binding
    numbers: range


class _Merger(Rewriter):
    def __init__(self, unit: Unit, calls: _Calls) -> None:
        super().__init__(unit.sealed)
        self.selections: dict[s.Binding, _Selection] = {}
        self._unit = unit
        self._generator = unit.random(f"{KEY}/groups")
        self._resolution: Resolution = unit.resolution
        self._rooms = Rooms(unit)
        self._calls = calls
        self._crowded = any(self._rooms.is_crowded(function) for function in self._rooms.frames)

    def block(self, block: s.Block) -> None:
        body: list[s.Statement] = []
        group: list[s.LocalFunction] = []
        for statement in block.body:
            is_candidate = isinstance(statement, s.LocalFunction) and self._can_merge(statement)
            if group and not (is_candidate and len(group) < _MOST_MERGED):
                body += self._merged(group)
                group = []
            if is_candidate and isinstance(statement, s.LocalFunction):
                group.append(statement)
            else:
                body.append(statement)
        block.body = body + self._merged(group)
        super().block(block)

    def _can_merge(self, statement: s.LocalFunction) -> bool:
        function, symbol = statement.function, self._resolution.symbols[statement.binding]
        if statement.is_exported or symbol.is_assigned or self._crowded:
            return False
        if function.is_vararg or function.attributes or function in self._unit.native or function in self._sealed:
            return False
        if function in self._unit.hot and self._is_copied(statement):
            return False
        if len(function.parameters) > _MOST_PARAMETERS or self._rooms.spare_locals(function) < _SPARE_LOCALS:
            return False
        return all(self._calls.arguments.get(one, _MOST_ARGUMENTS) < _MOST_ARGUMENTS for one in symbol.references)

    def _is_copied(self, statement: s.LocalFunction) -> bool:
        """True when the compiler may write the function's body in place of its calls."""
        names, kinds, size = contents(s.Do(statement.function.body, statement.line))
        is_recursive = any(name.binding is statement.binding for name in names)
        return size <= _LARGEST_COPIED and not is_recursive and kinds.isdisjoint({s.Function, s.LocalFunction})

    def _merged(self, group: list[s.LocalFunction]) -> list[s.Statement]:
        captured = {symbol for one in group for symbol in self._rooms.frames[one.function].upvalues}
        if len(group) < 2 or len(captured) > MAX_UPVALUES[self._unit.target] - _SPARE_UPVALUES:
            return list(group)
        line = group[0].line
        merged = self._unit.new_binding(line)
        selector = self._unit.new_binding(line)
        most = max(len(one.function.parameters) for one in group)
        parameters = [self._unit.new_binding(line) for _ in range(most)]
        self._generator.shuffle(group)
        low, high = _SELECTORS
        bounds = sorted(self._generator.sample(range(low + 1, high), len(group) - 1))
        clauses: list[tuple[s.Expression, s.Block]] = []
        for one, first, last in zip(group, [low, *bounds], [*bounds, high], strict=True):
            self.selections[one.binding] = _Selection(merged, range(first, last))
            self._rename(one.function, parameters)
            test = s.Binary("<", s.Name(selector.name, line), whole_number(last, line), line)
            clauses.append((test, one.function.body))
        _, otherwise = clauses.pop()
        body = s.Block([s.If(clauses, otherwise, line)], line)
        function = s.Function([], [selector, *parameters], False, body, line, line)
        if any(one.function in self._unit.hot for one in group):
            self._unit.hot.add(function)
        return [s.LocalFunction(merged, function, is_const=False, is_exported=False, line=line)]

    def _rename(self, function: s.Function, parameters: list[s.Binding]) -> None:
        for own, shared in zip(function.parameters, parameters, strict=False):
            for reference in self._resolution.symbols[own].references:
                reference.name = shared.name


class _Redirector(Rewriter):
    """Calls the merged functions, also from sealed ones."""

    def __init__(self, selections: dict[s.Binding, _Selection], generator: random.Random) -> None:
        super().__init__()
        self._selections = selections
        self._generator = generator

    def rewrite_call(self, node: s.Call) -> s.Expression:
        called = node.function
        selection = None
        if isinstance(called, s.Name) and called.binding is not None:
            selection = self._selections.get(called.binding)
        super().rewrite_call(node)
        if selection is not None:
            node.function = s.Name(selection.merged.name, node.line)
            node.arguments.insert(0, whole_number(self._generator.choice(selection.numbers), node.line))
        return node
