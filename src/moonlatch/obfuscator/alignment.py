"""Finds which node of one outline each node of another is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from moonlatch.obfuscator.syntax.outline import Hole

_WINDOW = 8
"""So many nodes in a row that stand once in each text are the same place in both."""
_SHORT_WINDOW = 4
"""The same for holes that are still to be found: with holes on either side there may be no more."""
_SURE = 32
"""So many nodes in a row, with what is between them, are that place also in a text that has it more than once."""


class Nodes(NamedTuple):
    """Of each node of an outline what it is, without and with what aliases of globals and marks in literals change."""

    kinds: Sequence[Hashable]
    exact: Sequence[Hashable]


@dataclass(slots=True)
class Alignment:
    """`same` has the node of theirs for each of ours that can be told, `taken` which spelling theirs has in a hole of ours: 0 or 1."""

    same: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)


def aligned(ours: Nodes, holes: Mapping[int, Hole], theirs: Nodes) -> Alignment:
    """How two outlines go together; `holes` are nodes of ours.

    Windows that stand once in each text are the same place; from there it goes on in both directions as long as both agree, and
    over a hole where theirs has either of its spellings. What theirs has more than once is the first of them, if enough agrees
    there. What is left of the holes is looked for with the nodes around it.
    """
    if not holes and ours.kinds == theirs.kinds:
        return Alignment({index: index for index in range(len(ours.kinds))})
    aligner = _Aligner(ours, holes, theirs)
    aligner.walk(ours.kinds, theirs.kinds, _WINDOW)
    if holes.keys() - aligner.found.taken.keys():
        again = _Aligner(ours, holes, theirs)
        again.walk(ours.exact, theirs.exact, _SHORT_WINDOW)
        aligner.found.taken = again.found.taken | aligner.found.taken
        aligner.look_for_holes()
    return aligner.found


class _Aligner:
    def __init__(self, ours: Nodes, holes: Mapping[int, Hole], theirs: Nodes) -> None:
        self._ours = ours
        self._holes = holes
        self._theirs = theirs
        self.found = Alignment()

    def walk(self, ours: Sequence[Hashable], theirs: Sequence[Hashable], size: int) -> None:
        """Go from the windows of that size which both have."""
        numbers: dict[Hashable, int] = {}
        mine, other = ([numbers.setdefault(node, len(numbers)) for node in nodes] for nodes in (ours, theirs))
        known, there = _windows(mine, size), _windows(other, size)
        same = self.found.same
        for window, here in known.items():
            place = there.get(window, -1)
            if here >= 0 and place >= 0 and same.get(here) != place:
                self._take(self._walked(here, place, mine, other))
        for window, here in known.items():
            place = there.get(window, 0)
            if here >= 0 and place < 0 and here not in same:
                found = self._walked(here, ~place, mine, other, is_sure=False)
                if len(found.same) + len(found.taken) >= _SURE:
                    self._take(found)

    def _take(self, found: Alignment) -> None:
        """What was found before stays."""
        for one, two in found.same.items():
            self.found.same.setdefault(one, two)
        for one, bit in found.taken.items():
            self.found.taken.setdefault(one, bit)

    def _walked(
        self, here: int, place: int, mine: Sequence[int], other: Sequence[int], *, is_sure: bool = True
    ) -> Alignment:
        """What is the same from there on in both directions, up to what is known to be there, or what is known at all unless it `is_sure`."""
        known, holes, found = self.found.same, self._holes, Alignment()
        for step in (1, -1):
            one, two = here, place
            while 0 <= one < len(mine) and 0 <= two < len(other):
                if one in holes:
                    bit, size = self._passed(one, two, step)
                    if not size:
                        break
                    found.taken[one] = bit
                    one, two = one + step, two + step * size
                    continue
                if mine[one] != other[two]:
                    break
                if one != here and (known.get(one) == two if is_sure else one in known):
                    break
                found.same[one] = two
                one, two = one + step, two + step
        return found

    def _passed(self, at: int, there: int, step: int) -> tuple[int, int]:
        """Which spelling of a hole theirs has and how many nodes it is, which begin `there` or, backwards, end there; 0 nodes where it has neither."""
        exact = self._theirs.exact
        for bit, spelling in enumerate(self._holes[at]):
            size = len(spelling)
            begin = there if step > 0 else there - size + 1
            if begin >= 0 and exact[begin : begin + size] == spelling:
                return bit, size
        return 0, 0

    def look_for_holes(self) -> None:
        """Read those that are left by a spelling and so many nodes around it as make a window, where theirs has that once and the other nowhere."""
        numbers: dict[Hashable, int] = {}

        def numbered(nodes: Sequence[Hashable]) -> list[int]:
            return [numbers.setdefault(node, len(numbers)) for node in nodes]

        ours, theirs = numbered(self._ours.exact), numbered(self._theirs.exact)
        left = self._holes.keys() - self.found.taken.keys()
        around = {at: [self._around(at, ours, numbered(spelling)) for spelling in self._holes[at]] for at in left}
        wanted = {row for both in around.values() for rows in both for row in rows}
        here, there = _counted(ours, wanted), _counted(theirs, wanted)
        for at, both in around.items():
            # What ours has elsewhere tells nothing.
            counts = [max((there[row] for row in rows if not here[row]), default=0) for rows in both]
            if sorted(counts) == [0, 1]:
                self.found.taken[at] = counts.index(1)

    def _room(self, at: int, step: int) -> int:
        """So many nodes up to a window are around a hole on one side before the next hole."""
        room = 0
        while room < _WINDOW:
            after = at + step * (room + 1)
            if after in self._holes or not 0 <= after < len(self._ours.exact):
                break
            room += 1
        return room

    def _around(self, at: int, nodes: list[int], spelling: list[int]) -> list[tuple[int, ...]]:
        """Rows of a window or more in which a hole has that spelling."""
        room = self._room(at, -1), self._room(at, 1)
        wanted = max(2, _WINDOW - len(spelling))
        rows = []
        for before in {min(wanted, room[0]), wanted // 2, max(0, wanted - room[1])}:
            after = wanted - before
            if before <= room[0] and after <= room[1]:
                rows.append((*nodes[at - before : at], *spelling, *nodes[at + 1 : at + 1 + after]))
        return rows


def _counted(nodes: list[int], wanted: set[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    """How often each of these rows is there, which are at least a window long: found by one look at each place, however many they are."""
    begun: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for row in wanted:
        begun.setdefault(row[:_WINDOW], []).append(row)
    counts: Counter[tuple[int, ...]] = Counter()
    for at, window in enumerate(zip(*(islice(nodes, start, None) for start in range(_WINDOW)), strict=False)):
        for row in begun.get(window, ()):
            if len(row) == _WINDOW or tuple(nodes[at : at + len(row)]) == row:
                counts[row] += 1
    return counts


def _windows(nodes: list[int], size: int) -> dict[tuple[int, ...], int]:
    """Where each window begins; of those that are there more than once the complement (`~`) of where the first does."""
    found: dict[tuple[int, ...], int] = {}
    for index, window in enumerate(zip(*(nodes[start:] for start in range(size)), strict=False)):
        first = found.setdefault(window, index)
        if 0 <= first != index:
            found[window] = ~first
    return found
