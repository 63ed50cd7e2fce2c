"""Takes instructions of cold code apart, so that an operation's text is no statement of the script with its operands.

Such an instruction becomes one that fills latches, variables that the interpreter has in each call, and one that works on latches alone.
That one is there once for the whole interpreter: where it goes on is in a latch, too, and its operation does what several would, of which
a latch chooses one. What a number in a latch is follows from the latches before it and from the build's invariants.
"""

from __future__ import annotations

import random
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, LINE, REGISTER
from moonlatch.obfuscator.vm.encoding import Pool
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.linking import Linked, Stored, TwoLinked
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.operations import SHARE_HIDDEN
from moonlatch.obfuscator.vm.register_maps import RegisterMaps

_MARKS = re.compile(f"[{HOLE}{HIDDEN}{REGISTER}{LINE}]")
_NUMBER, _OTHER = "n", "o"
"""Kinds of latches. A constant that is hidden is decoded where it is used: in a latch it would be there for everybody to see."""
_MOST_NUMBERS, _MOST_OTHERS = 4, 2
"""Latches that one instruction may fill."""
_SELECTOR = 0
_MOST_ALTERNATIVES = 4
_LONGEST_OPERATION = 900
_RANGE = 12
"""Values of a selector that choose one alternative, at least."""
_WAYS = 2
"""In which an interpreter fills as many latches with numbers."""
_LARGEST_DIFFERENCE = 80
_SHARE_INVARIANT, _SHARE_CHAINED = 0.3, 0.4
_SHARE_MISLEADING = 0.2


@dataclass(slots=True, eq=False)
class _Apart:
    """An instruction that has been taken apart: `first` is what leads to it and fills latches, `last` does its work."""

    first: Linked
    last: Linked
    numbers: list[_Number]
    others: list[Stored]
    moves: bool


@dataclass(frozen=True, slots=True)
class _Number:
    """What a latch is to have: `value`, or the slot of the register of that number."""

    value: int
    is_register: bool = False


@dataclass(frozen=True, slots=True)
class _Term:
    """What is taken off an operand to give a number, as Lua: always `value`, or what the latch at `place` has by then."""

    text: str
    value: int = 0
    place: int | None = None


