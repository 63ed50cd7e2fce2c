"""Lets each copy of a build have comparisons of the source from one side or the other: `a < b` or `b > a`, `x == 5` or `5 == x`.

A tool that brings a copy back to source brings back the side that it has. Only where nothing can tell the two apart: one operand is a
literal, or a local that nothing changes while the other is evaluated. `==` of two values may call a metamethod, which is told which came
first; so one of them has to be a literal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import spellings, turn
from moonlatch.obfuscator.syntax.comparisons import TURNED, is_turnable, line_of_small, turned
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement


def let_comparisons_turn(
    chunk: s.Chunk,
    resolution: Resolution,
    known: int,
    *,
    sealed: AbstractSet[s.Function],
    costly: AbstractSet[s.Function] | None,
    native: AbstractSet[s.Function],
) -> int:
    """How many choices the chunk has then, `known` before; names are to be resolved anew where there are more.

    Functions that are `sealed` stay as they are. Where choices cost time, `costly` are the functions that run often: comparisons there
    and in loops stay, but for functions that are `native`.
    """
    turner = _Turner(resolution, known, sealed, costly=costly, native=native)
    turner.chunk(chunk)
    return turner.count


class _Turner(AroundLoops, InFunctions):
    def __init__(
        self,
        resolution: Resolution,
        known: int,
        sealed: AbstractSet[s.Function],
        *,
        costly: AbstractSet[s.Function] | None,
        native: AbstractSet[s.Function],
    ) -> None:
        super().__init__(sealed)
        self.count = known
        self._symbols = resolution.symbols
        self._costly = costly
        self._native = native
        self._loops = 0
        self._is_native = False

    def function(self, function: s.Function) -> None:
        outer, self._is_native = self._is_native, self._is_native or function in self._native
        super().function(function)
        self._is_native = outer

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._loops += 1
        replacement = rewrite(node)
        self._loops -= 1
        return replacement

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        # A choice has no other in it.
        return node if spellings(node) is not None else super().rewrite_if_expression(node)

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        if (
            node.operator not in TURNED
            or not self._is_free()
            or not self._may_turn(node)
            or line_of_small(node) is None
        ):
            return super().rewrite_binary(node)
        self.count += 1
        return turn(self.count, node, copy.deepcopy(turned(node)))

    def _is_free(self) -> bool:
        if self._costly is None or self._is_native:
            return True
        return not self._loops and self.current not in self._costly

    def _may_turn(self, node: s.Binary) -> bool:
        if is_turnable(node):
            return True
        return node.operator not in ("==", "~=") and (self._is_steady(node.left) or self._is_steady(node.right))

    def _is_steady(self, node: s.Expression) -> bool:
        """A local that has the same value before the other operand is evaluated and after it."""
        node = unwrapped(node)
        if not isinstance(node, s.Name) or node.binding is None:
            return False
        symbol = self._symbols[node.binding]
        return not (symbol.is_captured and symbol.is_assigned)
