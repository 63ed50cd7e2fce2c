"""Symbols of printable text and the stream of numbers that shifts them: what every cipher of a build is made of.

They hide text from readers and search tools; that is not cryptography, because the key is in the same file.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import gcd

# Everything is written in the 95 printable ASCII characters, a space being 0.
SYMBOLS = 95
FIRST = 32
_LARGEST_MULTIPLE = 9_999
TABLE = "_run_table"
"""The local that a decoder has the table by."""
CELLS = 256
"""Numbers of the table that a run key is made into."""
_PLACE_CELLS = 251
"""A place has two cells, by this modulus and by `CELLS`: two places share one of them, and not the other."""
_TABLE_MODULI = 2**33, 2**34
_TABLE_FACTORS = 2**16, 2**18
"""A state times a factor, both as large as they get, and what is added to it are exact on every Lua."""


def congruent(value: int, modulus: int, generator: random.Random) -> int:
    """A large number that stands for `value` before a division by `modulus`: small ones are the same in many builds."""
    return value % modulus + modulus * generator.randrange(_LARGEST_MULTIPLE // 10, _LARGEST_MULTIPLE)


def digits(value: int, split: int) -> list[int]:
    """A number of zero or more as symbols of which only the last is below `split`: the others count to base 95 - `split`."""
    value, last = divmod(value, split)
    found = [last]
    while value:
        value, digit = divmod(value, SYMBOLS - split)
        found.append(split + digit)
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Keystream:
    """The numbers of one build: a linear congruence that each text starts from a place of its own.

    With `chained` the symbol before is fed back; with `subtracts` what is drawn is taken off a symbol and not added.
    With a `table`, which Lua has under `table_name`, each step adds not `step` but the number that the state before it chooses there, and each
    text starts from a number of the table: where nobody knows it, what one symbol was shifted by says nothing of the next.
    """

    factor: int
    step: int
    modulus: int
    place_factor: int
    place_step: int
    chained: bool = False
    subtracts: bool = False
    table: tuple[int, ...] = ()
    table_name: str = ""

    @classmethod
    def drawn(cls, generator: random.Random, *, varied: bool) -> Keystream:
        """One that adds and feeds nothing back, or, `varied`, does what the seed decides."""
        modulus = generator.randrange(70_001, 999_983)
        return cls(
            factor=generator.randrange(3_001, 99_991),
            step=generator.randrange(1_001, modulus),
            modulus=modulus,
            place_factor=generator.randrange(1_001, modulus),
            place_step=generator.randrange(1_001, modulus),
            chained=varied and generator.random() < 0.5,
            subtracts=varied and generator.random() < 0.5,
        )

    def with_table(self, table: tuple[int, ...], name: str, generator: random.Random) -> Keystream:
        """The same with a table, of `CELLS` numbers below 2**34."""
        modulus = generator.randrange(*_TABLE_MODULI)
        # A letter's shift is the state modulo 95, from which nothing may follow for the state before it.
        while gcd(modulus, 2 * SYMBOLS) > 1:
            modulus += 1
        factor = generator.randrange(*_TABLE_FACTORS) | 1
        return replace(self, modulus=modulus, factor=factor, table=table, table_name=name)

    def start(self, place: int) -> int:
        """The state before the first symbol of that place's text."""
        return (place * self.place_factor + self.place_step + self.chosen(place)) % self.modulus

    def chosen(self, place: int) -> int:
        """What a place has from the table."""
        return self.table[place % _PLACE_CELLS] + self.table[place % CELLS] if self.table else 0

    def advanced(self, state: int, count: int) -> int:
        """The state after so many symbols, where none is fed back."""
        factor, step, modulus, table = self.factor, self.step, self.modulus, self.table
        for _ in range(count):
            state = (state * factor + (table[state % CELLS] if table else step)) % modulus
        return state

    def shifted(self, symbols: Iterable[int], state: int) -> str:
        """The symbols, each from 0 to 94, under the stream that starts from `state`, as text."""
        factor, modulus, chained = self.factor, self.modulus, self.chained
        table = self.table or (self.step,) * CELLS
        sign = -1 if self.subtracts else 1
        out = bytearray()
        for symbol in symbols:
            state = (state * factor + table[state % CELLS]) % modulus
            out.append(FIRST + (symbol + sign * state) % SYMBOLS)
            if chained:
                state += symbol
        return out.decode("ascii")

    def start_source(self, place: str) -> str:
        """Lua for `start`."""
        return f"({place}*{self.place_factor}+{self.place_step}{self.chosen_source(place)})%{self.modulus}"

    def chosen_source(self, place: str) -> str:
        """The end of a Lua expression for where a text starts, before the modulo: what `chosen` gives for that place."""
        return f"+{TABLE}[{place}%{_PLACE_CELLS}]+{TABLE}[{place}%{CELLS}]" if self.table else ""

    def next_source(self, state: str) -> str:
        """A Lua statement that goes on to the next symbol's state."""
        step = f"{TABLE}[{state}%{CELLS}]" if self.table else str(self.step)
        return f"{state}=({state}*{self.factor}+{step})%{self.modulus}"

    def captures(self) -> list[str]:
        """Declarations around a decoder, in any order."""
        return [f"local {TABLE}={self.table_name}"] if self.table else []

    def unshift_source(self, state: str) -> str:
        """The end of a Lua expression for a symbol: what takes the shift off it, before the modulo."""
        return f"+{state}" if self.subtracts else f"-{state}"

    def feedback_source(self, state: str, symbol: str) -> str:
        """A Lua statement that feeds the symbol back, or nothing."""
        return f"{state}={state}+{symbol}" if self.chained else ""
