"""Exponents that have to stay literals: by them Luau computes a power in another way, which the last digit or a zero's sign tells."""

from __future__ import annotations

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.printer_expressions import unwrapped
from moonlatch.obfuscator.rewriter import Replacement, Rewriter

SQUARE_ROOT = 0.5
# `x ^ 2` is `x * x`, `x ^ 3` likewise, and `x ^ 0.5` is `math.sqrt(x)`; every other power is `pow` of C.
_SPECIAL = (2.0, 3.0, SQUARE_ROOT)


def special_exponents(chunk: s.Chunk) -> set[s.Expression]:
    """The numbers of the chunk that are such exponents."""
    finder = _Finder()
    finder.chunk(chunk)
    return finder.found


class _Finder(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[s.Expression] = set()

    def _exponent(self, operator: str, node: s.Expression) -> None:
        inner = unwrapped(node)
        if operator == "^" and isinstance(inner, s.Number) and inner.value in _SPECIAL:
            self.found.add(inner)

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        self._exponent(node.operator, node.right)
        return super().rewrite_binary(node)

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        self._exponent(node.operator, node.value)
        return super().rewrite_compound_assign(node)
