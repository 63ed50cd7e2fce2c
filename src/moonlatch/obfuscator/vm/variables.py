"""Where the machine keeps each variable of the script: in a register, in a cell that closures share, or among a function's captures."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.obfuscator.analysis.scopes import Frame, Resolution, Symbol
from moonlatch.obfuscator.syntax import tree as s


@dataclass(slots=True)
class Variables:
    """Answers from the names as they were resolved.

    A variable that is captured and assigned lives in a cell, a table whose first item is its value; one that is captured
    and keeps its first value is copied into each closure, as Luau does.
    """

    resolution: Resolution
    frames: dict[s.Function | None, Frame]

    @classmethod
    def of(cls, resolution: Resolution) -> Variables:
        return cls(resolution, {frame.node: frame for frame in resolution.frames})

    def symbol(self, binding: s.Binding) -> Symbol:
        return self.resolution.symbols[binding]

    def is_cell(self, binding: s.Binding) -> bool:
        symbol = self.resolution.symbols[binding]
        return symbol.is_captured and symbol.is_assigned

    def captures(self, function: s.Function | None) -> list[s.Binding]:
        """What a function captures, in an order of its own that every closure of it has."""
        symbols = sorted(self.frames[function].upvalues, key=lambda symbol: symbol.declared)
        return [symbol.binding for symbol in symbols]
