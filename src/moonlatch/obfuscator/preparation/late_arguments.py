"""Writes out when Luau reads the arguments of a builtin, which no longer depends on whether it recognises the builtin.

In `math.max(a, f() + 1)` Luau takes a local of the same function from its own register when the call is made, so that
it sees what `f` has assigned to it; in a call of any other function it sees the value from before. Passes make Luau
recognise a builtin no more, or only now. Few calls are like that: a function inside has to assign the very local.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TypeGuard

from moonlatch.obfuscator.analysis.builtins import FAST_FUNCTIONS, FAST_MEMBERS
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement

_Plainly = Callable[[s.Expression], s.Expression]
_MOST_ARGUMENTS = 3
"""Luau calls a builtin with more of them as it does any other function."""


def write_out_late_arguments(chunk: s.Chunk, resolution: Resolution, sealed: set[s.Function]) -> bool:
    """True when the chunk has changed; then its names are to be resolved anew."""
    if not any(symbol.is_assigned and symbol.is_captured for symbol in resolution.symbols.values()):
        return False
    finder = _Assignments(resolution)
    finder.chunk(chunk)
    if not finder.found:
        return False
    writer = _Writer(resolution, finder.found, sealed)
    writer.chunk(chunk)
    return writer.has_changed


class _OwnLocals(InFunctions):
    """Knows which locals are those of the function that it is in."""

    def __init__(self, resolution: Resolution, sealed: AbstractSet[s.Function] = frozenset()) -> None:
        super().__init__(sealed)
        self._resolution = resolution

    def is_own(self, binding: s.Binding) -> bool:
        return self._resolution.symbols[binding].function is self.current


class _Assignments(_OwnLocals):
    """Finds the locals that other functions than their own assign."""

    def __init__(self, resolution: Resolution) -> None:
        super().__init__(resolution)
        self.found: set[s.Binding] = set()

    def _assigned(self, target: s.Expression) -> None:
        if isinstance(target, s.Name) and target.binding is not None and not self.is_own(target.binding):
            self.found.add(target.binding)

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        for target in node.targets:
            self._assigned(target)
        return super().rewrite_assign(node)

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        self._assigned(node.target)
        return super().rewrite_compound_assign(node)

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        self._assigned(node.target)
        return super().rewrite_function_declaration(node)


class _Writer(_OwnLocals):
    def __init__(self, resolution: Resolution, changing: set[s.Binding], sealed: set[s.Function]) -> None:
        super().__init__(resolution, sealed)
        self.has_changed = False
        self._changing = changing
        self._parameter = resolution.fresh_name("late")
        self._initial: dict[s.Binding, s.Expression] = {}
        """Of locals that keep the value that they begin with."""

    def rewrite_local(self, node: s.Local) -> Replacement:
        super().rewrite_local(node)
        for binding, value in zip(node.bindings, node.values, strict=False):
            if not self._resolution.symbols[binding].is_assigned:
                self._initial[binding] = value
        return node

    def _is_builtin(self, node: s.Expression, plainly: _Plainly) -> bool:
        """Luau recognises it, once `plainly` has taken from it what passes may take."""
        node = plainly(node)
        while isinstance(node, s.Name) and node.binding in self._initial:
            node = plainly(self._initial[node.binding])
        if isinstance(node, s.IndexName):
            library = plainly(node.object)
            if isinstance(library, s.Name) and library.binding in self._initial:
                library = plainly(self._initial[library.binding])
            return self._is_global(library) and (library.name, node.name) in FAST_MEMBERS
        return self._is_global(node) and node.name in FAST_FUNCTIONS

    def _is_global(self, node: s.Expression) -> TypeGuard[s.Name]:
        return isinstance(node, s.Name) and node.binding is None and node.name not in self._resolution.assigned_globals

    def rewrite_call(self, node: s.Call) -> s.Expression:
        super().rewrite_call(node)
        if 2 <= len(node.arguments) <= _MOST_ARGUMENTS and not isinstance(node.arguments[-1], s.MULTIPLE):
            late = self._late(node.arguments)
            if late and self._is_builtin(node.function, _as_it_is):
                self.has_changed = True
                return self._with_late_arguments(node, late)
            if late and self._is_builtin(node.function, _without_wrapping):
                self.has_changed = True
                return self._with_early_arguments(node)
        return node

    def _late(self, arguments: list[s.Expression]) -> set[int]:
        """The places of the locals that an argument further back can change."""
        last_running = max((place for place, one in enumerate(arguments) if _can_run_code(one)), default=0)
        return {place for place, one in enumerate(arguments[:last_running]) if self._is_changing(unwrapped(one))}

    def _is_changing(self, node: s.Expression) -> bool:
        return isinstance(node, s.Name) and node.binding in self._changing and self.is_own(node.binding)

    def _with_late_arguments(self, node: s.Call, late: set[int]) -> s.Expression:
        """`(function(late1) return math.max(a, late1) end)(f() + 1)`."""
        line = node.line
        parameters = {
            place: s.Binding(f"{self._parameter}{place}", line)
            for place in range(len(node.arguments))
            if place not in late
        }
        given = [node.arguments[place] for place in parameters]
        for place, parameter in parameters.items():
            node.arguments[place] = s.Name(parameter.name, line)
        return _called(node, given, list(parameters.values()))

    def _with_early_arguments(self, node: s.Call) -> s.Expression:
        """`(function(...) return max(...) end)(a, f() + 1)`."""
        given, node.arguments = node.arguments, [s.Varargs(node.line)]
        return _called(node, given, None)


def _as_it_is(node: s.Expression) -> s.Expression:
    return node


def _without_wrapping(node: s.Expression) -> s.Expression:
    """Without the parentheses and types that keep Luau from seeing what it is, and `x["y"]` as `x.y`."""
    node = unwrapped(node)
    if isinstance(node, s.Index) and isinstance(node.key, s.String):
        return s.IndexName(node.object, node.key.value.decode("latin-1"), node.line)
    return node


def _called(inner: s.Call, given: list[s.Expression], parameters: list[s.Binding] | None) -> s.Call:
    line = inner.line
    body = s.Block([s.Return([inner], line)], line)
    function = s.Function([], parameters or [], parameters is None, body, line, line)
    return s.Call(s.Group(function, line), given, line)


def _can_run_code(node: s.Expression) -> bool:
    """False when evaluating it cannot call any function."""
    node = unwrapped(node)
    if isinstance(node, s.Binary) and node.operator in ("and", "or"):
        return _can_run_code(node.left) or _can_run_code(node.right)
    if isinstance(node, s.Unary) and node.operator == "not":
        return _can_run_code(node.operand)
    if isinstance(node, s.InterpolatedString):
        return bool(node.values)
    if isinstance(node, s.Table):
        return any(_can_run_code(item.value) for item in node.items)
    return not isinstance(node, _QUIET)


_QUIET = (s.Nil, s.TrueValue, s.FalseValue, s.Number, s.Integer, s.String, s.Name, s.Varargs, s.Function)
