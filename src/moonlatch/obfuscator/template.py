"""A protected text with places that have two spellings each, which behave alike: what the marked copies of a build are made of.

Pure, and small in memory: a copy is its fixed pieces with one spelling of each place between them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from operator import getitem

import msgspec

MOST_PLACES = 3_072
"""Of one text: enough to tell coalitions of five apart, and a copy is still made in a fraction of a millisecond."""
SHORTEST_TEXT = 40
"""Characters of a literal that can have places: shorter ones are not told apart by their length when a leak is read."""
MOST_PACKED_BYTES = 64 * 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
"""Of a template that is not packed."""


class TemplateError(ValueError):
    """Bytes that no template has been written as."""


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Two spellings. Where they are characters of a literal, `text` numbers the marked literals from 1, and the `size` characters
    begin `at` there, counted from 0; a comparison that may be turned round has `text` 0.

    `choice` is the number of the source's choice that is made there, 0 for none; where `text` is 0 then, the spellings are two values.
    """

    first: bytes
    second: bytes
    text: int = 0
    at: int = 0
    size: int = 0
    choice: int = 0

    @property
    def is_value(self) -> bool:
        """Whether its spellings are two values of a choice."""
        return bool(self.choice) and not self.text


class SourceChoice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A choice of the source's by its `number`, at the node `at` of its outline: `first` and `second` are those of its spellings.

    A comparison that may be turned round has none; of that, the first spelling `is_turned` or not.
    """

    number: int
    at: int
    first: bytes
    second: bytes
    is_turned: bool = False

    @property
    def is_turn(self) -> bool:
        return not self.first


class SourceOutline(msgspec.Struct, frozen=True, array_like=True):
    """What choices are found by in a text that was brought back to source: of each node of the source's tree a number of 32 bits,
    the little end first, that depends on `salt`. Nothing of the source itself is in it.
    """

    salt: int
    nodes: bytes
    choices: list[SourceChoice]


class Template(msgspec.Struct, frozen=True, array_like=True):
    """`pieces` stand around the places, one more than those; all is ASCII. `source` is there if it has choices."""

    pieces: list[bytes]
    places: list[Place]
    source: SourceOutline | None = None

    def to_bytes(self) -> bytes:
        """Packed, to be stored."""
        return zlib.compress(msgspec.msgpack.encode(self), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> Template:
        """The template that was written so. Raises TemplateError for any other bytes, and never unpacks more than its bound."""
        if len(data) > MOST_PACKED_BYTES:
            raise TemplateError("too long")
        unpacker = zlib.decompressobj()
        try:
            body = unpacker.decompress(data, MOST_BYTES)
            template = msgspec.msgpack.decode(body, type=cls)
        except (zlib.error, msgspec.MsgspecError) as error:
            raise TemplateError(str(error)) from None
        if not unpacker.eof or unpacker.unused_data or len(template.pieces) != len(template.places) + 1:
            raise TemplateError("cut off, too long, or not as many pieces as places have around them")
        return template


class Copier:
    """Makes the copies of one template."""

    def __init__(self, template: Template) -> None:
        self.places = len(template.places)
        self._pairs = [(place.first, place.second) for place in template.places]
        self._parts = [b""] * (2 * self.places + 1)
        self._parts[::2] = template.pieces
        self.size = sum(map(len, template.pieces)) + 200 * self.places
        """About the bytes of memory that it takes."""

    def text(self, word: Iterable[bool]) -> bytes:
        """The copy with the second spelling wherever the word, one bit a place, has a 1."""
        parts = self._parts.copy()
        parts[1::2] = map(getitem, self._pairs, word)
        return b"".join(parts)
