"""A variable whose value nobody knows but whose remainders never change: what opaque conditions and numbers are made of.

It grows while the script runs, always by a multiple of its moduli, so that its remainders hold wherever it is read.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from moonlatch.obfuscator.syntax import tree as s

_PRIMES = (5, 7, 11, 13, 17)
_COUNT = 2
_COMPARISONS = ("==", "~=")


@dataclass(frozen=True, slots=True)
class Witness:
    """`binding` is a local of the whole script; its value is `start` plus a multiple of every modulus."""

    binding: s.Binding
    start: int
    moduli: tuple[int, ...]

    @classmethod
    def drawn(cls, binding: s.Binding, generator: random.Random) -> Witness:
        return cls(binding, generator.randrange(20, 900), tuple(generator.sample(_PRIMES, _COUNT)))

    def declaration(self) -> s.Local:
        line = self.binding.line
        return s.Local([self.binding], [whole_number(self.start, line)], is_const=False, is_exported=False, line=line)

    def growth(self, line: int, generator: random.Random) -> s.Assign:
        """A statement that changes the value and none of its remainders."""
        step = generator.randrange(1, 5)
        for modulus in self.moduli:
            step *= modulus
        total = s.Binary("+", self._read(line), whole_number(step, line), line)
        return s.Assign([self._read(line)], [total], line)

    def condition(self, line: int, generator: random.Random, *, holds: bool) -> s.Expression:
        """A comparison that always, or never, is true."""
        modulus = generator.choice(self.moduli)
        operator = generator.choice(_COMPARISONS)
        remainder = self.start % modulus
        if holds != (operator == "=="):
            remainder = (remainder + generator.randrange(1, modulus)) % modulus
        return s.Binary(operator, self._remainder(modulus, line), whole_number(remainder, line), line)

    def number(self, value: int, line: int, generator: random.Random) -> s.Expression:
        """An expression that always has that value, which is not negative."""
        modulus = generator.choice(self.moduli)
        known = self.start % modulus
        remainder = self._remainder(modulus, line)
        if value >= known and generator.random() < 0.5:
            return s.Binary("+", remainder, whole_number(value - known, line), line)
        return s.Binary("-", whole_number(value + known, line), remainder, line)

    def _remainder(self, modulus: int, line: int) -> s.Expression:
        return s.Binary("%", self._read(line), whole_number(modulus, line), line)

    def _read(self, line: int) -> s.Name:
        return s.Name(self.binding.name, line)


def whole_number(value: int, line: int) -> s.Number:
    return s.Number(str(value), float(value), line)
