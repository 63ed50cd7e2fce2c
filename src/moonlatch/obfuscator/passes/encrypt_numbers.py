"""Moves telling numbers into the constant pool: integers of four digits and more, and everything with a fraction.

Numbers never turn into expressions. Those of a loop are read into locals before it begins, so that they cost nothing in it;
anywhere else a number costs one table access after its first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.capacity import Capacity
from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, Replacement
from moonlatch.obfuscator.transform.unit import Unit

KEY = "encrypt_numbers"
_SMALLEST_TELLING_INTEGER = 1000
# A loop may end after one round; then each of these was a read too many.
_MOST_LOCALS_PER_LOOP = 8


def run(unit: Unit) -> None:
    """Numbers in a function without room for the pool stay as they are."""
    _NumberEncryptor(unit).chunk(unit.chunk)


def is_telling(node: s.Number) -> bool:
    """True for the numbers to hide: a number with fewer digits says little, and infinity has no digits."""
    value = node.value
    is_short = value.is_integer() and value < _SMALLEST_TELLING_INTEGER
    return not (is_short or node.is_kept or math.isinf(value))


@dataclass(slots=True)
class _Loop:
    """The outermost loop of a function, with the locals that stand for its numbers."""

    spare: int
    locals: dict[bytes, s.Binding] = field(default_factory=dict)


class _NumberEncryptor(AroundLoops):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self._unit = unit
        self._capacity = Capacity(unit.resolution, unit.target)
        self._has_room = self._capacity.has_room(None)
        self._spare = self._capacity.spare_locals(None)
        self._loop: _Loop | None = None

    def function(self, function: s.Function) -> None:
        outer = self._has_room, self._spare, self._loop
        self._has_room = self._capacity.has_room(function)
        self._spare = self._capacity.spare_locals(function)
        self._loop = None
        super().function(function)
        self._has_room, self._spare, self._loop = outer

    def rewrite_local(self, node: s.Local) -> Replacement:
        if not self._capacity.needs_constant(node):
            return super().rewrite_local(node)
        node.values = [self.expression(value) if isinstance(value, s.Function) else value for value in node.values]
        return node

    def rewrite_number(self, node: s.Number) -> s.Expression:
        if not self._has_room or not is_telling(node):
            return node
        text = spelling.number(node.value, node.text, self._unit.target).encode("ascii")
        loop = self._loop
        if loop is not None and (text in loop.locals or len(loop.locals) < loop.spare):
            if text not in loop.locals:
                loop.locals[text] = s.Binding(f"{self._unit.pool.name}_{len(loop.locals)}", node.line)
            return s.Name(loop.locals[text].name, node.line)
        return self._mention(text, node.line)

    def _mention(self, text: bytes, line: int) -> s.Expression:
        return self._unit.pool.mention(text, is_number=True, line=line)

    # Loops

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        """The loop, within a block that reads its numbers first when it has any."""
        if self._loop is not None:
            return rewrite(node)
        self._loop = loop = _Loop(min(self._spare, _MOST_LOCALS_PER_LOOP))
        rewrite(node)
        self._loop = None
        if not loop.locals:
            return node
        values = [self._mention(text, node.line) for text in loop.locals]
        reads = s.Local(list(loop.locals.values()), values, is_const=False, is_exported=False, line=node.line)
        return s.Do(s.Block([reads, node], node.line), node.line)
