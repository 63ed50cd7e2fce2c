"""The random choices behind a generated program, and what is in scope at the place that is being written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

Choice = TypeVar("Choice")

KINDS = ["number", "string", "boolean", "list", "record", "function", "any"]
# Words that are names here and keywords elsewhere are among them, and so are names of builtins.
NAMES = [
    *["a", "b", "c", "d", "e", "alpha", "beta", "gamma_ray", "self", "value", "index_of_things"],
    *["type", "continue", "export", "typeof", "const_", "_", "_G_", "i", "j", "k", "print_", "string_"],
]
SMALL_PROGRAM = 90


@dataclass(frozen=True)
class Variable:
    name: str
    kind: str
    is_constant: bool = False


@dataclass
class Scope:
    """`loop` says which jumps the innermost loop allows here: `none`, `break`, or `any` for `continue` as well."""

    variables: list[Variable] = field(default_factory=list)
    loop: str = "none"
    in_function: bool = False
    has_varargs: bool = True
    can_yield: bool = False

    def inner(self, **changes: object) -> Scope:
        return replace(self, variables=list(self.variables), **changes)

    def function(self, *, has_varargs: bool, can_yield: bool = False) -> Scope:
        return self.inner(loop="none", in_function=True, has_varargs=has_varargs, can_yield=can_yield)

    def declare(self, name: str, kind: str, *, is_constant: bool = False) -> str:
        self.variables.append(Variable(name, kind, is_constant))
        return name

    def visible(self, kind: str, *, writable: bool = False) -> list[str]:
        latest = {variable.name: variable for variable in self.variables}
        return [
            variable.name
            for variable in latest.values()
            if variable.kind == kind and not (writable and variable.is_constant)
        ]


class Draw:
    """Chooses. `portable` programs leave out what differs between Luau and the other Luas by design."""

    def __init__(self, generator: random.Random, *, portable: bool) -> None:
        self.generator = generator
        self.portable = portable
        self.size = 0
        self.budget = generator.choice([SMALL_PROGRAM, 2 * SMALL_PROGRAM, 4 * SMALL_PROGRAM])
        self.trace_rate = generator.choice([0.0, 0.1, 0.4])
        self.type_rate = generator.choice([0.0, 0.0, 0.3])
        self.serial = 0

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        return self.generator.choice(choices)

    def pick(self, *choices: str) -> str:
        return self.generator.choice(choices)

    def chance(self, rate: float) -> bool:
        return self.generator.random() < rate

    def between(self, low: int, high: int) -> int:
        return self.generator.randint(low, high)

    def number_for(self) -> int:
        self.serial += 1
        return self.serial

    def fresh(self, stem: str) -> str:
        """A name that nothing else in the program has."""
        return f"{stem}{self.number_for()}"

    def name(self) -> str:
        return self.one_of(NAMES)

    def is_spent(self, depth: int) -> bool:
        self.size += 1
        return depth <= 0 or self.size > self.budget
