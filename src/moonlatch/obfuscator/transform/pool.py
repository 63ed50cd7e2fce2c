"""Collects the constants that a build hides: each distinct one once, however often the script mentions it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax import tree as s


@dataclass(slots=True)
class Constant:
    """A string's bytes, or the digits of a number for `tonumber`. `mentions` are the index literals that select it."""

    text: bytes
    is_number: bool
    mentions: list[s.Number] = field(default_factory=list)


class ConstantPool:
    """Constants by first mention. Their final places are drawn by `shuffled` when all of them are known.

    `name` is the variable that holds the pool at run time; the script must not use it for anything else.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._constants: dict[tuple[bytes, bool], Constant] = {}

    def __len__(self) -> int:
        return len(self._constants)

    def mention(self, text: bytes, *, is_number: bool, line: int) -> s.Expression:
        """An expression that stands for the constant: the pool indexed with a place that is still to be drawn."""
        constant = self._constants.get((text, is_number))
        if constant is None:
            constant = self._constants[text, is_number] = Constant(text, is_number)
        # Zero until then, so that no later pass takes the index for one of the script's own numbers.
        place = s.Number("0", 0.0, line)
        constant.mentions.append(place)
        return s.Index(s.Name(self.name, line), place, line)

    def shuffled(self, generator: random.Random) -> list[Constant]:
        """The constants in the order of their places, which are written into every mention, counted from 1."""
        constants = list(self._constants.values())
        generator.shuffle(constants)
        for index, constant in enumerate(constants, 1):
            for place in constant.mentions:
                place.text, place.value = str(index), float(index)
        return constants
