"""Functions that nothing calls and that look as if something did: pieces of the script's cold functions, with other constants.

What makes their closures is an instruction like others, with edges that lead to it and that are never taken: some ask whether a
variable is true that always is, as the script's own branches do. Their texts are those of the script's own instructions, so
that an interpreter has no operation more for them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax.tree import NO_LINE
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.code import HOLE, LINE, Proto, SourceLine
from moonlatch.obfuscator.vm.linking import Linked, Stored, TwoLinked
from moonlatch.obfuscator.vm.names import Names

_SHARE = 0.15
"""Of an interpreter's instructions that come from functions which could be taken for others."""
_LONGEST_PIECE = 20
_SHARE_CHANGED = 0.6
"""Of the constants."""

_Role = tuple[str, int]
"""An instruction's text, and which of its operands."""


@dataclass(slots=True, eq=False)
class Decoys:
    """`entries` would make their closures: each has the interpreter that it is of, and an edge that is never taken should lead to it."""

    functions: dict[Proto, list[Linked]] = field(default_factory=dict)
    entries: dict[Linked, int] = field(default_factory=dict)

    @property
    def instructions(self) -> set[Linked]:
        return {*self.entries, *(one for function in self.functions.values() for one in function)}


def make_decoys(
    functions: Mapping[Proto, list[Linked]], machine: int, names: Names, generator: random.Random
) -> Decoys:
    """For one interpreter, some of whose functions have calls that differ; entries are added to those that they stand in.

    `functions` are all that run seldom.
    """
    decoys = Decoys()
    donors = {proto: function for proto, function in functions.items() if proto.moves and proto.machine == machine}
    makers = [
        (proto, one)
        for proto, function in functions.items()
        for one in function
        if one.weight == 1 and any(isinstance(operand, Proto) and operand in donors for operand in one.operands)
    ]
    if not makers:
        return decoys
    constants = _constants(one for function in donors.values() for one in function)
    room = _SHARE * sum(map(len, donors.values()))
    while room > 0:
        like, other = generator.choice(list(donors)), generator.choice(list(donors))
        proto = Proto(None, like.parameters, like.is_vararg, machine=machine, moves=True)
        proto.registers = max(like.registers, other.registers)
        body = decoys.functions[proto] = _Copier(constants, generator).blend(donors[like], donors[other])
        host, maker = generator.choice(makers)
        # Its text may have what only interpreters of that kind have.
        beside = {one: function for one, function in functions.items() if one.machine == host.machine}
        fork = _fork(beside, generator)
        host = host if fork is None else fork[0]
        entry = _entry(maker, dict.fromkeys(donors, proto), functions[host], generator)
        decoys.entries[entry] = host.machine
        functions[host].append(entry)
        if fork is not None:
            functions[host].append(_guard(fork[1], generator.choice(host.certain), entry, names))
        room -= len(body) + 1
    return decoys


def _fork(functions: Mapping[Proto, Sequence[Linked]], generator: random.Random) -> tuple[Proto, Linked] | None:
    """A function that has a variable which is always true, and an instruction of it that another one follows; neither is in a loop."""
    forks = [
        (proto, one)
        for proto, function in functions.items()
        if proto.certain
        for one in function
        if one.weight == 1 and one.following is not None and one.following.weight == 1
    ]
    return generator.choice(forks) if forks else None


def _guard(before: Linked, certain: int, entry: Linked, names: Names) -> Linked:
    """What follows an instruction then: it goes on as before if that variable is true, and to the entry if not."""
    goto = f"{names.node}={HOLE}"
    guard = Linked(f"{LINE}if {names.upvalues}[{HOLE}] then {goto} else {goto} end", [], before.weight)
    assert before.following is not None
    guard.operands = [SourceLine(NO_LINE), certain, before.following, entry]
    before.following = guard
    return guard


def _entry(maker: Linked, instead: Mapping[Proto, Proto], host: Sequence[Linked], generator: random.Random) -> Linked:
    """As what makes closures of functions, of others; it leads to somewhere in the function that it is to stand in."""
    entry = Linked(maker.text, [], maker.weight)
    for one in maker.operands:
        match one:
            case Linked() | TwoLinked():
                entry.operands.append(generator.choice(host))
            case Proto():
                entry.operands.append(instead.get(one, one))
            case _:
                entry.operands.append(one)
    entry.following = None if maker.following is None else generator.choice(host)
    return entry


def _constants(ones: Iterable[Linked]) -> dict[_Role, list[Constant]]:
    found: dict[_Role, list[Constant]] = {}
    for one in ones:
        for place, operand in enumerate(one.operands):
            if isinstance(operand, Constant):
                found.setdefault((one.text, place), []).append(operand)
    return found


class _Copier:
    """Makes one function."""

    def __init__(self, constants: Mapping[_Role, Sequence[Constant]], generator: random.Random) -> None:
        self._constants = constants
        self._generator = generator

    def blend(self, first: Sequence[Linked], last: Sequence[Linked]) -> list[Linked]:
        """The beginning of one function and the end of another; what leads out of either leads to somewhere in both."""
        generator = self._generator
        head = first[: generator.randint(1, min(len(first), _LONGEST_PIECE))]
        tail = last[-generator.randint(1, min(len(last), _LONGEST_PIECE)) :]
        pieces = [{one: Linked(one.text, [], one.weight, lines=one.lines) for one in piece} for piece in (head, tail)]
        body = [copy for piece in pieces for copy in piece.values()]
        for piece in pieces:
            for one, copy in piece.items():
                copy.operands = [self._operand(one, place, piece, body) for place in range(len(one.operands))]
                if one.following is not None:
                    copy.following = self._target(one.following, piece, body)
        return body

    def _operand(self, one: Linked, place: int, piece: Mapping[Linked, Linked], body: Sequence[Linked]) -> Stored:
        operand = one.operands[place]
        match operand:
            case Constant() if self._generator.random() < _SHARE_CHANGED:
                # Where one of them stood already: the decoder that it belongs to has it.
                return self._generator.choice(self._constants[one.text, place])
            case Linked():
                return self._target(operand, piece, body)
            case TwoLinked():
                # A choice of the script's is made in its own place alone.
                return self._target(operand.first, piece, body)
        return operand

    def _target(self, target: Linked, piece: Mapping[Linked, Linked], body: Sequence[Linked]) -> Linked:
        return piece.get(target) or self._generator.choice(body)
