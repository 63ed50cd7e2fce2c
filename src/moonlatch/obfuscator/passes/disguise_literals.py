"""Writes some small numbers, `true` and `false` as expressions over a variable that changes while the script runs.

Not in loops, and not in the values of constants, which Luau folds into the code that uses them.
"""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import Capacity
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement
from moonlatch.obfuscator.transform.cold_code import LoopAware
from moonlatch.obfuscator.transform.rooms import Capturing, Rooms
from moonlatch.obfuscator.transform.unit import Unit

KEY = "disguise_literals"
_SHARE_OF_BOOLEANS = 0.6
_SHARE_OF_NUMBERS = 0.35
_NUMBERS = range(1000)
_MOST_IN_TABLE = 12
_NEEDED_LOCALS = 8


def run(unit: Unit) -> None:
    """Functions that can capture no further variable keep their literals."""
    unit.make_names_unique()
    rooms = Rooms(unit)
    if rooms.spare_locals(None) < _NEEDED_LOCALS:
        return
    _Disguiser(unit, rooms).chunk(unit.chunk)
    unit.resolve_anew()


class _Disguiser(LoopAware):
    def __init__(self, unit: Unit, rooms: Rooms) -> None:
        super().__init__(unit)
        self._witness = unit.need_witness()
        self._generator = unit.random(KEY)
        self._capacity = Capacity(unit.resolution, unit.target)
        self._capturing = Capturing(rooms)

    def _is_chosen(self, share: float) -> bool:
        return self.is_cold and self._generator.random() < share and self._capturing.admits(self.current)

    def rewrite_true_value(self, node: s.TrueValue) -> s.Expression:
        return self._boolean(node, holds=True)

    def rewrite_false_value(self, node: s.FalseValue) -> s.Expression:
        return self._boolean(node, holds=False)

    def _boolean(self, node: s.Expression, *, holds: bool) -> s.Expression:
        if not self._is_chosen(_SHARE_OF_BOOLEANS):
            return node
        return self._witness.condition(node.line, self._generator, holds=holds)

    def rewrite_number(self, node: s.Number) -> s.Expression:
        # A number spelt as a float is one on the Lua versions that tell them apart.
        if (
            node.is_kept
            or not node.text.isdigit()
            or int(node.value) not in _NUMBERS
            or not self._is_chosen(_SHARE_OF_NUMBERS)
        ):
            return node
        return self._witness.number(int(node.value), node.line, self._generator)

    def rewrite_local(self, node: s.Local) -> Replacement:
        if node.is_exported or self._capacity.needs_constant(node):
            return node
        if all(isinstance(value, _LITERALS) for value in node.values):
            return node
        return super().rewrite_local(node)

    def rewrite_table(self, node: s.Table) -> s.Expression:
        return super().rewrite_table(node) if len(node.items) <= _MOST_IN_TABLE else node


_LITERALS = (s.Number, s.TrueValue, s.FalseValue, s.String, s.Nil)
