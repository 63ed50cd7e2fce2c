"""Where a call of cold code has its registers: in the first slots of its table in an order that is another one from call to call.

Whoever looks at the slots that two calls of one function use does not see which of them are the same variable. An instruction
has a register's number; the slot is what the call's own map has there. Hot code has its registers where their numbers say, and
so has every function with a loop of its own, by a map that changes nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.names import Names

AT_ONCE = 10
"""Registers that a call has room for from the beginning: in cold code those that change places."""
MOST_MOVED = 64
"""Registers of a function whose calls differ, at most: every map is as long as the largest needs it."""
_WAYS = 7
_MODULUS = 65_521
_FACTORS = (1_009, 9_973)
_COMMON, _LEAST_ASTRAY = 3, 2
"""Of the registers that every function has, as many never lie in a slot of their number or of a smaller one."""


@dataclass(frozen=True, slots=True)
class RegisterMaps:
    """`ways` has the slots of the first registers in each map, `source` declares maps, each of which has the next one at 0."""

    names: Names
    ways: tuple[tuple[int, ...], ...]
    _seed: str
    _factor: int
    _addend: int

    @classmethod
    def drawn(cls, names: Names, invariants: Invariants, generator: random.Random) -> RegisterMaps:
        """Maps that only an unchanged build computes."""
        text, seed = invariants.sum(generator)
        while True:
            factor, addend = generator.randrange(*_FACTORS), generator.randrange(*_FACTORS)
            ways = _computed(seed, factor, addend)
            never_before = sum(min(way[place] for way in ways) > place + 1 for place in range(_COMMON))
            if never_before >= _LEAST_ASTRAY:
                return cls(names, ways, text, factor, addend)

    def places(self, register: int, *, moves: bool) -> set[int]:
        """The slots that a register may lie in."""
        return {slots[register - 1] for slots in self.ways} if moves and register <= AT_ONCE else {register}

    def source(self, most: int, most_moved: int) -> str:
        """Lua statements after those of the invariants; no function has more registers than `most`, and none whose calls differ
        more than `most_moved`.
        """
        names = self.names
        moved = max(AT_ONCE, most_moved)
        return (
            f"local {names.moved},{names.kept} do local _state,_first={self._seed} {names.kept}={{}} "
            f"for _register=1,{most} do {names.kept}[_register]=_register end {names.kept}[0]={names.kept} "
            f"for _way=1,{_WAYS} do local _slots={{}} for _register=1,{moved} do _slots[_register]=_register end "
            f"for _left={AT_ONCE},2,-1 do _state=(_state*{self._factor}+{self._addend})%{_MODULUS} local _other=_state%_left+1 "
            f"_slots[_left],_slots[_other]=_slots[_other],_slots[_left] end "
            f"_first,_slots[0],{names.moved}=_first or _slots,{names.moved},_slots end _first[0]={names.moved} end "
        )

    def start_source(self, proto: str, moves: str) -> str:
        """Statements that give a function its first map; `moves` is 1 if its calls differ."""
        moved = self.names.moved
        return f"if {moves}>0 then {moved}={moved}[0] {proto}[6]={moved} else {proto}[6]={self.names.kept} end "

    def call_source(self, proto: str) -> str:
        """Statements at the beginning of a call, once its function has been started, that give it a map, and the next call another one."""
        slots = self.names.slots
        return f"local {slots}={proto}[6] {proto}[6]={slots}[0] "


def _computed(state: int, factor: int, addend: int) -> tuple[tuple[int, ...], ...]:
    """As `source` says it in Lua."""
    ways: list[tuple[int, ...]] = []
    for _ in range(_WAYS):
        slots = list(range(1, AT_ONCE + 1))
        for left in range(AT_ONCE, 1, -1):
            state = (state * factor + addend) % _MODULUS
            other = state % left
            slots[left - 1], slots[other] = slots[other], slots[left - 1]
        ways.append(tuple(slots))
    return tuple(ways)
