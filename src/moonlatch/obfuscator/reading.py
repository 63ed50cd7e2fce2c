"""Reads from a leaked text which spelling each place of a template has in it, as far as it is still there.

Both texts are compared by their outlines: so neither a renamer nor a formatter takes a place away. What was changed or left out is
missing, and nothing else is; pieces may stand anywhere in the leak, in whatever order. A text that was brought back to source is
held against what the template keeps of the source's outline.
"""

from __future__ import annotations

from moonlatch.obfuscator.alignment import Nodes, aligned
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.source_outline import nodes_and_holes, outline_numbers
from moonlatch.obfuscator.syntax.outline import Outline, outline_of
from moonlatch.obfuscator.syntax.parser import collector_at_rest, parse
from moonlatch.obfuscator.template import SourceOutline, Template


def read(template: Template, leaked: bytes) -> list[int | None]:
    """Of each place 0 for its first spelling, 1 for its second, None where it cannot be told.

    Raises LuauSyntaxError when what leaked is no script.
    """
    with collector_at_rest():
        leak = _outline(leaked)
        found = _read_copy(template, leak)
        if template.source is not None:
            _add_from_source(found, template, template.source, leak)
        return found


def _read_copy(template: Template, leak: Outline) -> list[int | None]:
    first, second = (_whole(template, second=second) for second in (False, True))
    found: list[int | None] = [None] * len(template.places)
    alignment = aligned(
        Nodes(first.kinds, first.exact()),
        {at: hole for at, (_, hole) in first.holes.items()},
        Nodes(leak.kinds, leak.exact()),
    )
    same = alignment.same
    for at, (index, _) in first.holes.items():
        found[index] = alignment.taken.get(at)
    for at, index in first.turns.items():
        found[index] = _turned(leak, same.get(at), is_turned=first.turned[at])
    comparisons = (node for node, is_turned in first.turned.items() if is_turned != second.turned[node])
    texts = [node for node, text in first.texts.items() if text != second.texts[node]]
    for index, place in enumerate(template.places):
        if place.is_value:
            continue
        node = texts[place.text - 1] if place.text else next(comparisons)
        here = same.get(node)
        if here is None:
            continue
        if place.text:
            part = slice(place.at, place.at + place.size)
            both = first.texts[node][part], second.texts[node][part]
            has = leak.texts[here][part]
            found[index] = both.index(has) if has in both else None
        else:
            found[index] = _turned(leak, here, is_turned=first.turned[node])
    return found


def _add_from_source(found: list[int | None], template: Template, source: SourceOutline, leak: Outline) -> None:
    """Adds what the leak tells where it is source. Parts of a copy look like the source and the other way round: of the two, the one of
    which more was read is believed.
    """
    choices = {place.choice: index for index, place in enumerate(template.places) if place.choice}
    in_source = {choices[number]: bit for number, bit in _read_source(source, leak).items() if number in choices}
    is_source = len(in_source) * len(found) > (len(found) - found.count(None)) * len(choices)
    for index, bit in in_source.items():
        if is_source or found[index] is None:
            found[index] = bit


def _read_source(source: SourceOutline, leak: Outline) -> dict[int, int]:
    """Which spelling a text has that was brought back to source, by the choices' numbers."""
    nodes, holes = nodes_and_holes(source)
    there = outline_numbers(leak, source.salt)
    alignment = aligned(Nodes(nodes, nodes), holes, Nodes(there, there))
    found = {
        one.number: _turned(leak, alignment.same.get(one.at), is_turned=one.is_turned)
        if one.is_turn
        else alignment.taken.get(one.at)
        for one in source.choices
    }
    return {number: bit for number, bit in found.items() if bit is not None}


def _turned(leak: Outline, here: int | None, *, is_turned: bool) -> int | None:
    """Whether a comparison of the leak's is from the other side than the first spelling."""
    there = None if here is None else leak.turned.get(here)
    return None if there is None else int(there != is_turned)


def _whole(template: Template, *, second: bool) -> Outline:
    """The template's own outline, in which each place of two values is a call of both, with the place's number."""
    marker = "choice"
    while any(marker.encode() in piece for piece in template.pieces):
        marker += "_"
    parts = [b""] * (2 * len(template.places) + 1)
    parts[::2] = template.pieces
    for index, place in enumerate(template.places):
        if place.is_value:
            parts[2 * index + 1] = b" %s(%s,%s,%d)" % (marker.encode(), place.first, place.second, index)
        else:
            parts[2 * index + 1] = place.second if second else place.first
    return _outline(b"".join(parts), marker)


def _outline(text: bytes, marker: str = "") -> Outline:
    chunk = parse(text)
    order = {binding: place for place, binding in enumerate(resolve(chunk).symbols)}
    return outline_of(chunk.body, order, marker)
