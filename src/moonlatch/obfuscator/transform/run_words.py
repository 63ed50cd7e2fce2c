"""Ties the key streams of a build to its run key, which the loader hands over: without it they are not known.

What a word is congruent to appears nowhere: streams reckon with the words as they come, and only sums of them are reduced.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from moonlatch.obfuscator.run_lock import KEY_BYTES, WORDS, Lock
from moonlatch.obfuscator.transform.keystream import FACTOR, OFFSET, STEP, Keystream

FIELD = "run_key"
"""Of the table that the loader calls a build with."""
PLACE = b"(...)"
"""Where a text takes its run key, or the table that has it; the first place that reads so in a text with a lock."""
REFUSAL = "this script runs only with its own loader and key"
_LARGEST_WEIGHT = 2**13


@dataclass(slots=True)
class RunWords:
    """The words of one build; `name` is the local that has them at run time, a list."""

    lock: Lock
    name: str
    is_used: bool = False

    def bind(self, keystream: Keystream, generator: random.Random) -> Keystream:
        """The stream, made of three of the words."""
        self.is_used = True
        factor, step, offset = generator.sample(range(WORDS), 3)
        residues = self.lock.residues
        words = ",".join(f"{self.name}[{place + 1}]" for place in (factor, step, offset))
        return replace(
            keystream,
            modulus=self.lock.modulus,
            factor=residues[factor],
            step=residues[step],
            offset=residues[offset],
            words=f"local {FACTOR},{STEP},{OFFSET}={words}",
        )

    def source(self, generator: random.Random) -> str:
        """Lua that declares the words, or raises when they are of no run key of this build: garbage is not to be decoded."""
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
            f'if ({total})%{modulus}~={sum_of_residues} then error("{REFUSAL}",0) end end'
        )


def with_run_key(text: bytes, key: bytes) -> bytes:
    """A text with a lock as loaders get it that hand no run key over: with one in it."""
    literal = "".join(f"\\{byte:03d}" for byte in key)
    before, _, after = text.partition(PLACE)
    return before + f'"{literal}"'.encode("ascii") + after
