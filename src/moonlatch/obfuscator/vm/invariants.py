"""Numbers that a build computes when it starts and that keys are made of: they are what they are only in a text that nobody has changed.

Each rests on what the language guarantees on every host, however it compiles: how many values a list of calls has, and that two
errors raised on one line are on the same line. Whoever has calls go through a function that loses values, or gives statements
lines of their own, gets other numbers, and from then on keys that open nothing. Nothing is compared, so there is nothing to cut out but
what gives the numbers; and nothing rests on time, names or what a host has.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from moonlatch.obfuscator.vm.names import Names

_MOST_LISTS = 4
_LONGEST_LIST = 4
_LARGEST = 90
_FACTORS = 1_009, 9_973


@dataclass(frozen=True, slots=True)
class Invariants:
    """`values` are those of `names.invariants`, from 1; `source` declares it, after `names.select`, on a line of its own."""

    values: tuple[int, ...]
    source: str
    name: str

    @classmethod
    def drawn(cls, names: Names, generator: random.Random) -> Invariants:
        """Some of each kind, in no particular order."""
        counted = [_counted(names, generator, with_nils=with_nils) for with_nils in (False, True)]
        first, second = generator.sample(range(1, _LARGEST), 2)
        kinds = [*counted, ("_seen[_first]", second)]
        generator.shuffle(kinds)
        texts = ",".join(text for text, _ in kinds)
        # Neither what a host has put in the place of `error`, nor a variable's name, has a part in this message.
        raised = "pcall(function() return -{} end)"
        source = (
            f"local {names.invariants} do local function _all(...) return ... end local _,_first={raised} "
            f"local _,_second={raised} local _seen={{}} _seen[_first]={first} _seen[_second]={second} "
            f"{names.invariants}={{{texts}}} end "
        )
        return cls(tuple(value for _, value in kinds), source, names.invariants)

    def chosen(self, generator: random.Random) -> tuple[str, int]:
        """Lua for one of the numbers, and the number."""
        place = generator.randrange(len(self.values))
        return f"{self.name}[{place + 1}]", self.values[place]

    def sum(self, generator: random.Random) -> tuple[str, int]:
        """Lua for a sum that all of them are in, and the sum."""
        factors = [generator.randrange(*_FACTORS) for _ in self.values]
        text = "+".join(f"{self.name}[{place}]*{factor}" for place, factor in enumerate(factors, 1))
        return text, sum(value * factor for value, factor in zip(self.values, factors, strict=True))


def _counted(names: Names, generator: random.Random, *, with_nils: bool) -> tuple[str, int]:
    """How many values several lists are, of which only the last one has all of its own, and none that is in parentheses."""
    sizes = [generator.randint(2, _LONGEST_LIST) for _ in range(generator.randint(2, _MOST_LISTS))]
    # Nils at the end count, which is what is often lost; a table's length is certain where nothing in it is nil.
    texts = [f"_all({','.join(['nil' if with_nils else '1'] * size)})" for size in sizes]
    cut = generator.randrange(len(sizes) - 1)
    texts[cut] = f"({texts[cut]})"
    joined = ",".join(texts)
    return f'{names.select}("#",{joined})' if with_nils else f"#{{{joined}}}", len(sizes) - 1 + sizes[-1]
