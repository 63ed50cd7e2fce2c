"""One script on its way through the passes: its tree, what was asked for, and everything drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.diagnostics import Diagnostic
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.pool import ConstantPool
from moonlatch.obfuscator.scopes import Resolution, resolve
from moonlatch.obfuscator.spelling import Target


@dataclass(slots=True)
class Unit:
    """Passes change `chunk` in place; `warnings` are for the script's author and name a line, `diagnostics` refuse the script.

    `resolution` is that of the chunk as it was before the last pass that called `resolve_anew`: good for what it says about
    functions, not for renaming. `sealed` are functions made for this build, a decoder or an interpreter, and those that the
    script wants untouched: what is inside them is finished, and of the later passes only the one that names locals
    changes it. `native` are functions that the script wants to stay code of the target language with all that is in
    them (`LA_NO_VIRTUALIZE` and its like): a pass that compiles functions for an interpreter leaves these out.
    """

    chunk: s.Chunk
    resolution: Resolution
    options: Options
    target: Target
    seed: int
    pool: ConstantPool
    warnings: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sealed: set[s.Function] = field(default_factory=set)
    native: set[s.Function] = field(default_factory=set)

    def resolve_anew(self) -> None:
        """For a pass that declared variables, added functions or moved code between them."""
        self.resolution = resolve(self.chunk)

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one pass drawing more does not change what others draw."""
        return random.Random(f"{self.seed}/{purpose}")
