"""Tells code that runs seldom from code in loops and in functions that loops call, where a pass must add nothing that costs."""

from __future__ import annotations

from collections.abc import Callable

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.transform.unit import Unit


class LoopAware(AroundLoops, InFunctions):
    """Knows how many loops are around what it visits, counting those around the functions that it is in."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self.unit = unit
        self.machines = unit.machines
        self.loops = 0

    @property
    def is_cold(self) -> bool:
        return self.loops == 0 and self.current not in self.unit.hot

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
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

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self.found.add(self.current)
        return super().around_loop(node, rewrite)


def functions_with_loops(unit: Unit) -> set[s.Function | None]:
    """The functions that have a loop of their own; None is the chunk."""
    finder = _LoopFinder(unit)
    finder.chunk(unit.chunk)
    return finder.found
