"""Knows the limits of the real compilers and which functions still have room for one more variable from outside."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.scopes import Frame, Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.target import Target

# Lua 5.1 and LuaJIT allow 60 upvalues, Luau 200.
MAX_UPVALUES = {Target.LUAU: 200, Target.LUA51: 60}
# All allow 200 locals; registers end at 250 (Lua 5.1) and 255 (Luau). Both are left some slack.
_MAX_LOCALS = 190
_MAX_PEAK = 225
_ALLOWED_LOCALS = 200


class Capacity:
    """Answers for one target, from the scopes as they were resolved."""

    def __init__(self, resolution: Resolution, target: Target) -> None:
        limit = MAX_UPVALUES[target]
        roomy: set[s.Function | None] = set()
        self._fixed: set[s.Binding] = set()
        # A frame comes after its parent, which must hand the variable down.
        for frame in resolution.frames:
            handed_down = frame.parent is None or frame.parent.node in roomy
            if handed_down and len(frame.upvalues) < limit:
                roomy.add(frame.node)
            else:
                self._fixed.update(symbol.binding for symbol in frame.upvalues)
        if _cannot_move(resolution.main, target):
            roomy.clear()
        crowded = {f.node for f in resolution.frames if f.peak > _MAX_PEAK or f.max_locals > _ALLOWED_LOCALS}
        self._with_room = roomy - crowded
        self._spare = {f.node: min(_MAX_LOCALS - f.max_locals, _MAX_PEAK - f.peak) for f in resolution.frames}

    def has_room(self, function: s.Function | None) -> bool:
        """True when the body of `function` (None: of the chunk) can use one more upvalue and two more registers."""
        return function in self._with_room

    def spare_locals(self, function: s.Function | None) -> int:
        """How many more locals that function can hold anywhere in its body; not more than zero when it is full."""
        return self._spare[function]

    def needs_constant(self, statement: s.Local) -> bool:
        """True when a function compiles only because Luau folds the local's constant value and keeps no variable for it."""
        return not self._fixed.isdisjoint(statement.bindings)


def needs_own_function(main: Frame) -> bool:
    """True when the chunk's own code has no room for another local and has to move into a function."""
    return main.max_locals > _MAX_LOCALS or main.peak > _MAX_PEAK


def _cannot_move(main: Frame, target: Target) -> bool:
    """True when the chunk's code has no room in a function either: one with `...` has a hidden local in Lua 5.1."""
    return target is Target.LUA51 and main.uses_varargs and main.max_locals >= _ALLOWED_LOCALS
