"""A function as instructions for the virtual machine, before they have numbers: text with holes, operands, and what comes next.

An instruction's text is Lua in which each operand has a hole. Instructions with the same text are one operation of the
machine, so that operations fit the script they are made for. Nothing here knows how operations are numbered or stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.transform.pool import Constant

HOLE = "\1"
"""Where an operand goes that is used as it is stored."""
HIDDEN = "\2"
"""Where a constant goes that only its decoder knows: the operand is a place in that decoder's pool."""
REGISTER = "\4"
"""Where the operand is the number of a register."""
LINE = "\3"
"""Where the operand is the line of the source that what follows stands on; nothing is stored for it."""


MOST_PARAMETERS = 5
"""How many a machine without `...` takes."""


@dataclass(slots=True, eq=False)
class Label:
    """A place in the code that can be jumped to."""


@dataclass(frozen=True, slots=True)
class ConstantList:
    """Constants that one operand holds as an array."""

    items: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the source, `NO_LINE` for none."""

    number: int


@dataclass(slots=True, eq=False)
class Proto:
    """One compiled function, or the chunk itself when `function` is None. `machine` says which interpreter runs it."""

    function: s.Function | None
    parameters: int
    is_vararg: bool
    code: list[Item] = field(default_factory=list)
    machine: int = 0
    registers: int = 0
    """How many it has."""
    moves: bool = False
    """Its calls have their registers in different slots."""

    @property
    def takes_any_number(self) -> bool:
        """Needs a machine that takes `...`; the others take a few parameters, which is quicker."""
        return self.is_vararg or self.parameters > MOST_PARAMETERS


@dataclass(frozen=True, slots=True)
class TwoLabels:
    """Where a copy goes that takes the first spelling of that choice, and where any other does."""

    first: Label
    second: Label
    choice: int


Operand = int | Label | TwoLabels | Constant | ConstantList | Proto | SourceLine
"""A plain int is a register or a small number."""


@dataclass(slots=True, eq=False)
class Instruction:
    """`weight` is a guess at how often it runs. One that does not fall through sets the next instruction itself, or returns."""

    text: str
    operands: list[Operand]
    weight: int
    falls_through: bool = True


@dataclass(slots=True, eq=False)
class Jump:
    """Goes to a label; it costs nothing at run time, because the instruction before it leads there directly."""

    target: Label


Item = Instruction | Label | Jump
