"""Puts a program together: the prelude, then statements and scenes in an order of their own."""

from __future__ import annotations

import random

from support.generated.draw import Scope
from support.generated.prelude import prelude
from support.generated.scenes import SCENES
from support.generated.statements import Statements


def generated_program(generator: random.Random, *, portable: bool = False) -> str:
    """Luau source, drawn from the generator alone. `portable` programs print the same when lowered to plain Lua."""
    writer = Program(generator, portable=portable)
    scope = Scope()
    count = writer.between(2, 5)
    body = "\n".join(writer.item(scope) for _ in range(count))
    return f"{prelude(portable=portable)}shared_one, shared_two = 1, nil\n{body}\nsay(shared_one, shared_two)\n"


class Program(Statements):
    """Writes one. Scenes may turn up wherever a statement may."""

    def item(self, scope: Scope) -> str:
        if self.chance(0.3):
            return self.statement(scope, 4)
        inner = scope.function(has_varargs=True)
        body = self.scene(inner) if self.chance(0.6) else self.statements(inner, 4, self.between(2, 4))
        return f"try(function(...) {body}\nend, {self.several(scope, 1)})"

    def statement(self, scope: Scope, depth: int) -> str:
        if depth >= 2 and self.size < self.budget and self.chance(0.12):
            return f"do {self.scene(scope.inner())} end"
        return super().statement(scope, depth)

    def scene(self, scope: Scope) -> str:
        self.size += 10
        scenes = [scene for scene in SCENES if not (self.portable and scene.__name__.startswith("luau_"))]
        return self.one_of(scenes)(self, scope)
