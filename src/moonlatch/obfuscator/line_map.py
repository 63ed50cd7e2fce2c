"""From places in a protected text back to lines of the source: what a build keeps of its source so that its errors can be read.

It holds line numbers and names of functions, and nothing else of the source. Pure: it reads and writes bytes in memory only.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_VERSION = 1
MOST_LINES = 1_000_000
"""Lines of a protected text that a map tells of; those behind are not known."""
MOST_FUNCTIONS = 100_000
MOST_FILES = 10_000
LONGEST_NAME = 200
"""Bytes of UTF-8, of a function or a file; the rest of a longer one is left out."""
MOST_PACKED_BYTES = 16 * 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""Of a map that is not packed."""
_LARGEST = 2**32 - 1
_LONGEST_VARINT = 5


class LineMapError(ValueError):
    """Bytes that no line map has been written as."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the source. `line` is 1-based; `file` is None where the source is one text, `function` where the place is in
    the script's own code or in a function without a name.
    """

    file: str | None
    line: int
    function: str | None


@dataclass(frozen=True, slots=True)
class FunctionLines:
    """The lines of the source that a function's statements stand on, both included; `name` is as the source has it, `""` for none."""

    first: int
    last: int
    name: str


@dataclass(frozen=True, slots=True)
class FileLines:
    """From line `first` of the source on it is that of a file, whose line `line` that one was."""

    first: int
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class LineMap:
    """`lines` has the source's line for each line of the protected text, 0 for those of no line of it. An empty map knows nothing.

    `functions` are in the order of their first lines, outer before inner; `files` in ascending order.
    """

    lines: Sequence[int] = ()
    functions: Sequence[FunctionLines] = ()
    files: Sequence[FileLines] = ()

    def __bool__(self) -> bool:
        return bool(self.lines)

    def locate(self, line: int, column: int | None = None, instruction: int | None = None) -> Place | None:
        """The place in the source that a 1-based line of the protected text comes from; None where it is not known.

        `column` and `instruction` are for hosts and builds that tell them.
        """
        del column, instruction
        source_line = self.lines[line - 1] if 1 <= line <= len(self.lines) else 0
        return self._place(source_line) if source_line else None

    def _place(self, line: int) -> Place:
        function = self._function(line) or None
        after = bisect_right(self.files, line, key=lambda one: one.first)
        if not after:
            return Place(None, line, function)
        part = self.files[after - 1]
        return Place(part.file, part.line + line - part.first, function)

    def _function(self, line: int) -> str:
        """The name of the innermost function around a line."""
        place = bisect_right(self.functions, line, key=lambda one: one.first)
        while place:
            place -= 1
            one = self.functions[place]
            if line <= one.last:
                return one.name
        return ""

    # As bytes

    def to_bytes(self) -> bytes:
        """The map in a few bytes a line: a version, then packed numbers, each the difference to the one before it."""
        body = bytearray()
        lines = self.lines[:MOST_LINES]
        functions = self.functions[:MOST_FUNCTIONS]
        files = self.files[:MOST_FILES]
        _put(body, len(lines))
        before = 0
        for line in lines:
            difference, before = line - before, line
            _put(body, difference * 2 if difference >= 0 else -difference * 2 - 1)
        _put(body, len(functions))
        before = 0
        for function in functions:
            _put(body, function.first - before)
            _put(body, function.last - function.first)
            _put_text(body, function.name)
            before = function.first
        _put(body, len(files))
        before = 0
        for part in files:
            _put(body, part.first - before)
            _put(body, part.line)
            _put_text(body, part.file)
            before = part.first
        return bytes([_VERSION]) + zlib.compress(bytes(body), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> LineMap:
        """The map that was written so. Raises LineMapError for any other bytes, and never unpacks more than its bound."""
        reader = _Reader(_unpacked(data))
        lines = tuple(reader.lines(reader.count(MOST_LINES)))
        functions: list[FunctionLines] = []
        first = 0
        for _ in range(reader.count(MOST_FUNCTIONS)):
            first = reader.line(first + reader.number())
            last = reader.line(first + reader.number())
            functions.append(FunctionLines(first, last, reader.text()))
        files: list[FileLines] = []
        first = 0
        for _ in range(reader.count(MOST_FILES)):
            first = reader.line(first + reader.number())
            line = reader.number()
            files.append(FileLines(first, reader.text(), line))
        reader.end()
        return cls(lines, tuple(functions), tuple(files))


def _put(body: bytearray, number: int) -> None:
    while number > 127:
        body.append(number & 127 | 128)
        number >>= 7
    body.append(number)


def _put_text(body: bytearray, text: str) -> None:
    data = text.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore").encode()
    _put(body, len(data))
    body += data


def _unpacked(data: bytes) -> bytes:
    if len(data) > MOST_PACKED_BYTES:
        raise LineMapError("too long")
    if data[:1] != bytes([_VERSION]):
        raise LineMapError("not of this version")
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data[1:], MOST_BYTES)
    except zlib.error as error:
        raise LineMapError(str(error)) from None
    if not unpacker.eof or unpacker.unused_data:
        raise LineMapError("cut off, too long, or something comes after it")
    return body


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def number(self) -> int:
        value = 0
        for place in range(_LONGEST_VARINT):
            if self._at >= len(self._body):
                raise LineMapError("it ends too soon")
            byte = self._body[self._at]
            self._at += 1
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value
        raise LineMapError("a number is too large")

    def count(self, most: int) -> int:
        value = self.number()
        if value > most:
            raise LineMapError(f"{value} of something of which there are {most} at most")
        return value

    def line(self, value: int) -> int:
        if not 0 <= value <= _LARGEST:
            raise LineMapError("a line number is out of range")
        return value

    def lines(self, count: int) -> Iterator[int]:
        value = 0
        for _ in range(count):
            number = self.number()
            value = self.line(value - (number + 1) // 2 if number & 1 else value + number // 2)
            yield value

    def text(self) -> str:
        size = self.count(LONGEST_NAME)
        data = self._body[self._at : self._at + size]
        self._at += size
        if len(data) != size:
            raise LineMapError("it ends too soon")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise LineMapError(str(error)) from None

    def end(self) -> None:
        if self._at != len(self._body):
            raise LineMapError("something comes after it")
