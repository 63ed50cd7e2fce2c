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
    """Give each compiled function its interpreter: of kinds of their own for those that need `...`, and for those that probably run often.

    The latter have no variables there for what only the others' instructions do, in each call, and fewer decisions.

    Where instructions of different lines `is_told_apart`, few are the same, and a long script needs more interpreters.
    """
    most = _MOST if is_told_apart else 1
    protos = list(program.protos.values())
    program.machines = 0
    for takes_any_number in (False, True):
        some = [proto for proto in protos if proto.takes_any_number == takes_any_number]
        cold = [proto for proto in some if proto.function not in program.hot]
        hot = [proto for proto in some if proto.function in program.hot]
        groups = [group for group in (cold, hot) if group]
        least = 2 if len(groups) == 1 and len(some) >= _FUNCTIONS_FOR_TWO and not takes_any_number else 1
        for group in groups:
            _share(group, program.machines, least, most, program.generator)
            program.machines = max(proto.machine for proto in group) + 1


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
