"""What protecting a script comes to: a text, an error of the script's, or one of the engine's."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from moonlatch.obfuscator.line_map import LineMap
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, hint_of, parser_output
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import Template


class Part(StrEnum):
    """How much of a function keeps its statements in a build that is compiled for a machine."""

    ALL = "all"
    """Loops probably call it."""
    LOOPS = "loops"
    NATIVE = "native"
    """All of it, and it is no bytecode: the script wants that."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A function of the source, by its line and name, `""` for none, whose speed was kept: of that part, each operation is a statement."""

    line: int
    name: str
    part: Part


@dataclass(frozen=True, slots=True)
class Protected:
    """The finished text, pure ASCII. `warnings` are for the script's author and name a line each.

    `target` is the language it is written in, which the script decides where the options leave it open. `line_map` leads
    from the text's lines to the source's; it is empty where the engine does not tell. `template` makes the copies of a text that is to have marks; it is None for any other.
    `lock` opens for the run keys of a text that needs one. `readable` are functions of a text that was compiled for a machine, by line.
    """

    text: str
    warnings: list[str] = field(default_factory=list)
    target: Target = Target.LUAU
    line_map: LineMap = field(default_factory=LineMap)
    template: Template | None = None
    lock: Lock | None = None
    readable: list[Readable] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The script is at fault: `diagnostics` has at least one entry."""

    diagnostics: list[Diagnostic]

    @property
    def parser_output(self) -> str:
        """What Luau itself would print for the script."""
        return parser_output(self.diagnostics)

    @property
    def hint(self) -> str:
        """Why the script as a whole is refused, empty where nothing is known beyond that."""
        return hint_of(self.diagnostics)


@dataclass(frozen=True, slots=True)
class EngineError:
    """One reason why an engine failed; `param` names the input it blames, None when it blames none."""

    param: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The engine is at fault, or the service behind it: the script may be fine, but there is no build."""

    errors: list[EngineError]


Outcome = Protected | Rejected | Failure
