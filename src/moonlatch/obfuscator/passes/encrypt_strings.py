"""Moves string literals into the constant pool; interpolated strings become the `format` call they stand for."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import Capacity
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.interpolation import format_call
from moonlatch.obfuscator.transform.unit import Unit

KEY = "encrypt_strings"


def run(unit: Unit) -> None:
    """Strings in a function without room for the pool stay as they are, with a warning."""
    _StringEncryptor(unit).chunk(unit.chunk)


class _StringEncryptor(Rewriter):
    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.sealed)
        self._unit = unit
        self._capacity = Capacity(unit.resolution, unit.target)
        self._has_room = self._capacity.has_room(None)
        self._is_luau = unit.target is Target.LUAU

    def function(self, function: s.Function) -> None:
        outer = self._has_room
        self._has_room = self._capacity.has_room(function)
        if outer and not self._has_room:
            self._unit.warnings.append(
                f"line {function.line}: this function is too close to the compiler's limits; its strings stay readable"
            )
        super().function(function)
        self._has_room = outer

    def rewrite_local(self, node: s.Local) -> Replacement:
        if not self._capacity.needs_constant(node):
            return super().rewrite_local(node)
        node.values = [self.expression(value) if isinstance(value, s.Function) else value for value in node.values]
        return node

    def rewrite_string(self, node: s.String) -> s.Expression:
        if not self._has_room or not node.value:
            return node
        return self._unit.pool.mention(node.value, is_number=False, line=node.line)

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        if not self._has_room or not self._is_luau:
            return super().rewrite_interpolated_string(node)
        return self.expression(format_call(node))
