"""Moves expressions of code that runs once per call into small functions at the top of the script, shared where they agree.

Only expressions without calls, over variables that nothing can change meanwhile: then it makes no difference that their
values are read a little earlier.
"""

from __future__ import annotations

import copy

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.transform.arguments import IMPLICIT_ARGUMENTS
from moonlatch.obfuscator.transform.cold_code import LoopAware, contents, functions_with_loops
from moonlatch.obfuscator.transform.rooms import Rooms
from moonlatch.obfuscator.transform.unit import Unit

KEY = "outline_expressions"
_MOST_FUNCTIONS = 24
_MOST_PARAMETERS = 4
_SIZES = range(4, 30)
_SHARE = 0.35
_SPARE_LOCALS = 60
_ALLOWED = {
    s.Name,
    s.IndexName,
    s.Index,
    s.Number,
    s.String,
    s.Binary,
    s.Unary,
    s.Group,
    s.Nil,
    s.TrueValue,
    s.FalseValue,
}


def run(unit: Unit) -> None:
    """Functions that can capture no further variable keep their expressions."""
    unit.make_names_unique()
    outliner = _Outliner(unit)
    outliner.chunk(unit.chunk)
    if outliner.outlined:
        declarations = [*outliner.outlined.values()]
        unit.random(f"{KEY}/order").shuffle(declarations)
        unit.chunk.body.body[:0] = declarations
        unit.resolve_anew()


class _Outliner(LoopAware):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self.outlined: dict[str, s.LocalFunction] = {}
        self._generator = unit.random(KEY)
        self._rooms = Rooms(unit)
        self._symbols = unit.resolution.symbols
        self._most = min(_MOST_FUNCTIONS, self._rooms.spare_locals(None) - _SPARE_LOCALS)
        self._busy = functions_with_loops(unit) | {None}

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        # A call costs little only where the function does much else.
        if self.is_cold and self.current in self._busy and self._generator.random() < _SHARE:
            call = self._call(node)
            if call is not None:
                return call
        return super().rewrite_binary(node)

    def _call(self, node: s.Binary) -> s.Expression | None:
        names, kinds, size = contents(node)
        if size not in _SIZES or not kinds <= _ALLOWED:
            return None
        variables = list(dict.fromkeys(one.name for one in names if one.binding is not None))
        if not 1 <= len(variables) <= _MOST_PARAMETERS or not all(map(self._is_steady, names)):
            return None
        key = _spelt(node, names, variables)
        if not self._can_capture() or (key not in self.outlined and len(self.outlined) >= self._most):
            return None
        self._rooms.take_upvalues([self.current], None)
        if key not in self.outlined:
            self.outlined[key] = self._declaration(copy.deepcopy(node), variables)
        arguments: list[s.Expression] = [s.Name(name, node.line) for name in variables]
        return s.Call(s.Name(self.outlined[key].binding.name, node.line), arguments, node.line)

    def _can_capture(self) -> bool:
        function = self.current
        return not self._rooms.is_crowded(function) and self._rooms.spare_upvalues(function, None) > 0

    def _is_steady(self, node: s.Name) -> bool:
        """False for what a metamethod could change while the expression is evaluated, or a function at the top cannot see."""
        if node.binding is None:
            return not self.unit.changes_environment and node.name != IMPLICIT_ARGUMENTS
        symbol = self._symbols.get(node.binding)
        return symbol is not None and not (symbol.is_captured and symbol.is_assigned)

    def _declaration(self, body: s.Expression, variables: list[str]) -> s.LocalFunction:
        """A function of the variables, which get names of their own wherever the body mentions them."""
        line = body.line
        bindings: dict[str, s.Binding] = {}
        for mention in contents(body)[0]:
            if mention.name in variables:
                binding = bindings.setdefault(mention.name, self.unit.new_binding(line))
                mention.name = binding.name
        function = s.Function([], list(bindings.values()), False, s.Block([s.Return([body], line)], line), line, line)
        return s.LocalFunction(self.unit.new_binding(line), function, is_const=False, is_exported=False, line=line)


def _spelt(node: s.Expression, names: list[s.Name], variables: list[str]) -> str:
    """The expression with the variables named after their places, so that those that differ in nothing else read the same."""
    places = {name: f"_{index}" for index, name in enumerate(variables)}
    own = [one.name for one in names]
    for one in names:
        one.name = places.get(one.name, one.name)
    text = print_chunk(s.Chunk(s.Block([s.Return([node], node.line)], node.line), []))
    for one, name in zip(names, own, strict=True):
        one.name = name
    return text
