"""Ties the key streams of a build to its run key, which the loader hands over: without it they are not known.

The words are made into a table once, when a build starts, and every stream takes from it what it adds at each step. They were the
numbers of linear congruences themselves, three for each stream: from some twenty constants of known length, those followed within a minute.
In a table no cell says anything of another, and which one comes next follows from cells before it.

This is no cipher that anybody has analysed; it is as much as a script can afford at each letter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

from moonlatch.obfuscator.run_lock import KEY_BYTES, LARGEST_MODULUS, WORDS, Lock
from moonlatch.obfuscator.transform.keystream import CELLS, Keystream

FIELD = "run_key"
"""Of the table that the loader calls a build with."""
PLACE = b"(...)"
"""Where a text takes its run key, or the table that has it; the first place that reads so in a text with a lock."""
REFUSAL = "this script runs only with its own loader and key"
_LARGEST_WEIGHT = 2**13
_ROUNDS = 8
"""Before the first number of the table is taken, each word has changed so many times, and everything else with it."""
_SECOND = LARGEST_MODULUS
"""What one of the two remainders of a cell is multiplied by."""
_MULTIPLIER = 27_011
"""Of a word, each time that it changes; its product with one as large as they get is exact on every Lua."""


@dataclass
class RunWords:
    """The words of one build; `name` is the local that has them at run time, and then the table that is made of them."""

    lock: Lock
    name: str
    is_used: bool = False

    def bind(self, keystream: Keystream, generator: random.Random) -> Keystream:
        """The stream, with the table."""
        self.is_used = True
        return keystream.with_table(self.table, self.name, generator)

    @cached_property
    def table(self) -> tuple[int, ...]:
        """What `source` makes of the words of any of this build's run keys."""
        modulus = self.lock.modulus
        words = list(self.lock.residues)
        mixed, cells = 0, []
        for step in range(-_ROUNDS * WORDS, CELLS):
            at = step % WORDS
            mixed = (mixed * mixed + words[at]) % modulus
            words[at] = (words[at] * _MULTIPLIER + mixed + step) % modulus
            if step >= 0:
                cells.append(mixed * _SECOND + words[(at + 3) % WORDS])
        return tuple(cells)

    def source(self, generator: random.Random) -> str:
        """Lua that declares the table, or raises when they are of no run key of this build: garbage is not to be decoded."""
        modulus = self.lock.modulus
        sum_of_residues = 0
        while not sum_of_residues:  # or a key of zeros would do
            weights = [generator.randrange(1, _LARGEST_WEIGHT) for _ in range(WORDS)]
            pairs = zip(weights, self.lock.residues, strict=True)
            sum_of_residues = sum(weight * residue for weight, residue in pairs) % modulus
        name = self.name
        total = "+".join(f"{name}[{place}]*{weight}" for place, weight in enumerate(weights, 1))
        return (
            f"local {name}={PLACE.decode()} do local _key,_byte={name},string.byte {name}={{}} "
            f'if type(_key)=="table" then _key=_key.{FIELD} end '
            f'if type(_key)~="string" or #_key~={KEY_BYTES} then _key=string.rep("\\0",{KEY_BYTES}) end '
            f"for _place=1,{WORDS} do local _1,_2,_3,_4=_byte(_key,_place*4-3,_place*4) "
            f"{name}[_place]=((_1*256+_2)*256+_3)*256+_4 end "
            f'if ({total})%{modulus}~={sum_of_residues} then error("{REFUSAL}",0) end '
            f"local _words,_mixed={name},0 {name}={{}} for _step={-_ROUNDS * WORDS},{CELLS - 1} do local _at=_step%{WORDS}+1 "
            f"_mixed=(_mixed*_mixed+_words[_at])%{modulus} "
            f"_words[_at]=(_words[_at]*{_MULTIPLIER}+_mixed+_step)%{modulus} "
            f"if _step>=0 then {name}[_step]=_mixed*{_SECOND}+_words[(_at+2)%{WORDS}+1] end end end"
        )


def with_run_key(text: bytes, key: bytes) -> bytes:
    """A text with a lock as loaders get it that hand no run key over: with one in it."""
    literal = "".join(f"\\{byte:03d}" for byte in key)
    before, _, after = text.partition(PLACE)
    return before + f'"{literal}"'.encode("ascii") + after
