"""What a remote engine takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from moonlatch.obfuscator.outcome import Failure
from moonlatch.obfuscator.target import Target

Setting = str | bool
"""The value of an option that a remote engine has."""


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
