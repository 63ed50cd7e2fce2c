"""How one interpreter keeps instructions that it has deciphered, and what it calls the one that it is at."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol


class Form(Protocol):
    """Writes Lua about instructions; a `reference` is an expression for one of them, of more than one value over time."""

    @abstractmethod
    def shared_source(self) -> str:
        """Statements that declare what all functions of the interpreter share."""

    @abstractmethod
    def call_source(self) -> str:
        """Statements at the beginning of each call."""

    @abstractmethod
    def slot(self, reference: str, number: str | int) -> str:
        """One slot of an instruction, counted from 1: an expression that can be assigned to."""

    @abstractmethod
    def new_source(self, reference: str, size: str) -> str:
        """Statements that declare the local `reference`, a new instruction of so many slots."""


class Tables:
    """Each instruction is a table, and a reference is that table."""

    def shared_source(self) -> str:
        return ""

    def call_source(self) -> str:
        return ""

    def slot(self, reference: str, number: str | int) -> str:
        return f"{reference}[{number}]"

    def new_source(self, reference: str, size: str) -> str:
        del size
        return f"local {reference}={{}} "


@dataclass(frozen=True, slots=True)
class Cells:
    """All instructions lie in one array, and a reference is the number of the first item of one."""

    array: str
    own: str
    """A call's own variable for the array."""

    def shared_source(self) -> str:
        return f"local {self.array},{self.array}_free={{}},1 "

    def call_source(self) -> str:
        return f"local {self.own}={self.array} "

    def slot(self, reference: str, number: str | int) -> str:
        if number == 1:
            return f"{self.own}[{reference}]"
        return f"{self.own}[{reference}+{number - 1 if isinstance(number, int) else f'{number}-1'}]"

    def new_source(self, reference: str, size: str) -> str:
        # Without gaps, or Lua would take it for something else than an array.
        free = f"{self.array}_free"
        return f"local {reference}={free} {free}={free}+{size} for _cell={reference},{free}-1 do {self.own}[_cell]=false end "
