"""Which parts of an instruction stand on which line of the source, for those parts that can raise something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from moonlatch.obfuscator.syntax.tree import NO_LINE, SEVERAL_LINES
from moonlatch.obfuscator.vm.code import HIDDEN, HOLE, LINE, REGISTER, SourceLine
from moonlatch.obfuscator.vm.linking import Linked
from moonlatch.obfuscator.vm.names import Names

_RAISES = re.compile(r"[\w\]})\1\2]\(|[\[+*/%^<>#:-]|\.\.")
"""A call, an index, arithmetic, an order, a length or a method; what only looks like one costs a line."""


class LineBreaks:
    """Breaks texts of instructions where the source's line changes."""

    def __init__(self, names: Names, *, has_lines: bool) -> None:
        self._has_lines = has_lines
        own = "|".join(map(re.escape, (names.registers, names.upvalues, names.captures, names.natives)))
        latch = names.any_latch
        slots = re.escape(names.slots)
        self._operand = re.compile(f"[{HOLE}{HIDDEN}{REGISTER}]|{latch}|{slots}\\[")
        self._variable = re.compile(
            rf"(?:{own})\[(?:[{HOLE}{REGISTER}]|{latch}|{slots}\[{REGISTER}\])\](?:\[1\])?|{HOLE}\[2\]"
        )
        calls = "|".join(map(re.escape, (names.shared, names.select, names.type_of, names.release)))
        numbered = "|".join(re.escape(one(0)[:-1]) for one in (names.machine, names.decoder))
        self._harmless = re.compile(rf"(?:{calls}|(?:{numbered})\d+)\(")

    def settle(self, function: Sequence[Linked]) -> None:
        """Take the lines out of the instructions' operands, and break their texts instead."""
        for one in function:
            self._settle(one)

    def _settle(self, one: Linked) -> None:
        pieces = one.text.split(LINE)
        marked = iter([operand for operand in one.operands if isinstance(operand, SourceLine)])
        assert not pieces[0]
        parts: list[tuple[int, str]] = []
        for piece in pieces[1:]:
            line = next(marked).number
            if parts and line in (parts[-1][0], NO_LINE):
                parts[-1] = parts[-1][0], parts[-1][1] + piece
            else:
                parts.append((line, piece))
        texts: list[str] = []
        lines: list[int] = []
        for line, part in parts:
            if self._has_lines and line != NO_LINE and self._can_raise(part):
                texts.append("\n" if lines else "")
                lines.append(line)
            texts.append(part)
        one.text = "".join(texts)
        one.lines = tuple(lines)
        one.operands = [operand for operand in one.operands if not isinstance(operand, SourceLine)]

    def share(self, functions: Sequence[Sequence[Linked]], most: int) -> None:
        """Leave instructions of one interpreter alike that stand on different lines, where it has no room for an operation for each.

        `most` is a bound for the interpreter's size, in instructions of a compiler.
        """
        by_text: dict[str, dict[tuple[int, ...], list[Linked]]] = {}
        for one in chain.from_iterable(functions):
            by_text.setdefault(one.text, {}).setdefault(one.lines, []).append(one)
        room = most - sum(map(self._size, by_text))
        for text in sorted(by_text, key=self._size):
            first, *others = by_text[text].values()
            room -= len(others) * self._size(text)
            if room < 0 and others:
                for one in chain(first, *others):
                    one.lines = (SEVERAL_LINES,) * len(one.lines)

    def _can_raise(self, piece: str) -> bool:
        return _RAISES.search(self._harmless.sub(" ", self._variable.sub("x", piece))) is not None

    def _size(self, text: str) -> int:
        """About as many instructions of LuaJIT's as an operation takes, with the decision for it; held against `luajit -bl`."""
        return 5 + 3 * len(self._operand.findall(text))
