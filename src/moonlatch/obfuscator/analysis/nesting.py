"""How deeply constructs stand inside each other, which every compiler limits."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter


def height(block: s.Block) -> int:
    """The most blocks and expressions that are open at once anywhere in the block; operators in a row count too."""
    measurer = _Measurer()
    measurer.block(block)
    return measurer.most


class _Measurer(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._depth = 0

    def block(self, block: s.Block) -> None:
        self._depth += 1
        self.most = max(self.most, self._depth)
        super().block(block)
        self._depth -= 1

    def expression(self, node: s.Expression) -> s.Expression:
        self._depth += 1
        self.most = max(self.most, self._depth)
        super().expression(node)
        self._depth -= 1
        return node
