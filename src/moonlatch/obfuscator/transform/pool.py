"""Collects the constants that a build hides: each distinct one once, however often the script mentions it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from moonlatch.obfuscator.syntax import tree as s


@dataclass(frozen=True, slots=True)
class Constant:
    """A string's bytes, or a number as Lua spells it."""

    text: bytes
    is_number: bool


class ConstantPool:
    """Constants by first mention. Their final places are drawn by `shuffled` when all of them are known.

    `name` is the variable that holds the pool at run time; the script must not use it for anything else.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._mentions: dict[Constant, list[s.Number]] = {}
        """The index literals that select each constant."""

    def __len__(self) -> int:
        return len(self._mentions)

    def mention(self, text: bytes, *, is_number: bool, line: int) -> s.Expression:
        """An expression that stands for the constant: the pool indexed with a place that is still to be drawn."""
        # Zero until then, so that no later pass takes the index for one of the script's own numbers.
        place = s.Number("0", 0.0, line)
        self._mentions.setdefault(Constant(text, is_number), []).append(place)
        return s.Index(s.Name(self.name, line), place, line)

    def shuffled(self, generator: random.Random) -> list[Constant]:
        """The constants in the order of their places, which are written into every mention, counted from 1."""
        constants = list(self._mentions)
        generator.shuffle(constants)
        for index, constant in enumerate(constants, 1):
            for place in self._mentions[constant]:
                place.text, place.value = str(index), float(index)
        return constants
