"""Puts statements into branches whose conditions always come out the same, with code of the script's own in the other branch.

The conditions ask a variable that changes while the script runs; the code that never runs is made from statements nearby,
so that it uses live variables in ways that make sense. Loops are left alone.
"""

from __future__ import annotations

import copy
import random

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.cold_code import LoopAware, contents
from moonlatch.obfuscator.rewriter import Rewriter
from moonlatch.obfuscator.rooms import Rooms
from moonlatch.obfuscator.state_machine import declared_by
from moonlatch.obfuscator.unit import Unit
from moonlatch.obfuscator.witness import Witness, whole_number

KEY = "opaque_branches"
_SHARE_OF_STATEMENTS = 0.22
_SHARE_OF_BLOCKS_THAT_GROW = 0.3
_LARGEST_COPY = 40
_NEEDED_LOCALS = 8
_PLAIN = (s.Assign, s.CompoundAssign, s.CallStatement)
_WRAPPED = (*_PLAIN, s.If, s.NumericFor, s.GenericFor, s.While, s.Do)
_LARGEST_VARIED = 100
_UNCOPIED = {s.Function, s.Varargs, s.Table}
_OPPOSITES = {"+": "-", "-": "+", "*": "+", "<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "~=", "~=": "=="}


def run(unit: Unit) -> None:
    """Functions that can capture no further variable stay as they are."""
    unit.make_names_unique()
    rooms = Rooms(unit)
    if rooms.spare_locals(None) < _NEEDED_LOCALS:
        return
    _Brancher(unit, rooms).chunk(unit.chunk)
    unit.resolve_anew()


class _Brancher(LoopAware):
    def __init__(self, unit: Unit, rooms: Rooms) -> None:
        super().__init__(unit)
        self._witness: Witness = unit.need_witness()
        self._generator = unit.random(KEY)
        self._rooms = rooms
        self._capturing: set[s.Function | None] = {None}

    def block(self, block: s.Block) -> None:
        if self.is_cold and self._can_ask():
            block.body = self._branched(block.body)
        super().block(block)

    def _can_ask(self) -> bool:
        """Whether the function at hand can capture the witness, which then counts as one of its variables."""
        function = self.current
        if function not in self._capturing:
            if self._rooms.is_crowded(function) or self._rooms.spare_upvalues(function, None) < 1:
                return False
            self._rooms.take_upvalues([function], None)
            self._capturing.update(self._rooms.path(function, None))
        return True

    def _branched(self, body: list[s.Statement]) -> list[s.Statement]:
        generator = self._generator
        if len(body) < 2:
            return body
        donors = [one for one in body if isinstance(one, _PLAIN) and _is_copyable(one)]
        hidden = {binding.name for one in body for binding in declared_by(one)}
        out: list[s.Statement] = []
        for statement in body:
            hidden.difference_update(binding.name for binding in declared_by(statement))
            if isinstance(statement, _WRAPPED) and generator.random() < _SHARE_OF_STATEMENTS:
                usable = [one for one in donors if one is not statement and _names(one).isdisjoint(hidden)]
                if usable:
                    out.append(self._branch(statement, generator.choice(usable)))
                    continue
            out.append(statement)
        if generator.random() < _SHARE_OF_BLOCKS_THAT_GROW:
            # The declaration of the witness is the first statement of all.
            place = generator.randrange(1, len(out))
            out.insert(place, self._witness.growth(out[place].line, generator))
        return out

    def _branch(self, statement: s.Statement, donor: s.Statement) -> s.If:
        line, generator = statement.line, self._generator
        real, other = s.Block([statement], line), s.Block([_varied(donor, generator)], line)
        if generator.random() < 0.5:
            return s.If([(self._witness.condition(line, generator, holds=True), real)], other, line)
        return s.If([(self._witness.condition(line, generator, holds=False), other)], real, line)


def _is_copyable(statement: s.Statement) -> bool:
    _, kinds, size = contents(statement)
    return size <= _LARGEST_COPY and kinds.isdisjoint(_UNCOPIED)


def _names(statement: s.Statement) -> set[str]:
    return {node.name for node in contents(statement)[0]}


def _varied(statement: s.Statement, generator: random.Random) -> s.Statement:
    """A copy that does something else."""
    varied = copy.deepcopy(statement)
    _Variation(generator).block(s.Block([varied], statement.line))
    return varied


class _Variation(Rewriter):
    """Changes operators, small numbers and the order of arguments."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self._generator = generator

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        if node.operator in _OPPOSITES and self._generator.random() < 0.5:
            node.operator = _OPPOSITES[node.operator]
        return super().rewrite_binary(node)

    def rewrite_number(self, node: s.Number) -> s.Expression:
        if not node.value.is_integer() or node.value > _LARGEST_VARIED:
            return node
        return whole_number(int(node.value) + self._generator.randrange(3), node.line)

    def rewrite_call(self, node: s.Call) -> s.Expression:
        self._generator.shuffle(node.arguments)
        return super().rewrite_call(node)

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        self._generator.shuffle(node.arguments)
        return super().rewrite_method_call(node)
