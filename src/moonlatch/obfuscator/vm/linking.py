"""Turns a function's code into instructions that know what comes next, and joins neighbours into larger ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moonlatch.obfuscator.vm.code import LINE, Instruction, Item, Jump, Label, Operand, TwoLabels

_LONGEST_JOINED = 900
_MOST_OPERANDS = 80
_ROUNDS_FOR_COLD_CODE = 3
_LEAST_PAIRS = 3


@dataclass(frozen=True, slots=True)
class TwoLinked:
    """Two instructions of which a copy goes to one."""

    first: Linked
    second: Linked
    choice: int


@dataclass(slots=True, eq=False)
class Linked:
    """An instruction and where it goes: `following` is None for one that sets the next instruction itself, or returns.

    Labels among the operands have become the instructions they stand for.
    """

    text: str
    operands: list[Stored]
    weight: int
    following: Linked | None = None
    lines: tuple[int, ...] = ()
    """The source's lines of the text's lines that something may be raised on; there are as many breaks in the text as that, less one."""


Stored = Operand | Linked | TwoLinked


def link(code: Sequence[Item]) -> list[Linked]:
    """The instructions that can be reached, the first one first."""
    return _Linker(code).run()


class _Linker:
    def __init__(self, code: Sequence[Item]) -> None:
        self._code = code
        self._places = {item: place for place, item in enumerate(code)}
        self._linked: dict[Instruction, Linked] = {}
        self._waiting: list[Instruction] = []
        self._pauses: dict[Item, Linked] = {}

    def run(self) -> list[Linked]:
        self._at(0)
        # The list grows while it is worked through.
        for instruction in self._waiting:
            result = self._linked[instruction]
            result.operands = [self._operand(operand) for operand in instruction.operands]
            if instruction.falls_through:
                result.following = self._at(self._places[instruction] + 1)
        return [*self._linked.values(), *self._pauses.values()]

    def _operand(self, operand: Operand) -> Stored:
        if isinstance(operand, Label):
            return self._at(self._places[operand])
        if isinstance(operand, TwoLabels):
            first, second = (self._at(self._places[label]) for label in (operand.first, operand.second))
            return TwoLinked(first, second, operand.choice)
        return operand

    def _at(self, place: int) -> Linked:
        """The instruction that runs when control is at that place."""
        seen: set[Item] = set()
        while not isinstance(item := self._code[place], Instruction):
            if item in seen:
                return self._pause(item)
            seen.add(item)
            place = self._places[item.target] if isinstance(item, Jump) else place + 1
        known = self._linked.get(item)
        if known is None:
            known = self._linked[item] = Linked(item.text, [], item.weight)
            self._waiting.append(item)
        return known

    def _pause(self, item: Item) -> Linked:
        """An instruction for jumps that lead nowhere but to themselves: a loop that does nothing for ever."""
        pause = self._pauses.get(item)
        if pause is None:
            pause = self._pauses[item] = Linked("", [], 1)
            pause.following = pause
        return pause


def join(functions: Sequence[list[Linked]]) -> list[list[Linked]]:
    """Joins an instruction with the one that always follows it: all of them in loops, frequent pairs elsewhere."""
    functions = [_joined(function, None) for function in functions]
    for _ in range(_ROUNDS_FOR_COLD_CODE):
        pairs = Counter(
            (one.text, one.following.text) for function in functions for one in function if one.following is not None
        )
        frequent = {pair for pair, count in pairs.items() if count >= _LEAST_PAIRS}
        functions = [_joined(function, frequent) for function in functions]
    return functions


def _joined(function: list[Linked], frequent: set[tuple[str, str]] | None) -> list[Linked]:
    sources = Counter(_targets(function))
    gone: set[Linked] = set()
    for one in function:
        if one in gone:
            continue
        while (after := one.following) is not None and after is not one and after is not function[0]:
            if sources[after] != 1 or after in gone:
                break
            is_wanted = one.weight > 1 if frequent is None else (one.text, after.text) in frequent
            if not is_wanted or _length(one) + _length(after) > _LONGEST_JOINED:
                break
            if _stored(one) + _stored(after) > _MOST_OPERANDS:
                break
            one.text = f"{one.text} {after.text}" if one.text else after.text
            one.operands += after.operands
            one.weight = max(one.weight, after.weight)
            one.following = after.following
            gone.add(after)
            if frequent is not None:
                break
    return [one for one in function if one not in gone]


def _length(one: Linked) -> int:
    return len(one.text) - one.text.count(LINE)


def _stored(one: Linked) -> int:
    """How many operands the instruction keeps."""
    return len(one.operands) - one.text.count(LINE)


def _targets(function: Iterable[Linked]) -> Iterable[Linked]:
    for one in function:
        if one.following is not None:
            yield one.following
        for operand in one.operands:
            if isinstance(operand, Linked):
                yield operand
            elif isinstance(operand, TwoLinked):
                yield from (operand.first, operand.second)


def arrange(function: list[Linked], generator: random.Random) -> list[Linked]:
    """An order of its own for the instructions: runs that follow each other stay together, the runs are shuffled.

    What follows may be another function's, and stays there.
    """
    first, *others = function
    runs: list[list[Linked]] = []
    here, placed = set(function), set[Linked]()
    for one in [first, *others]:
        run: list[Linked] = []
        current: Linked | None = one
        while current in here and current not in placed:
            placed.add(current)
            run.append(current)
            current = current.following
        if run:
            runs.append(run)
    head, *tail = runs
    generator.shuffle(tail)
    return [one for run in [head, *tail] for one in run]
