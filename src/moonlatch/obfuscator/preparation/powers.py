"""Keeps Luau computing each power as it did: `x ^ 2` and `x ^ 3` as products, `x ^ 0.5` as a square root, all others by C's `pow`.

The last digit or a zero's sign tells which it was. A power of two constants is always `pow`, computed while compiling.
"""

from __future__ import annotations

import math

from moonlatch.obfuscator.analysis.constants import Constants
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter

_SPECIAL = (2.0, 3.0, 0.5)


def keep_powers(chunk: s.Chunk, resolution: Resolution) -> bool:
    """Writes such an exponent, and the base where that is constant too, as numbers that no pass may hide.

    True when the chunk has changed; then its names are to be resolved anew.
    """
    keeper = _Keeper(resolution)
    keeper.chunk(chunk)
    return keeper.has_changed


def is_kept(node: s.Expression) -> bool:
    """True for what was written as a number that no pass may hide: also one with a sign, and a power of two."""
    node = unwrapped(node)
    if isinstance(node, s.Unary):
        return is_kept(node.operand)
    if isinstance(node, s.Binary):
        return is_kept(node.right) and is_kept(node.left)
    return isinstance(node, s.Number) and node.is_kept


class _Keeper(Rewriter):
    def __init__(self, resolution: Resolution) -> None:
        super().__init__()
        self._symbols = resolution.symbols
        self._constants = Constants()
        self.has_changed = False

    def rewrite_local(self, node: s.Local) -> Replacement:
        super().rewrite_local(node)
        for binding, value in zip(node.bindings, node.values, strict=False):
            if not self._symbols[binding].is_assigned:
                self._constants.locals[binding] = self._constants.value(value)
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        super().rewrite_binary(node)
        if node.operator == "^":
            exponent = self._constants.value(node.right)
            if exponent in _SPECIAL:
                node.right = self._kept(node.right)
                base = self._constants.value(node.left)
                if type(base) is float and not math.isnan(base):
                    node.left = self._kept(node.left)
        return node

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        super().rewrite_compound_assign(node)
        if node.operator == "^" and self._constants.value(node.value) in _SPECIAL:
            node.value = self._kept(node.value)
        return node

    def _kept(self, node: s.Expression) -> s.Expression:
        """The number that it is. A power in it stays one, for the host to compute."""
        self.has_changed = True
        inner = unwrapped(node)
        if isinstance(inner, s.Binary) and inner.operator == "^":
            inner.left, inner.right = self._kept(inner.left), self._kept(inner.right)
            return inner
        value = self._constants.value(inner)
        assert type(value) is float
        if isinstance(inner, s.Number):
            number = inner
        else:
            size = abs(value)
            number = s.Number(str(int(size)) if size.is_integer() else repr(size), size, node.line)
        number.is_kept = True
        return number if math.copysign(1.0, value) > 0 else s.Unary("-", number, node.line)
