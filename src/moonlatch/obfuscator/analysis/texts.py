"""Gathers the texts of a script."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter


class Texts(Rewriter):
    """Every text with its line, but for those in `hidden` functions; replaces nothing."""

    def __init__(self, hidden: AbstractSet[s.Function] = frozenset()) -> None:
        super().__init__(hidden)
        self.texts: list[tuple[int, bytes]] = []

    def rewrite_string(self, node: s.String) -> s.Expression:
        self.texts.append((node.line, node.value))
        return node

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        self.texts.extend((node.line, part) for part in node.parts)
        return super().rewrite_interpolated_string(node)
