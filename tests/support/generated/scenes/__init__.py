"""Scenes: pieces of program about one thing that is easily broken. Each is a function of a writer and a scope.

Those whose name begins with `luau_` use what the other Luas do differently by design.
"""

from __future__ import annotations

from collections.abc import Callable

from support.generated.draw import Scope
from support.generated.scenes import calls, closures, coroutines, errors, identity, loops, objects, tables, values
from support.generated.statements import Statements

Scene = Callable[[Statements, Scope], str]

SCENES: list[Scene] = [
    scene
    for module in (calls, closures, coroutines, errors, identity, loops, objects, tables, values)
    for scene in module.SCENES
]
