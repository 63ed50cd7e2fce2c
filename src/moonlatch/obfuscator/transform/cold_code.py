"""Tells code that runs seldom from code in loops and in functions that loops call, where a pass must add nothing that costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.transform.unit import Unit

AnyLoop = TypeVar("AnyLoop", s.While, s.Repeat, s.NumericFor, s.GenericFor)


class LoopAware(InFunctions):
    """Knows how many loops are around what it visits, counting those around the functions that it is in."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self.unit = unit
        self.loops = 0

    @property
    def is_cold(self) -> bool:
        return self.loops == 0 and self.current not in self.unit.hot

    def rewrite_while(self, node: s.While) -> Replacement:
        return super().rewrite_while(node) if node in self.unit.machines else self.around(node, super().rewrite_while)

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        return self.around(node, super().rewrite_repeat)

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        return self.around(node, super().rewrite_numeric_for)

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        return self.around(node, super().rewrite_generic_for)

    def around(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        """Visits a loop with `rewrite`."""
        self.loops += 1
        replacement = rewrite(node)
        self.loops -= 1
        return replacement


class _Collector(Rewriter):
    """What makes code costly or impossible to move."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[s.Name] = []
        self.kinds: set[type[s.Node]] = set()
        self.size = 0

    def expression(self, node: s.Expression) -> s.Expression:
        self.kinds.add(type(node))
        self.size += 1
        return super().expression(node)

    def statement(self, node: s.Statement) -> Replacement:
        self.kinds.add(type(node))
        self.size += 1
        return super().statement(node)

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self.names.append(node)
        return node


def contents(node: s.Expression | s.Statement) -> tuple[list[s.Name], set[type[s.Node]], int]:
    """The names in a piece of code, the kinds of its nodes, and how many nodes it has."""
    collector = _Collector()
    if isinstance(node, s.Statement):
        collector.statement(node)
    else:
        collector.expression(node)
    return collector.names, collector.kinds, collector.size


class _LoopFinder(LoopAware):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self.found: set[s.Function | None] = set()

    def around(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self.found.add(self.current)
        return super().around(node, rewrite)


def functions_with_loops(unit: Unit) -> set[s.Function | None]:
    """The functions that have a loop of their own; None is the chunk."""
    finder = _LoopFinder(unit)
    finder.chunk(unit.chunk)
    return finder.found
