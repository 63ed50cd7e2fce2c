"""What every protecting engine takes and answers; it imports no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from moonlatch.obfuscator.diagnostics import Diagnostic, parser_output
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.spelling import Target

Setting = str | bool
"""The value of an option that a remote engine has."""


class EngineName(StrEnum):
    """Every engine there is."""

    EMBEDDED = "embedded"
    LURAPH = "luraph"


@dataclass(frozen=True, slots=True)
class Protected:
    """The finished text, pure ASCII on one line. `warnings` are for the script's author and name a line each.

    `target` is the language it is written in, which the script decides where the options leave it open.
    """

    text: str
    warnings: list[str] = field(default_factory=list)
    target: Target = Target.LUAU


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


@dataclass(frozen=True, slots=True)
class Order:
    """A text for a remote engine, which our own front end has checked and prepared, and how the customer wants it done."""

    text: bytes
    file_name: str
    api_key: str = field(repr=False)
    target: Target | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """What a remote engine made of an order, whatever it is: it is not trusted yet."""

    text: bytes
    warnings: list[str] = field(default_factory=list)


class RemoteEngine(Protocol):
    """A service elsewhere. It never raises for anything the service does or fails to do."""

    async def protect(self, order: Order, *, deadline: float) -> Received | Failure:
        """Have an order done before the deadline, which is in the event loop's time."""
        ...
