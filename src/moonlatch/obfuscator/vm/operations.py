"""Makes one interpreter's instruction set: an operation per instruction text, its number, its place in the decision tree.

Operands are stored in an order of the operation's own, and some constants that were kept as they are get hidden too.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, REGISTER
from moonlatch.obfuscator.vm.linking import Linked

_HOLES = re.compile(f"[{HOLE}{HIDDEN}{REGISTER}]")
_HEAVIEST = 2**14
_LARGEST_GAP = 7
SHARE_HIDDEN = 0.3
"""Of the constants of cold code that an instruction could have as they are."""
RESERVED_SLOTS = 2
"""Of every instruction: its operation and the instruction that follows."""


@dataclass(slots=True, eq=False)
class Operation:
    """`slots` has each operand's place in an instruction, `decoders` the decoder of each hidden constant, by operand."""

    text: str
    lines: tuple[int, ...] = ()
    """The source's line of each line of the text."""
    uses: list[Linked] = field(default_factory=list)
    number: int = 0
    slots: list[int] = field(default_factory=list)
    decoders: dict[int, int] = field(default_factory=dict)
    runs_at_least: int = 0

    @property
    def weight(self) -> int:
        return min(_HEAVIEST, self.runs_at_least + sum(use.weight for use in self.uses))


@dataclass(slots=True, eq=False)
class Fork:
    """One decision: operations numbered below `number` are on the left."""

    left: Fork | Operation
    right: Fork | Operation
    number: int = 0
    weight: int = 0


class InstructionSet:
    """The operations of one interpreter.

    `operation_slot` and `following_slot` are the same for all its instructions. `deciphering` is the operation of one that was
    not reached yet: every number from its own on.
    """

    def __init__(self, functions: Iterable[list[Linked]], decoders: int, generator: random.Random) -> None:
        self._generator = generator
        self.operation_slot, self.following_slot = generator.sample([1, 2], RESERVED_SLOTS)
        by_text: dict[tuple[str, tuple[int, ...]], Operation] = {}
        for function in functions:
            for one in function:
                by_text.setdefault((one.text, one.lines), Operation(one.text, one.lines)).uses.append(one)
        self.operations = list(by_text.values())
        self.of: dict[Linked, Operation] = {}
        for operation in self.operations:
            self._lay_out(operation, decoders)
            for use in operation.uses:
                self.of[use] = operation
        self.deciphering = Operation("", runs_at_least=len(self.of))
        self.tree = self._grown()
        self._number()

    def _lay_out(self, operation: Operation, decoders: int) -> None:
        generator = self._generator
        holes = _HOLES.findall(operation.text)
        taken = {self.operation_slot, self.following_slot}
        slots = [slot for slot in range(1, len(holes) + RESERVED_SLOTS + 1) if slot not in taken]
        generator.shuffle(slots)
        operation.slots = slots
        is_cold = all(use.weight == 1 for use in operation.uses)
        for place, hole in enumerate(holes):
            may_hide = is_cold and all(isinstance(use.operands[place], Constant) for use in operation.uses)
            if hole == HIDDEN or (may_hide and generator.random() < SHARE_HIDDEN):
                operation.decoders[place] = generator.randrange(decoders)

    def _grown(self) -> Fork | Operation:
        """The tree with the fewest decisions on average, its sides in no particular order."""
        ties = count()
        self._generator.shuffle(self.operations)
        heap: list[tuple[int, int, Fork | Operation]] = [
            (operation.weight, next(ties), operation) for operation in [*self.operations, self.deciphering]
        ]
        heapq.heapify(heap)
        last: Fork | Operation = self.deciphering
        while len(heap) > 1:
            one_weight, _, one = heapq.heappop(heap)
            other_weight, _, other = heapq.heappop(heap)
            is_other_last = other is last or (one is not last and self._generator.random() < 0.5)
            left, right = (one, other) if is_other_last else (other, one)
            fork = Fork(left, right, weight=one_weight + other_weight)
            if last in (one, other):
                last = fork
            heapq.heappush(heap, (one_weight + other_weight, next(ties), fork))
        return heap[0][2]

    def _number(self) -> None:
        """Numbers grow from left to right, with gaps."""
        number = self._generator.randrange(_LARGEST_GAP)
        pending: list[Fork | Operation | tuple[Fork]] = [self.tree]
        while pending:
            one = pending.pop()
            if isinstance(one, Operation):
                one.number = number
                number += 1 + self._generator.randrange(_LARGEST_GAP)
            elif isinstance(one, Fork):
                pending += [one.right, (one,), one.left]
            else:
                one[0].number = number


def fill(operation: Operation, slot: Callable[[int], str], decoder_names: list[str]) -> str:
    """The operation's text with every operand in place; `slot` gives Lua for one slot of the instruction."""
    place = -1

    def operand(_: re.Match[str]) -> str:
        nonlocal place
        place += 1
        stored = slot(operation.slots[place])
        decoder = operation.decoders.get(place)
        return stored if decoder is None else f"{decoder_names[decoder]}({stored})"

    # Nothing comes before it here that a parenthesis could belong to.
    return _HOLES.sub(operand, operation.text.removeprefix(";"))
