"""Keeps count of what passes add to functions: captured variables and locals, within the limits of the real compilers."""

from __future__ import annotations

from collections.abc import Iterable

from moonlatch.obfuscator.analysis.capacity import MAX_UPVALUES, Capacity
from moonlatch.obfuscator.analysis.scopes import Frame
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.transform.unit import Unit

# Later passes capture the decoders of constants and the witness.
_RESERVED_UPVALUES = 10


class Rooms:
    """As the unit's names were last resolved, less what was taken since. Functions are keys; None is the chunk."""

    def __init__(self, unit: Unit, reserved_upvalues: int = _RESERVED_UPVALUES) -> None:
        capacity = Capacity(unit.resolution, unit.target)
        self.frames: dict[s.Function | None, Frame] = {frame.node: frame for frame in unit.resolution.frames}
        most = MAX_UPVALUES[unit.target] - reserved_upvalues
        self._upvalues = {frame.node: most - len(frame.upvalues) for frame in unit.resolution.frames}
        self._locals = {frame.node: capacity.spare_locals(frame.node) for frame in unit.resolution.frames}
        self._crowded = {f.node for f in unit.resolution.frames if not capacity.has_room(f.node)}

    def is_crowded(self, function: s.Function | None) -> bool:
        return function in self._crowded

    def spare_locals(self, function: s.Function | None) -> int:
        return self._locals[function]

    def take_locals(self, function: s.Function | None, count: int) -> None:
        self._locals[function] -= count

    def spare_upvalues(self, function: s.Function | None, owner: s.Function | None) -> int:
        """How many variables of `owner` the function can still capture, through every function between the two."""
        return min((self._upvalues[one] for one in self.path(function, owner)), default=MAX_UPVALUES_OF_OWN)

    def take_upvalues(self, functions: Iterable[s.Function | None], owner: s.Function | None) -> None:
        """One variable of `owner` that is captured by those functions and the ones between."""
        for function in {step for one in functions for step in self.path(one, owner)}:
            self._upvalues[function] -= 1

    def path(self, function: s.Function | None, owner: s.Function | None) -> list[s.Function | None]:
        """The function and those around it, up to `owner`, which is not one of them."""
        steps: list[s.Function | None] = []
        frame: Frame | None = self.frames[function]
        while frame is not None and frame.node is not owner:
            steps.append(frame.node)
            frame = frame.parent
        return steps


class Capturing:
    """The functions that capture one variable of the chunk, where they have room for it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._functions: set[s.Function | None] = {None}

    def admits(self, function: s.Function | None) -> bool:
        """False when there is no room; otherwise the function captures it from now on, and those around it do."""
        if function not in self._functions:
            if self._rooms.is_crowded(function) or self._rooms.spare_upvalues(function, None) < 1:
                return False
            self._rooms.take_upvalues([function], None)
            self._functions.update(self._rooms.path(function, None))
        return True


MAX_UPVALUES_OF_OWN = 10_000
"""What `spare_upvalues` answers for a variable of the function's own, which is not an upvalue."""
