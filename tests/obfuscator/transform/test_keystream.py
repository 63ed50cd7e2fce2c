"""What a key stream tells somebody who knows a text that it shifted, and not the run key that it is made of."""

from __future__ import annotations

import random
from collections import Counter

from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.transform.keystream import CELLS, FIRST, SYMBOLS, Keystream
from moonlatch.obfuscator.transform.run_words import RunWords

TEXTS = 4_000
BY_CHANCE = 2.5 / SYMBOLS
"""So often no difference comes that all are equally likely to be, in as many texts."""


def stream(seed: int) -> Keystream:
    generator = random.Random(seed)
    plain = Keystream.drawn(generator, varied=False)
    return RunWords(Lock.drawn(generator), "run").bind(plain, generator)


def shifts(keystream: Keystream, place: int, count: int) -> list[int]:
    return [ord(letter) - FIRST for letter in keystream.shifted([0] * count, keystream.start(place))]


def commonest(differences: list[int]) -> float:
    """The share of the commonest among them."""
    return Counter(difference % SYMBOLS for difference in differences).most_common(1)[0][1] / len(differences)


def test_what_a_symbol_is_shifted_by_does_not_follow_from_the_same_one_of_other_places() -> None:
    for seed in range(2):
        keystream = stream(seed)
        for symbol in range(2):
            found = [shifts(keystream, place, symbol + 1)[symbol] for place in range(TEXTS)]
            for apart in (1, 95, 251, 256):
                # Of a linear congruence all are one number, or two where the modulus comes between.
                pairs = zip(found, found[apart:], strict=False)
                assert commonest([one - other for one, other in pairs]) < BY_CHANCE, (seed, symbol, apart)


def test_every_word_of_a_run_key_changes_every_part_of_the_table() -> None:
    lock = Lock.drawn(random.Random(7))
    table = RunWords(lock, "run").table
    assert len(set(table)) == CELLS
    for place, residue in enumerate(lock.residues):
        residues = (*lock.residues[:place], residue - 1, *lock.residues[place + 1 :])
        other = RunWords(Lock(lock.modulus, residues), "run").table
        assert sum(one == another for one, another in zip(table, other, strict=True)) == 0


def test_states_are_exact_in_a_double() -> None:
    for seed in range(200):
        keystream = stream(seed)
        largest = (keystream.modulus + SYMBOLS) * keystream.factor + max(keystream.table)
        assert largest < 2**53
