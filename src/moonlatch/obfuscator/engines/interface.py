"""What every protecting engine takes and answers; it imports no engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from moonlatch.obfuscator.diagnostics import Diagnostic, parser_output
from moonlatch.obfuscator.options import Options


class EngineName(StrEnum):
    """Every engine there is."""

    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Protected:
    """The finished text, pure ASCII on one line. `warnings` are for the script's author and name a line each."""

    text: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The script is at fault: `diagnostics` has at least one entry."""

    diagnostics: list[Diagnostic]

    @property
    def parser_output(self) -> str:
        """What Luau itself would print for the script."""
        return parser_output(self.diagnostics)


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


class Engine(Protocol):
    """Protects one script. Same source, options and seed give the same text where the engine is deterministic."""

    def protect(self, source: bytes, options: Options, seed: int) -> Outcome: ...
