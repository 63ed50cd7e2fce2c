"""Puts statements into branches whose conditions always come out the same, with code of the script's own in the other branch.

The conditions ask a variable that changes while the script runs; the code that never runs is made from statements nearby,
so that it uses live variables in ways that make sense. Loops are left alone.
"""

from __future__ import annotations

import copy
import random
from bisect import bisect_left, insort

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.transform.cold_code import LoopAware, contents
from moonlatch.obfuscator.transform.rooms import Capturing, Rooms
from moonlatch.obfuscator.transform.state_machine import declared_by
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.transform.witness import Witness, whole_number

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
        self._capturing = Capturing(rooms)

    def block(self, block: s.Block) -> None:
        if self.is_cold and self._capturing.admits(self.current):
            block.body = self._branched(block.body)
        super().block(block)

    def _branched(self, body: list[s.Statement]) -> list[s.Statement]:
        generator = self._generator
        if len(body) < 2:
            return body
        donors = _Donors(body)
        out: list[s.Statement] = []
        for place, statement in enumerate(body):
            donors.pass_by(place)
            if isinstance(statement, _WRAPPED) and generator.random() < _SHARE_OF_STATEMENTS:
                donor = donors.drawn(generator, other_than=place)
                if donor is not None:
                    out.append(self._branch(statement, donor))
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


class _Donors:
    """The statements of a block that can be copied, each from where on all that it names is declared.

    A script may have most of its statements in one block: what is drawn for one of them does not look at all the others.
    """

    def __init__(self, body: list[s.Statement]) -> None:
        self._body = body
        self._ready: list[int] = []
        self._later: dict[int, list[int]] = {}
        declared: dict[str, int] = {}
        for place, statement in enumerate(body):
            for binding in declared_by(statement):
                declared.setdefault(binding.name, place)
        for place, statement in enumerate(body):
            if isinstance(statement, _PLAIN):
                names, kinds, size = contents(statement)
                if size <= _LARGEST_COPY and kinds.isdisjoint(_UNCOPIED):
                    since = max((declared.get(node.name, -1) for node in names), default=-1)
                    self._later.setdefault(since, []).append(place)
        self.pass_by(-1)

    def pass_by(self, place: int) -> None:
        """What the statement at `place` declares is declared from now on."""
        for one in self._later.get(place, ()):
            insort(self._ready, one)

    def drawn(self, generator: random.Random, *, other_than: int) -> s.Statement | None:
        ready = self._ready
        index = bisect_left(ready, other_than)
        is_own = index < len(ready) and ready[index] == other_than
        count = len(ready) - is_own
        if not count:
            return None
        chosen = generator.choice(range(count))
        return self._body[ready[chosen + (is_own and chosen >= index)]]


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
