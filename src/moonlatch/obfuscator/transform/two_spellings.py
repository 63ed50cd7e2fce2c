"""Texts of a build in which some symbols may be others and mean the same: each such place can hold a bit of a copy's mark.

What is enciphered of a letter is its byte modulo 256, so that two symbols, which have room for more, say the same with a multiple
of 256 added. Decoders know nothing of it, and it costs nothing while a script runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from moonlatch.obfuscator.transform.keystream import Keystream

PAIR = 2
_WANTED_PAIRS = 1_024
"""In one text; of a short one every letter becomes a pair of symbols."""
_MULTIPLES = range(8)

SpellPair = Callable[[int], tuple[int, ...] | None]
"""The two symbols that stand for a number, or None where it takes one, or more."""


class Span(NamedTuple):
    """Where a place begins, and where it ends. `choice` is the number of the script's choice that is made there, 0 for none."""

    start: int
    end: int
    choice: int = 0

    def moved(self, by: int) -> Span:
        """The same further back."""
        return Span(self.start + by, self.end + by, self.choice)


class Symbols(NamedTuple):
    """Symbols, others that mean the same, and the places in which the two differ."""

    first: list[int]
    second: list[int]
    places: Sequence[Span] = ()

    @classmethod
    def plain(cls, symbols: list[int]) -> Symbols:
        """Symbols that nothing else stands for."""
        return cls(symbols, symbols)


class MarkedText(NamedTuple):
    """The other spelling of a text, and the places that may be either."""

    second: bytes
    places: list[Span]


@dataclass(slots=True)
class TwoTexts:
    """A text and its other spelling, put together from pieces."""

    _first: list[str] = field(default_factory=list)
    _second: list[str] = field(default_factory=list)
    _places: list[Span] = field(default_factory=list)
    length: int = 0

    def append(self, symbols: Symbols, keystream: Keystream, state: int) -> int:
        """Append symbols as the keystream shifts them from that state on; gives their number."""
        first = keystream.shifted(symbols.first, state)
        self._second.append(keystream.shifted(symbols.second, state) if symbols.places else first)
        self._places += [span.moved(self.length) for span in symbols.places]
        self.append_plain(first)
        return len(first)

    def append_plain(self, text: str) -> None:
        """Append what is the same in both."""
        self._first.append(text)
        if len(self._second) < len(self._first):
            self._second.append(text)
        self.length += len(text)

    def finished(self, marks: Marks | None) -> str:
        """The text; `marks` learns of the other."""
        first = "".join(self._first)
        if marks is not None and self._places:
            marks.texts[first.encode("ascii")] = MarkedText("".join(self._second).encode("ascii"), self._places)
        return first


class Marks:
    """The texts of one build that have two spellings, and what decides which letters become pairs."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator
        self.texts: dict[bytes, MarkedText] = {}

    def share(self, letters: int) -> float:
        """Of the letters of a text that has so many, those that become pairs though one symbol would do."""
        return min(1.0, _WANTED_PAIRS / max(letters, 1))

    def pair(self, value: int, spell: SpellPair) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Two spellings of a byte as pairs, None where there are none."""
        found = [pair for multiple in _MULTIPLES if (pair := spell(value + 256 * multiple)) is not None]
        if len(found) < PAIR:
            return None
        one, other = self._generator.sample(found, 2)
        return one, other

    def is_chosen(self, share: float) -> bool:
        """Whether a letter that needs one symbol becomes a pair."""
        return self._generator.random() < share


def spelled_twice(
    values: Sequence[int], spell: Callable[[int], Sequence[int]], pair: SpellPair, marks: Marks, share: float
) -> Symbols:
    """Bytes as symbols, with those pairs that `marks` chooses."""
    symbols = Symbols([], [], places := [])
    for value in values:
        plain = spell(value)
        both = marks.pair(value, pair) if len(plain) > 1 or marks.is_chosen(share) else None
        if both is None:
            symbols.first.extend(plain)
            symbols.second.extend(plain)
            continue
        places.append(Span(len(symbols.first), len(symbols.first) + PAIR))
        symbols.first.extend(both[0])
        symbols.second.extend(both[1])
    return symbols
