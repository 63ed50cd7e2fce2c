"""What of a source is kept with the template of its copies: numbers, by which choices are found in a text that was brought back to source."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Hashable, Iterable

from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.outline import Hole, Outline, outline_of
from moonlatch.obfuscator.template import SourceChoice, SourceOutline, TemplateError


def kept_outline(chunk: s.Chunk, resolution: Resolution, salt: int) -> SourceOutline | None:
    """That of a source, None for one without choices. `salt` has 32 bits."""
    outline = outline_of(chunk.body, {binding: place for place, binding in enumerate(resolution.symbols)})
    if not outline.holes and not outline.turns:
        return None
    choices = [
        SourceChoice(number, at, _packed(numbers(hole.first, salt)), _packed(numbers(hole.second, salt)))
        for at, (number, hole) in outline.holes.items()
    ]
    choices += [
        SourceChoice(number, at, b"", b"", is_turned=outline.turned[at]) for at, number in outline.turns.items()
    ]
    return SourceOutline(salt, _packed(numbers(outline.exact(), salt)), choices)


def nodes_and_holes(kept: SourceOutline) -> tuple[list[int], dict[int, Hole]]:
    """What `kept_outline` told: the nodes, and their holes. Raises TemplateError."""
    holes = {one.at: Hole(_unpacked(one.first), _unpacked(one.second)) for one in kept.choices if not one.is_turn}
    return _unpacked(kept.nodes), holes


def outline_numbers(outline: Outline, salt: int) -> list[int]:
    """The same of another text."""
    return numbers(outline.exact(), salt)


def numbers(nodes: Iterable[Hashable], salt: int) -> list[int]:
    """One of 32 bits for each node; two of the same are the same."""
    known: dict[Hashable, int] = {}
    found: list[int] = []
    for node in nodes:
        number = known.get(node)
        if number is None:
            number = known[node] = zlib.crc32(repr(node).encode("utf-8", "backslashreplace"), salt)
        found.append(number)
    return found


def _packed(values: list[int]) -> bytes:
    return _in_order(array("I", values)).tobytes()


def _unpacked(data: bytes) -> list[int]:
    values = array("I")
    try:
        values.frombytes(data)
    except ValueError as error:
        raise TemplateError(str(error)) from None
    return _in_order(values).tolist()


def _in_order(values: array[int]) -> array[int]:
    """The little end first, on every machine."""
    if sys.byteorder == "big":
        values.byteswap()
    return values
