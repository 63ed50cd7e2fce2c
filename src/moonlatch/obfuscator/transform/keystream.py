"""Symbols of printable text and the stream of numbers that shifts them: what every cipher of a build is made of.

They hide text from readers and search tools; that is not cryptography, because the key is in the same file.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

# Everything is written in the 95 printable ASCII characters, a space being 0.
SYMBOLS = 95
FIRST = 32
_LARGEST_MULTIPLE = 9_999
FACTOR, STEP, OFFSET = "_run_factor", "_run_step", "_run_offset"
"""The locals of a stream that is made of a run key's words."""


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
    `words` is Lua that declares `FACTOR`, `STEP` and `OFFSET`, for a stream whose Lua takes those from a run key; it goes before what is
    written below. They are congruent to `factor`, `step` and `offset`, and as large as 2**32.
    """

    factor: int
    step: int
    modulus: int
    place_factor: int
    place_step: int
    chained: bool = False
    subtracts: bool = False
    offset: int = 0
    words: str = ""

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

    def start(self, place: int) -> int:
        """The state before the first symbol of that place's text."""
        return (place * self.place_factor + self.place_step + self.offset) % self.modulus

    def advanced(self, state: int, count: int) -> int:
        """The state after so many symbols, where none is fed back."""
        for _ in range(count):
            state = (state * self.factor + self.step) % self.modulus
        return state

    def shifted(self, symbols: Iterable[int], state: int) -> str:
        """The symbols, each from 0 to 94, under the stream that starts from `state`, as text."""
        factor, step, modulus, chained = self.factor, self.step, self.modulus, self.chained
        sign = -1 if self.subtracts else 1
        out = bytearray()
        for symbol in symbols:
            state = (state * factor + step) % modulus
            out.append(FIRST + (symbol + sign * state) % SYMBOLS)
            if chained:
                state += symbol
        return out.decode("ascii")

    def start_source(self, place: str) -> str:
        """Lua for `start`."""
        return f"({place}*{self.place_factor}+{self.place_step}{self.offset_source})%{self.modulus}"

    def next_source(self, state: str) -> str:
        """A Lua statement that goes on to the next symbol's state."""
        factor, step = (FACTOR, STEP) if self.words else (self.factor, self.step)
        return f"{state}=({state}*{factor}+{step})%{self.modulus}"

    def captures(self) -> list[str]:
        """Declarations around a decoder, in any order."""
        return [self.words] if self.words else []

    @property
    def offset_source(self) -> str:
        """The end of a Lua expression for where a text starts, before the modulo."""
        return f"+{OFFSET}" if self.words else ""

    def unshift_source(self, state: str) -> str:
        """The end of a Lua expression for a symbol: what takes the shift off it, before the modulo."""
        return f"+{state}" if self.subtracts else f"-{state}"

    def feedback_source(self, state: str, symbol: str) -> str:
        """A Lua statement that feeds the symbol back, or nothing."""
        return f"{state}={state}+{symbol}" if self.chained else ""