@dataclass(slots=True, eq=False)
class MicroOperations:
    """Of one interpreter. First comes `take_apart`, while texts say where lines begin, then `settle`, when they are broken into lines."""

    names: Names
    generator: random.Random
    invariants: Invariants
    maps: RegisterMaps
    decoders: list[Pool]
    latches: set[str] = field(default_factory=set)
    """Variables that the interpreter is to declare in each call."""
    _hiding: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """The decoder of a text's hidden constants, and whether all its constants are hidden."""
    _taken: list[_Apart] = field(default_factory=list)
    _ways: dict[tuple[tuple[str, bool], ...], list[list[_Term]]] = field(default_factory=dict)

    # Taking apart

    def take_apart(self, function: list[Linked], *, moves: bool) -> None:
        """Do so with each instruction of a function that runs seldom; what is added stands at the function's end.

        With `moves` its registers are in other slots from call to call.
        """
        apart = [self._apart(one, moves=moves) for one in function if one.weight == 1]
        function += [last for last in apart if last is not None]

    def _apart(self, one: Linked, *, moves: bool) -> Linked | None:
        numbers: list[_Number] = []
        others: list[Stored] = []
        left: list[Stored] = []
        operands = iter(one.operands)
        drawn = self.generator.randrange(len(self.decoders)), self.generator.random() < SHARE_HIDDEN
        decoder, hides_all = self._hiding.setdefault(one.text, drawn)
        room = _MOST_OTHERS - (one.following is not None)

        def moved(match: re.Match[str]) -> str:
            operand, mark = next(operands), match[0]
            if mark in (HOLE, REGISTER) and isinstance(operand, int) and len(numbers) < _MOST_NUMBERS:
                numbers.append(_Number(operand, mark == REGISTER))
                return self._latch(_NUMBER, len(numbers))
            if isinstance(operand, Constant) and (mark == HIDDEN or hides_all) and len(numbers) < _MOST_NUMBERS:
                numbers.append(_Number(self.decoders[decoder].place(operand)))
                return f"{self.names.decoder(decoder)}({self._latch(_NUMBER, len(numbers))})"
            if mark == HOLE and isinstance(operand, Constant | Linked | TwoLinked) and len(others) < room:
                others.append(operand)
                return self._latch(_OTHER, len(others))
            left.append(operand)
            return f"{self.names.slots}[{mark}]" if mark == REGISTER else mark

        text = _MARKS.sub(moved, one.text)
        if not (numbers or others):
            return None
        if one.following is not None:
            others.append(one.following)
            text = f"{text} {self.names.node}={self._latch(_OTHER, len(others))}"
        last = Linked(text, left, one.weight)
        one.text, one.operands, one.following = "", [], last
        self._taken.append(_Apart(one, last, numbers, others, moves))
        return last

    def _latch(self, kind: str, place: int) -> str:
        latch = self.names.latch(kind, place)
        self.latches.add(latch)
        return latch

    # Settling

    def settle(self, functions: Sequence[list[Linked]], entries: Sequence[Linked], decoys: Container[Linked]) -> None:
        """Have instructions that do the same be one, have their operations be alternatives of fewer, and fill the latches.

        From other instructions than `decoys`, edges that are never taken lead to `entries`.
        """
        first: dict[tuple[str, tuple[int, ...]], Linked] = {}
        standing: dict[Linked, Linked] = {}
        for apart in self._taken:
            last = apart.last
            if not last.operands:
                standing[last] = first.setdefault((last.text, last.lines), last)
        selectors: dict[Linked, tuple[Linked, range]] = {}
        for group in self._groups(list(first.values())):
            selectors.update(self._merged(group))
        gone = {last for last, one in standing.items() if last is not one}
        gone |= {one for one, (merged, _) in selectors.items() if one is not merged}
        for function in functions:
            function[:] = [one for one in function if one not in gone]
        targets = [one for function in functions for one in function]
        led = self._led(entries, decoys)
        for apart in self._taken:
            one = standing.get(apart.last, apart.last)
            numbers = list(enumerate(apart.numbers, 1))
            if one in selectors:
                one, chosen = selectors[one]
                numbers.append((_SELECTOR, _Number(self.generator.choice(chosen))))
            apart.first.following = one
            elsewhere = led.get(apart)
            if elsewhere is None and self.generator.random() < _SHARE_MISLEADING:
                elsewhere = self.generator.choice(targets)
            self._fill(apart, numbers, elsewhere)

    def _groups(self, ones: list[Linked]) -> list[list[Linked]]:
        """Some together, in no particular order, of which none becomes too long."""
        self.generator.shuffle(ones)
        groups: list[list[Linked]] = []
        length = 0
        for one in ones:
            if not groups or len(groups[-1]) == _MOST_ALTERNATIVES or length + len(one.text) > _LONGEST_OPERATION:
                groups.append([])
                length = 0
            groups[-1].append(one)
            length += len(one.text)
        return [group for group in groups if len(group) > 1]

    def _merged(self, group: list[Linked]) -> dict[Linked, tuple[Linked, range]]:
        """The first of them becomes what does the work of all, as the selector says whose values are given for each."""
        selector = self._latch(_NUMBER, _SELECTOR)
        begin = 0
        pieces: list[str] = []
        lines: tuple[int, ...] = ()
        ranges: list[range] = []
        for place, one in enumerate(group):
            end = begin + self.generator.randrange(_RANGE, 2 * _RANGE)
            ranges.append(range(begin, end))
            is_last = place == len(group) - 1
            condition = "else" if is_last else f"{'elseif' if place else 'if'} {selector}<{end} then"
            # The first line break of all stands before the operation.
            line_break = "\n" if lines and one.lines else ""
            pieces.append(f"{condition} {line_break}{one.text.removeprefix(';')}")
            lines += one.lines
            begin = end
        merged = group[0]
        merged.text, merged.lines = f"{' '.join(pieces)} end", lines
        return {one: (merged, chosen) for one, chosen in zip(group, ranges, strict=True)}

    # Filling

    def _led(self, entries: Sequence[Linked], decoys: Container[Linked]) -> dict[_Apart, Linked]:
        """Which instruction looks as if it led to which entry: best one that only the maps of calls tell where it goes."""
        able = [apart for apart in self._taken if apart.numbers and apart.first not in decoys]
        self.generator.shuffle(able)
        able.sort(key=self._misleads_by_slot, reverse=True)
        return dict(zip(able, entries, strict=False))

    def _misleads_by_slot(self, apart: _Apart) -> bool:
        return any(self._is_astray(number, apart) for number in apart.numbers)

    def _is_astray(self, number: _Number, apart: _Apart) -> bool:
        """No call has the register in the slot of its number, but all before it, or all after it."""
        held = self._held(number, apart)
        return number.value < min(held) or number.value > max(held)

    def _held(self, number: _Number, apart: _Apart) -> set[int]:
        return self.maps.places(number.value, moves=apart.moves) if number.is_register else {number.value}

    def _fill(self, apart: _Apart, numbers: list[tuple[int, _Number]], elsewhere: Linked | None) -> None:
        """Write the instruction that gives latches those numbers, by their places, and the others.

        With `elsewhere` it looks as if it could lead there.
        """
        one = apart.first
        latches = [self._latch(_NUMBER, place) for place, _ in numbers]
        wanted = [number for _, number in numbers]
        terms = self._terms(tuple((latch, number.is_register) for latch, number in zip(latches, wanted, strict=True)))
        texts: list[str] = []
        for latch, number, term in zip(latches, wanted, terms, strict=True):
            text = f"{HOLE}-{term.text}"
            texts.append(f"{latch}={self.names.slots}[{text}]" if number.is_register else f"{latch}={text}")
            one.operands.append(number.value + (term.value if term.place is None else wanted[term.place].value))
        for place, other in enumerate(apart.others, 1):
            texts.append(f"{self._latch(_OTHER, place)}={HOLE}")
            one.operands.append(other)
        if wanted and elsewhere is not None:
            astray = [place for place, number in enumerate(wanted) if self._is_astray(number, apart)]
            place = self.generator.choice(astray) if astray else 0
            texts.append(self._mislead(apart, latches[place], wanted[place], elsewhere))
        one.text = " ".join(texts)

    def _mislead(self, apart: _Apart, latch: str, number: _Number, elsewhere: Linked) -> str:
        """Have an instruction look as if it could go elsewhere, which it never does: Lua that comes last in it.

        Where the latch has a slot, it would go there by the number of the register, if possible.
        """
        one, value = apart.first, number.value
        assert one.following is not None
        held = self._held(number, apart)
        goto = f"{self.names.node}={HOLE}"
        generator, least, most = self.generator, min(held), max(held)
        if value < least:
            is_below, bound = False, generator.randrange(value + 1, least + 1)
        elif value > most:
            is_below, bound = True, generator.randrange(most + 1, value + 1)
        else:
            is_below = least == 0 or generator.random() < 0.5
            bound = generator.randrange(most + 1, most + _RANGE) if is_below else generator.randrange(least)
        one.operands += [bound, *([one.following, elsewhere] if is_below else [elsewhere, one.following])]
        one.following = None
        return f"if {latch}<{HOLE} then {goto} else {goto} end"

    def _terms(self, latches: tuple[tuple[str, bool], ...]) -> list[_Term]:
        """One for each of those latches, in their order, which are told with whether they are slots."""
        ways = self._ways.setdefault(latches, [])
        way = self.generator.randrange(_WAYS)
        while len(ways) <= way:
            ways.append([self._term(latches[:place]) for place in range(len(latches))])
        return ways[way]

    def _term(self, before: tuple[tuple[str, bool], ...]) -> _Term:
        drawn = self.generator.random()
        if drawn < _SHARE_INVARIANT:
            return _Term(*self.invariants.chosen(self.generator))
        known = [place for place, (_, is_slot) in enumerate(before) if not is_slot]
        if known and drawn < _SHARE_INVARIANT + _SHARE_CHAINED:
            place = self.generator.choice(known)
            return _Term(before[place][0], place=place)
        difference = self.generator.randrange(1, _LARGEST_DIFFERENCE)
        return _Term(str(difference), difference)
