"""One script on its way through the passes: its tree, what was asked for, and everything drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from moonlatch.obfuscator.analysis.hot_functions import hot_functions
from moonlatch.obfuscator.analysis.scopes import Resolution, resolve
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Part
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.pool import ConstantPool
from moonlatch.obfuscator.transform.run_words import RunWords
from moonlatch.obfuscator.transform.two_spellings import Marks
from moonlatch.obfuscator.transform.witness import Witness


@dataclass(slots=True)
class Unit:
    """Passes change `chunk` in place; `warnings` are for the script's author and name a line, `diagnostics` refuse the script.

    `resolution` is that of the chunk as it was when it was first asked for after the last call of `resolve_anew`: good for
    what it says about functions, not for renaming. `sealed` are functions made for this build, a decoder or an interpreter, and those that the
    script wants untouched: what is inside them is finished, and of the later passes only the one that names locals
    changes it. `native` are functions that the script wants to stay code of the target language with all that is in
    them (`LA_NO_VIRTUALIZE` and its like): a pass that compiles functions for an interpreter leaves these out.
    `shared` are the functions of the source of which Luau makes one closure for all times.
    `changes_environment` says that the script may give a running function another environment, so that a global means
    another variable in one function than in another.
    `marks` knows the texts of a build whose copies are to differ; None for a build that all copies of are the same.
    `run` has the words that a build's streams are made of where it needs a run key; None for any other build.
    `readable` are the functions that a machine's operations show, None being the chunk.
    `machines` are loops that a pass wrote in place of straight code: what is in them runs no more often than before.
    """

    chunk: s.Chunk
    _resolution: Resolution | None
    options: Options
    target: Target
    seed: int
    pool: ConstantPool
    warnings: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sealed: set[s.Function] = field(default_factory=set)
    native: set[s.Function] = field(default_factory=set)
    shared: set[s.Function] = field(default_factory=set)
    changes_environment: bool = False
    machines: set[s.While] = field(default_factory=set)
    witness: Witness | None = None
    marks: Marks | None = None
    run: RunWords | None = None
    readable: dict[s.Function | None, Part] = field(default_factory=dict)
    _hot: set[s.Function] | None = None
    _prefix: str = ""
    _made: int = 0

    @property
    def resolution(self) -> Resolution:
        if self._resolution is None:
            self._resolution = resolve(self.chunk)
        return self._resolution

    def resolve_anew(self) -> None:
        """For a pass that declared variables, added functions or moved code between them; done when it is next needed."""
        self._resolution = None

    @property
    def hot(self) -> set[s.Function]:
        """The functions that probably run often, as it looked when a pass first asked."""
        if self._hot is None:
            self._hot = hot_functions(self.chunk, self.resolution, self.sealed)
        return self._hot

    def make_names_unique(self) -> None:
        """Gives every local a name that nothing else has, so that code can move without meaning another variable."""
        if self._prefix:
            return
        resolution = self.resolution
        self._prefix = resolution.fresh_name("v")
        for binding, symbol in resolution.symbols.items():
            if symbol.is_exported:
                continue
            binding.name = self._fresh()
            for reference in symbol.references:
                reference.name = binding.name
        for method in resolution.methods:
            method.is_method = False

    def new_binding(self, line: int) -> s.Binding:
        """A variable that is still to be declared, with a name of its own."""
        self.make_names_unique()
        return s.Binding(self._fresh(), line)

    def need_witness(self) -> Witness:
        """The script's witness, declared at its top by the first pass that asks for it."""
        if self.witness is None:
            self.witness = Witness.drawn(self.new_binding(self.chunk.body.line), self.random("witness"))
            self.chunk.body.body.insert(0, self.witness.declaration())
        return self.witness

    def _fresh(self) -> str:
        self._made += 1
        return f"{self._prefix}{self._made}"

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one pass drawing more does not change what others draw."""
        return random.Random(f"{self.seed}/{purpose}")
