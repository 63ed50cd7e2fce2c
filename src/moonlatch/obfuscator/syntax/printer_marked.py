"""Prints a tree as a template: the tightest text there is, with a second spelling wherever one behaves alike."""

from __future__ import annotations

import random
from collections.abc import Mapping

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.comparisons import is_turnable, line_of_small, turned
from moonlatch.obfuscator.syntax.printer import Printer
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import MOST_PLACES, SHORTEST_TEXT, Place, Template

_NUMBER, _WORD = "0", "a"


def print_marked(
    chunk: s.Chunk,
    target: Target,
    texts: Mapping[bytes, tuple[bytes, list[tuple[int, int]]]],
    generator: random.Random,
    *,
    has_lines: bool,
) -> tuple[Template, list[int]]:
    """The chunk as a template, and the line of the source for each line of its copies, 0 for none.

    `texts` are literals of printable ASCII, each with another that means the same, and from where to where in them the
    places go that may come from either. All copies have the same lines. Of more places than a template may have, some are drawn.
    """
    printer = _MarkedPrinter(target, texts, has_lines=has_lines)
    printer.block(chunk.body)
    return printer.template(generator), printer.lines


class _MarkedPrinter(Printer):
    def __init__(
        self, target: Target, texts: Mapping[bytes, tuple[bytes, list[tuple[int, int]]]], *, has_lines: bool
    ) -> None:
        super().__init__(target, has_lines=has_lines)
        self._texts = texts
        self._places: list[tuple[int, Place]] = []
        self._marked_texts = 0
        self._is_turning = False

    def template(self, generator: random.Random) -> Template:
        chosen = self._places
        if len(chosen) > MOST_PLACES:
            drawn = generator.sample(range(len(chosen)), MOST_PLACES)
            chosen = [chosen[index] for index in sorted(drawn)]
        pieces, begin = [], 0
        for index, _ in chosen:
            pieces.append("".join(self._out[begin:index]).encode("ascii"))
            begin = index + 1
        pieces.append("".join(self._out[begin:]).encode("ascii"))
        return Template(pieces, _numbered([place for _, place in chosen]))

    def _choice(self, first: str, second: str, text: int = 0, at: int = 0, size: int = 0) -> None:
        self._places.append((len(self._out), Place(first.encode("ascii"), second.encode("ascii"), text, at, size)))
        self._out.append(first)

    def _string(self, node: s.String) -> None:
        known = self._texts.get(node.value) if len(node.value) >= SHORTEST_TEXT else None
        if known is None:
            super()._string(node)
            return
        self._begin(node.line)
        self._marked_texts += 1
        first, (second, places), done = node.value, known, 0
        quote = '"'
        self._mark(quote)
        for start, end in places:
            self._out.append(spelling.escaped(first[done:start], self._target, quote))
            one, other = (spelling.escaped(text[start:end], self._target, quote) for text in (first, second))
            self._choice(one, other, text=self._marked_texts, at=start, size=end - start)
            done = end
        self._out.append(spelling.escaped(first[done:], self._target, quote) + quote)
        self._last = quote

    def _binary(self, node: s.Binary) -> None:
        line = None if self._is_turning or not is_turnable(node) else line_of_small(node)
        if line is None:
            super()._binary(node)
            return
        self._begin(line)
        self._is_turning = True
        start, before = len(self._out), self._last
        super()._binary(node)
        first, after = "".join(self._out[start:]), self._last
        del self._out[start:]
        self._last = before
        super()._binary(turned(node))
        second = "".join(self._out[start:])
        del self._out[start:]
        self._is_turning = False
        # What follows minds whichever end asks for more.
        self._last = next((end for end in (_NUMBER, _WORD) if end in (after, self._last)), after)
        self._choice(first, second)

    _expressions = Printer._expressions | {s.String: _string, s.Binary: _binary}  # noqa: SLF001 -- as the base has it


def _numbered(places: list[Place]) -> list[Place]:
    """With the texts that still have places numbered from 1."""
    numbers: dict[int, int] = {0: 0}
    return [
        Place(one.first, one.second, numbers.setdefault(one.text, len(numbers)), one.at, one.size) for one in places
    ]
