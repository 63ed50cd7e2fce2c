"""Shares the functions of a script out among interpreters, so that none becomes larger than a compiler takes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from moonlatch.obfuscator.vm.code import LINE, Instruction, Proto
from moonlatch.obfuscator.vm.program import Program

_FUNCTIONS_FOR_TWO = 12
_SIZE_OF_ONE = 50_000
"""Characters of instructions, of which some are the same. A loop of LuaJIT has room for about 95,000."""
_MOST = 6
"""Of either kind: each takes variables of the chunk and upvalues of functions."""


def share_out(program: Program, *, is_told_apart: bool) -> None:
    """Give each compiled function its interpreter: one of a kind of its own for those that need `...`.

    Where instructions of different lines `is_told_apart`, few are the same, and a long script needs more interpreters.
    """
    most = _MOST if is_told_apart else 1
    protos = list(program.protos.values())
    plain = [proto for proto in protos if not proto.takes_any_number]
    others = [proto for proto in protos if proto.takes_any_number]
    _share(plain, 0, 1 if len(plain) < _FUNCTIONS_FOR_TWO else 2, most, program.generator)
    first = max((proto.machine for proto in plain), default=-1) + 1
    _share(others, first, 1, most, program.generator)
    program.machines = max(proto.machine for proto in protos) + 1


def _share(protos: Sequence[Proto], first: int, least: int, most: int, generator: random.Random) -> None:
    """Put each function where there is least so far, in no particular order."""
    sizes = {proto: _size(proto) for proto in protos}
    held = [0] * max(least, min(most, -(-sum(sizes.values()) // _SIZE_OF_ONE)))
    for proto in generator.sample(protos, len(protos)):
        place = held.index(min(held))
        held[place] += sizes[proto]
        proto.machine = first + place


def _size(proto: Proto) -> int:
    return sum(len(one.text) - one.text.count(LINE) for one in proto.code if isinstance(one, Instruction))
