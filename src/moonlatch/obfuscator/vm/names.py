"""What the machine's own variables are called in the Lua that is written for it; `rename_locals` gives them their final names."""

from __future__ import annotations

import re


class Names:
    """All begin with a prefix that no variable of the script begins with."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.registers = prefix + "R"
        self.upvalues = prefix + "U"
        self.node = prefix + "i"
        self.value = prefix + "v"
        self.captures = prefix + "u"
        self.natives = prefix + "N"
        self.shared = prefix + "C"
        self.iterate = prefix + "G"
        self.select = prefix + "S"
        self.argument = prefix + "A"
        self.inherit = prefix + "E"
        self.unpack = prefix + "X"
        self.enters_nan = prefix + "B"
        self.type_of = prefix + "T"
        self.release = prefix + "F"
        self.pass_on = prefix + "O"
        self.invariants = prefix + "Y"
        self.slots = prefix + "s"
        self.moved = prefix + "V"
        self.kept = prefix + "Z"

    def machine(self, number: int) -> str:
        """The function that makes closures for one interpreter: `machine(proto, captures)`."""
        return f"{self.prefix}W{number}"

    def decoder(self, number: int) -> str:
        """The function that gives a constant for where its pool has it."""
        return f"{self.prefix}D{number}"

    def parameter(self, number: int) -> str:
        """The machine's own variable for an argument that it was called with, from 1."""
        return f"{self.prefix}p{number}"

    def latch(self, kind: str, place: int) -> str:
        """A variable of one call of an interpreter, in which instructions leave something to the next ones."""
        return f"{self.prefix}t{kind}{place}"

    @property
    def any_latch(self) -> str:
        """A regular expression for each of them."""
        return rf"{re.escape(self.prefix)}t[a-z]\d"

    def local(self, number: int) -> str:
        """A variable of one operation's own."""
        return f"{self.prefix}l{number}"
