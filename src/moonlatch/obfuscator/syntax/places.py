"""Reads a script once more for the columns of its nodes, which a tree has no room for and only faults need."""

from __future__ import annotations

from moonlatch.obfuscator.syntax.lexer import Tokens
from moonlatch.obfuscator.syntax.parser import parse_tokens, tokens_of
from moonlatch.obfuscator.syntax.tree import Chunk


class Place(int):
    """A line number that also knows the column of the token it belongs to; 1-based, in bytes."""

    column: int


def column_of(line: int) -> int:
    """The column of a line number that may be a `Place`, 1 when it is not."""
    return line.column if isinstance(line, Place) else 1


def parse_with_places(source: bytes | str) -> Chunk:
    """As `parse`, with a `Place` for the line of every node and binding. Raises LuauSyntaxError."""
    tokens = tokens_of(source)
    tokens.lines = _places(tokens)
    return parse_tokens(tokens)


def _places(tokens: Tokens) -> list[int]:
    places: list[int] = []
    for line, column in tokens.places():
        place = Place(line)
        place.column = column
        places.append(place)
    return places
