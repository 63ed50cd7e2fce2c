"""Compiles assignments, in the order of Luau's own compiler.

Luau keeps a local in a register, which the closures that capture it share. So a captured local of this function that is
indexed, or is an index, is read when the value is there, and one that is assigned has its value before those of the targets
after it are evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.vm.closures import Built
from moonlatch.obfuscator.vm.code import HOLE
from moonlatch.obfuscator.vm.expressions import ExpressionLowering
from moonlatch.obfuscator.vm.texts import WIDEST_LIST, bare


class AssignmentLowering(ExpressionLowering):
    """Compiles the assignments of one function."""

    def assign(self, node: s.Assign) -> None:
        if len(node.targets) == 1 and len(node.values) == 1:
            self.store(node.targets[0], node.values[0])
            return
        places = [part for target in node.targets for part in _parts(target)]
        if any(self.is_own_cell(one) for one in [*node.targets, *places, *node.values]):
            self._assign_in_turn(node)
            return
        keeps_last = len(node.values) <= len(node.targets)
        built = self.operands([*places, *node.values], multiple_last=keeps_last)
        rest = iter(built)
        targets = [self.target_text(target, [next(rest) for _ in _parts(target)]) for target in node.targets]
        left, left_operands = self.joined(targets)
        right, right_operands = self.joined(self.for_targets(list(rest), bare(node.values[-1]), len(targets)))
        self.emit(f"{left}={right}", [*left_operands, *right_operands])

    def fill_registers(self, registers: Sequence[int], values: Built) -> None:
        """Give neighbouring registers the values of a list."""
        text, operands = values
        if len(registers) <= WIDEST_LIST:
            self.emit(",".join(self.register_text for _ in registers) + "=" + text, [*registers, *operands])
            return
        table, place = self.names.value, self.names.local(0)
        slot = self.slot(f"{place}+{HOLE}")
        self.emit(
            f"local {table}={{{text}}}for {place}=1,{HOLE} do {slot}={table}[{place}]end",
            [*operands, len(registers), registers[0] - 1],
        )

    def store(self, target: s.Expression, value: s.Expression) -> None:
        parts = _parts(target)
        late = [part for part in parts if self.is_own_cell(part)]
        if late and not all(part in late or self.is_pure(part) for part in [*parts, value]):
            early = {part: self.settled(part) for part in [*parts, value] if part not in late}
            built = [early[part] if part in early else self.value(part) for part in parts]
            self._emit_store(self.target_text(target, built), early[value])
            return
        *built, content = self.operands([*parts, value])
        self._emit_store(self.target_text(target, built), content)

    def _emit_store(self, target: Built, content: Built) -> None:
        if target != content:
            self.emit(f"{target[0]}={content[0]}", [*target[1], *content[1]])

    # Several targets

    def _assign_in_turn(self, node: s.Assign) -> None:
        """Captured locals have their values at once, other targets from left to right when all are there.

        Locals that the statement still reads come last, and so do those that no closure sees.
        """
        places = [self._place(target) for target in node.targets]
        still_read = self._still_read(node)
        stores: list[tuple[Built, Built]] = []
        last: list[tuple[Built, Built]] = []
        given = len(node.values) if len(node.values) >= len(node.targets) else len(node.values) - 1
        for target, place, value in zip(node.targets, places, node.values[:given], strict=False):
            if not self.is_own_local(target):
                stores.append((place, self.value(value) if self.is_own_cell(value) else self.settled(value)))
            elif self.is_own_cell(target) and _binding(target) not in still_read:
                self._emit_store(place, self.value(value))
            else:
                last.append((place, self._into_temporary(value)))
        for value in node.values[len(node.targets) :]:
            self.settled(value)
        for target, place, content in zip(node.targets[given:], places[given:], self._spread(node, given), strict=True):
            (last if self.is_own_local(target) else stores).append((place, content))
        for place, content in [*stores, *last]:
            self._emit_store(place, content)

    def _spread(self, node: s.Assign, given: int) -> list[Built]:
        """Registers with what the last value has for the targets that have none of their own."""
        count = len(node.targets) - given
        if count <= 0:
            return []
        values = self.operands(node.values[given:], multiple_last=True)
        registers = [self.temporary() for _ in range(count)]
        self.fill_registers(registers, self.joined(self.for_targets(values, bare(node.values[-1]), count)))
        return [(self.register_text, [register]) for register in registers]

    def _still_read(self, node: s.Assign) -> set[s.Binding]:
        """Locals that another target is reached through, or that a value names which Luau takes for evaluated later.

        It takes the values of locals for evaluated before all others.
        """
        assigned: set[s.Binding] = set()
        read: set[s.Binding] = set()
        others = list(node.values[len(node.targets) :])
        for target, value in zip_longest(node.targets, node.values[: len(node.targets)]):
            if not self.is_own_local(target):
                others += [value] if value is not None else []
                continue
            if value is not None:
                read |= assigned & _Mentions(value).bindings
            assigned.add(_binding(target))
        for one in others:
            read |= assigned & _Mentions(one).bindings
        indexed = {_binding(part) for target in node.targets for part in _parts(target) if self.is_own_local(part)}
        return read | assigned & indexed

    def _place(self, target: s.Expression) -> Built:
        """The text of a target that reads captured locals of this function when it is used, and nothing else that changes."""
        return self.target_text(
            target, [self.value(part) if self.is_own_cell(part) else self.settled(part) for part in _parts(target)]
        )

    # Compound assignments

    def compound_assign(self, node: s.CompoundAssign) -> None:
        target, value = node.target, node.value
        parts = _parts(target)
        if any(self.is_own_cell(part) for part in parts):
            self._change_in_place(self._place(target), node.operator, value)
            return
        late = self.is_own_cell(target) and node.operator != ".."
        if late and not self.is_pure(value):
            text, operands = self.settled(value)
            place, held = self.target_text(target, [])
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        if all(self.is_inline(part) for part in [*parts, value]):
            place, held = self.target_text(target, [self.value(part) for part in parts])
            text, operands = self.value(value)
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        place, held = self._place(target)
        if isinstance(target, s.Name) and self.is_pure(target):
            text, operands = self.value(value)
            self.emit(f"{place} {node.operator}={text}", [*held, *operands])
            return
        before = self.temporary()
        self.emit(f"{self.register_text}={place}", [before, *held])
        text, operands = self.value(value)
        self.emit(f"{place}={self.register_text} {node.operator} ({text})", [*held, before, *operands])

    def _change_in_place(self, target: Built, operator: str, value: s.Expression) -> None:
        """Read the item, compute, and reach it again: by then its table, or its key, may be another one."""
        place, held = target
        old, old_operands = target
        if not self.is_inline(value):
            before = self.temporary()
            self.emit(f"{self.register_text}={place}", [before, *held])
            old, old_operands = self.register_text, [before]
        text, operands = self.value(value)
        new = self.names.value
        self.emit(f"local {new}={old} {operator} ({text});{place}={new}", [*old_operands, *operands, *held])


def _binding(node: s.Expression) -> s.Binding:
    name = bare(node)
    assert isinstance(name, s.Name)
    assert name.binding is not None
    return name.binding


def _parts(target: s.Expression) -> list[s.Expression]:
    """The expressions that a target is reached through."""
    if isinstance(target, s.Index):
        return [target.object, target.key]
    return [target.object] if isinstance(target, s.IndexName) else []


class _Mentions(Rewriter):
    """The variables that an expression names, also in functions."""

    def __init__(self, node: s.Expression) -> None:
        super().__init__()
        self.bindings: set[s.Binding] = set()
        self.expression(node)

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.binding is not None:
            self.bindings.add(node.binding)
        return node
