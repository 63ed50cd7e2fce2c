"""One script on its way through the passes: its tree, what was asked for, and everything drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.pool import ConstantPool
from moonlatch.obfuscator.scopes import Resolution
from moonlatch.obfuscator.spelling import Target


@dataclass(slots=True)
class Unit:
    """Passes change `chunk` in place; `warnings` are for the script's author and name a line.

    `resolution` is that of the chunk as the first pass found it: good for what it says about the script's own functions,
    not for renaming.
    """

    chunk: s.Chunk
    resolution: Resolution
    options: Options
    target: Target
    seed: int
    pool: ConstantPool
    warnings: list[str] = field(default_factory=list)

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one pass drawing more does not change what others draw."""
        return random.Random(f"{self.seed}/{purpose}")
