"""Prints a tree as a template: the tightest text there is, with a second spelling wherever one behaves alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from moonlatch.obfuscator.syntax import spelling
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import number_of, spellings
from moonlatch.obfuscator.syntax.comparisons import is_turnable, line_of_small, turned
from moonlatch.obfuscator.syntax.printer import Printer
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import MOST_PLACES, SHORTEST_TEXT, Place, Template

_NUMBER, _WORD = "0", "a"
Texts = Mapping[bytes, tuple[bytes, Sequence[tuple[int, int, int]]]]


def print_marked(
    chunk: s.Chunk,
    target: Target,
    texts: Texts,
    generator: random.Random,
    *,
    has_lines: bool,
) -> tuple[Template, list[int]]:
    """The chunk as a template, and the line of the source for each line of its copies, 0 for none.

    `texts` are literals of printable ASCII, each with another that means the same, and from where to where in them the
    places go that may come from either, and for which choice of the source. All copies have the same lines. Of more places than a
    template may have, some are drawn; half may be of choices, those with the lowest numbers.
    """
    printer = _MarkedPrinter(target, texts, has_lines=has_lines)
    printer.block(chunk.body)
    return printer.template(generator), printer.lines


class _MarkedPrinter(Printer):
    def __init__(self, target: Target, texts: Texts, *, has_lines: bool) -> None:
        super().__init__(target, has_lines=has_lines)
        self._texts = texts
        self._places: list[tuple[int, Place]] = []
        self._marked_texts = 0
        self._is_inside = False
        """A place, which has no others in it."""

    def template(self, generator: random.Random) -> Template:
        chosen = self._places
        if len(chosen) > MOST_PLACES:
            by_number = sorted((place.choice, at) for at, (_, place) in enumerate(chosen))
            others = [at for choice, at in by_number if not choice]
            choices = [at for choice, at in by_number if choice]
            kept = choices[: max(MOST_PLACES // 2, MOST_PLACES - len(others))]
            drawn = generator.sample(others, MOST_PLACES - len(kept))
            chosen = [chosen[index] for index in sorted([*kept, *drawn])]
        pieces, begin = [], 0
        for index, _ in chosen:
            pieces.append("".join(self._out[begin:index]).encode("ascii"))
            begin = index + 1
        pieces.append("".join(self._out[begin:]).encode("ascii"))
        return Template(pieces, _numbered([place for _, place in chosen]))

    def _place(self, first: str, second: str, span: tuple[int, int, int] = (0, 0, 0), text: int = 0) -> None:
        if first != second:
            start, end, choice = span
            place = Place(first.encode("ascii"), second.encode("ascii"), text, start, end - start, choice)
            self._places.append((len(self._out), place))
        self._out.append(first)

    def _string(self, node: s.String) -> None:
        known = self._texts.get(node.value) if len(node.value) >= SHORTEST_TEXT else None
        if known is None or self._is_inside:
            super()._string(node)
            return
        self._begin(node.line)
        self._marked_texts += 1
        first, (second, places), done = node.value, known, 0
        quote = '"'
        self._mark(quote)
        for span in places:
            start, end, _ = span
            self._out.append(spelling.escaped(first[done:start], self._target, quote))
            one, other = (spelling.escaped(text[start:end], self._target, quote) for text in (first, second))
            self._place(one, other, span, self._marked_texts)
            done = end
        self._out.append(spelling.escaped(first[done:], self._target, quote) + quote)
        self._last = quote

    def _binary(self, node: s.Binary) -> None:
        line = None if self._is_inside or not is_turnable(node) else line_of_small(node)
        if line is None:
            super()._binary(node)
            return
        self._begin(line)
        binary = super()._binary
        self._place(*self._both(lambda: binary(node), lambda: binary(turned(node))))

    def _if_expression(self, node: s.IfExpression) -> None:
        both = spellings(node)
        if both is None or self._is_inside:
            super()._if_expression(node)
            return
        self._begin(node.line)
        first, second = both
        texts = self._both(lambda: self._spelling(first), lambda: self._spelling(second))
        self._place(*texts, (0, 0, number_of(node)))

    def _both(self, write_first: Callable[[], None], write_second: Callable[[], None]) -> tuple[str, str]:
        """What the two write here, without places of its own."""
        self._is_inside = True
        start, before = len(self._out), self._last
        texts: list[str] = []
        ends: list[str] = []
        for write in (write_first, write_second):
            self._last = before
            write()
            texts.append("".join(self._out[start:]))
            ends.append(self._last)
            del self._out[start:]
        self._is_inside = False
        # What follows minds whichever end asks for more.
        self._last = next((end for end in (_NUMBER, _WORD) if end in ends), ends[0])
        return texts[0], texts[1]

    _expressions = Printer._expressions | {  # noqa: SLF001 -- as the base has it
        s.String: _string,
        s.Binary: _binary,
        s.IfExpression: _if_expression,
    }


def _numbered(places: list[Place]) -> list[Place]:
    """With the texts that still have places numbered from 1."""
    numbers: dict[int, int] = {0: 0}
    return [
        Place(one.first, one.second, numbers.setdefault(one.text, len(numbers)), one.at, one.size, one.choice)
        for one in places
    ]
