"""What a build withholds from its own text, and the run keys that give it back: eight words each, which name whom they were made for.

Pure. A word is any number that is congruent to a residue of the lock; which one of them, is the holder's.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterable
from math import comb
from typing import NamedTuple, Self

WORDS = 8
KEY_BYTES = 4 * WORDS
LARGEST_MODULUS = 2**17
"""Exclusive. A state times a word, both as large as they get, and more added is exact on every Lua, and so is what a division leaves."""
_SMALLEST_MODULUS = 2**16
_WORD_RANGE = 2**32
_KEY = struct.Struct(f">{WORDS}I")
_LOCK = struct.Struct(f">{WORDS + 1}I")


class Lock(NamedTuple):
    """A prime, and what the words of a run key leave when they are divided by it."""

    modulus: int
    residues: tuple[int, ...]

    @classmethod
    def drawn(cls, generator: random.Random) -> Lock:
        """One of a build's own. No residue is 0 or 1: a stream multiplies by them."""
        modulus = _prime(generator)
        return cls(modulus, tuple(generator.randrange(2, modulus - 1) for _ in range(WORDS)))

    def key(self, bits: bytes) -> bytes:
        """The run key whose words are the nearest to these, 32 bytes that follow from whom it is for: each by less than the modulus."""
        modulus = self.modulus
        words = [
            word - word % modulus + residue for word, residue in zip(_KEY.unpack(bits), self.residues, strict=True)
        ]
        return _KEY.pack(*(word if word < _WORD_RANGE else word - modulus for word in words))

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return _LOCK.pack(self.modulus, *self.residues)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The lock that was written so. Raises ValueError for any other bytes."""
        if len(data) != _LOCK.size:
            raise ValueError(f"a lock of {len(data)} bytes")
        modulus, *residues = _LOCK.unpack(data)
        return cls(modulus, tuple(residues))


class Owners:
    """Tells of many run keys at once how many words of one of them may have been made for somebody."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        # By place in the key, and about where the word is: so one look finds those of all keys.
        self._words: list[dict[int, list[tuple[int, int]]]] = [{} for _ in range(WORDS)]
        for number, key in enumerate(keys):
            for words, word in zip(self._words, _KEY.unpack(key), strict=True):
                about = word // LARGEST_MODULUS
                for part in (about - 1, about, about + 1):
                    words.setdefault(part, []).append((number, word))

    def words_of(self, bits: bytes) -> int:
        """How many words of one of the keys may be of whom these bits are of, whatever the build is."""
        found: dict[int, int] = {}
        for words, other in zip(self._words, _KEY.unpack(bits), strict=True):
            for number, word in words.get(other // LARGEST_MODULUS, ()):
                if -LARGEST_MODULUS < word - other < LARGEST_MODULUS:
                    found[number] = found.get(number, 0) + 1
        return max(found.values(), default=0)


_NEAR = 2 * LARGEST_MODULUS / _WORD_RANGE


def chance(words: int) -> float:
    """A bound on the probability that so many words of a run key, or more, are near to the bits of somebody else."""
    return sum(comb(WORDS, found) * _NEAR**found for found in range(words, WORDS + 1)) if words else 1.0


MOST_FOUND = 1_024
"""That are looked for in one text, in which there may be many hashes: each is compared with every key."""
_IN_HEX = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_IN_QUOTES = re.compile(rb"""\\.|"((?:[^"\\\n]|\\.)*+)"|'((?:[^'\\\n]|\\.)*+)'""", re.DOTALL)
_ONES = re.compile(rb"\\x[0-9A-Fa-f]{2}|\\[0-9]{1,3}|\\.|[^\\]", re.DOTALL)
_LETTERS = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


def found_in(text: bytes) -> list[bytes]:
    """What may be a run key in a text, without repetitions and up to so many: 64 hexadecimal digits, or a Lua literal of 32 bytes."""
    found = [bytes.fromhex(match[0].decode("ascii")) for match in _IN_HEX.finditer(text)]
    for match in _IN_QUOTES.finditer(text):
        literal = match[1] or match[2] or b""
        # What is only letters is a text of the script's.
        if KEY_BYTES <= len(literal) <= 4 * KEY_BYTES and b"\\" in literal:
            ones = _ONES.findall(literal)
            found += [bytes(map(_byte, ones))] if len(ones) == KEY_BYTES else []
    return list(dict.fromkeys(found))[:MOST_FOUND]


def _byte(spelled: bytes) -> int:
    if spelled[:1] != b"\\":
        return spelled[0]
    if spelled[1:2] == b"x":
        return bytes.fromhex(spelled[2:].decode("ascii"))[0]
    if spelled[1:].isdigit():
        return int(spelled[1:]) % 256
    return _LETTERS.get(spelled[1], spelled[1])


def _prime(generator: random.Random) -> int:
    # One in six is: to list them all would take a thousand times as long as to find one.
    while True:
        number = generator.randrange(_SMALLEST_MODULUS + 1, LARGEST_MODULUS, 2)
        if all(number % divisor for divisor in range(3, 363, 2)):
            return number
