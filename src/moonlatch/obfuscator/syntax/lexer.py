"""Splits Luau source into tokens as Luau itself does, quickly; it judges no token and raises nothing.

One regular expression does the work. Only what it cannot do, finding the end of the expressions inside an
interpolated string, is done token by token. Source text is Latin-1: one character per byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, repeat
from operator import add, itemgetter, sub
from sys import intern

# Kinds of tokens whose text varies; the kind of any other token is its text.
NAME = "name"
NUMBER = "number"
QUOTED = "quoted string"
RAW = "raw string"
INTERPOLATED = "interpolated string"
INTERPOLATION_BEGIN = "interpolation begin"
INTERPOLATION_MIDDLE = "interpolation middle"
INTERPOLATION_END = "interpolation end"
DOUBLE_BRACE = "double brace"
ATTRIBUTE = "attribute"
BROKEN_STRING = "broken string"
BROKEN_COMMENT = "broken comment"
NOT_ASCII = "not ascii"
EOF = "<eof>"

RESERVED = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)

SPACE = r"[ \t\r\n\v\f]"
# After a backslash: \z takes all space that follows, \ at a line's end takes the whole line end.
ESCAPE = rf"\\(?:z{SPACE}*+|\r\n?|[\s\S]|\Z)"
QUOTED_PATTERN = "|".join(rf"{quote}[^{quote}\\\r\n]*+(?:{ESCAPE}[^{quote}\\\r\n]*+)*+{quote}?" for quote in "\"'")
CLOSED_STRING = re.compile(
    "|".join(rf"{quote}[^{quote}\\\r\n]*+(?:{ESCAPE}[^{quote}\\\r\n]*+)*+{quote}" for quote in "\"'")
)
SECTION = re.compile(rf"[^`\\{{\r\n]*+(?:\\(?:u\{{|z{SPACE}*+|\r\n?|[\s\S]|\Z)[^`\\{{\r\n]*+)*+(?:(`)|(\{{\{{)|(\{{)|)")


def _token_pattern(closed_comments: str, closed_strings: str) -> str:
    """A pattern for a gap, that is space and comments, and the token after it. It matches anywhere, at the end with no text."""
    return (
        rf"(?P<gap>{SPACE}*+(?:--(?:(?!\[=*+\[)[^\r\n]*+|{closed_comments}){SPACE}*+)*+)"
        r"(?P<text>[A-Za-z_][A-Za-z0-9_]*+"
        r"|[(),{}\];#]|[=<>~+*%^]=?+"
        r"|\.?[0-9][0-9._]*+(?:[eE][+-]?+)?+[A-Za-z0-9_]*+"
        r"|\.(?:\.[.=]?+)?+|::?+"
        rf"|{QUOTED_PATTERN}"
        rf"|{closed_strings}|\[=*+\[[\s\S]*+|\[=*+"
        r"|--[\s\S]*+|-[=>]?+|/=|//?=?+"
        r"|@(?:\[|[A-Za-z_][A-Za-z0-9_]*+)?+"
        r"|[\xc0-\xdf][\x80-\xbf]?+|[\xe0-\xef][\x80-\xbf]{0,2}+|[\xf0-\xf7][\x80-\xbf]{0,3}+"
        r"|[\s\S]|\Z)"
    )


# The levels of long brackets that people use are spelt out, because groups besides the two cost time.
LONG_BRACKETS = "|".join(rf"\[{level}\[[\s\S]*?\]{level}\]" for level in ["", "=", "==", "==="])
TOKEN = re.compile(_token_pattern(LONG_BRACKETS, LONG_BRACKETS))
UNUSUAL_LEVEL = re.compile(r"\[={4,}\[")
TOKEN_OF_ANY_LEVEL = re.compile(
    _token_pattern(*(rf"\[(?P<{group}>=*+)\[[\s\S]*?\](?P={group})\]" for group in ["comment", "string"]))
)
FIXED_KINDS = {
    text: text
    for text in [
        *RESERVED,
        *[
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            ";",
            ",",
            "#",
            "?",
            "&",
            "|",
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "=",
            "<",
            ">",
            "~",
            ".",
            ":",
            "!",
            "==",
            "<=",
            ">=",
            "~=",
            "..",
            "...",
            "->",
            "::",
            "//",
            "+=",
            "-=",
            "*=",
            "/=",
            "//=",
            "%=",
            "^=",
            "..=",
            "@[",
        ],
    ]
}


# Split at once: each token costs a hundred bytes more until its pair is taken apart.
BLOCK_CHARACTERS = 64 * 1024


class _Kinds(dict[str, str]):
    """Kind by text; each text is looked at once."""

    def __missing__(self, text: str) -> str:
        kind = self[text] = _kind(text)
        return kind


def _kind(text: str) -> str:
    first = text[:1]
    if not text:
        return EOF
    if not first.isascii():
        return NOT_ASCII
    if first.isalpha() or first == "_":
        return NAME
    if first.isdigit() or (first == "." and text[1:2].isdigit()):
        return NUMBER
    if first in "\"'":
        return QUOTED if CLOSED_STRING.fullmatch(text) else BROKEN_STRING
    if first == "[":
        return _bracket_kind(text)
    if first == "-":
        return BROKEN_COMMENT
    if first == "@":
        return ATTRIBUTE
    return text


def _bracket_kind(text: str) -> str:
    level = text[1:].partition("[")[0]
    opened = text[1 + len(level) : 2 + len(level)] == "["
    closed = opened and len(text) >= 2 * len(level) + 4 and text.endswith(f"]{level}]")
    return RAW if closed else BROKEN_STRING


class Tokens:
    """A script's tokens as parallel lists, ended by several `EOF` tokens so that looking ahead needs no check.

    `texts` and `kinds` say what a token is, `gaps` what space and comments stand before it, `lines` (1-based) where it begins.
    """

    __slots__ = ("_starts", "gaps", "kinds", "lines", "source", "texts", "vocabulary")

    def __init__(self, source: str) -> None:
        nul = source.find("\0")
        self.source = source if nul < 0 else source[:nul]  # as in Luau, whose lexer takes NUL for the end
        split = _Splitter(self.source)
        split.take([("", "")] * 4)
        self.gaps = split.gaps
        self.texts = split.texts
        vocabulary = _Kinds(FIXED_KINDS)
        self.kinds = list(map(vocabulary.__getitem__, self.texts))
        for index, kind in split.special_kinds:
            self.kinds[index] = kind
        self.vocabulary: dict[str, str] = vocabulary
        self.lines = self._count_lines()
        self._starts: list[int] | None = None

    def _count_lines(self) -> list[int]:
        count = self.source.count("\n")
        if not count:
            return [1] * len(self.texts)
        newlines = list(map(str.count, self.gaps, repeat("\n")))
        if sum(newlines) != count:
            inside = map(str.count, self.texts, repeat("\n"))
            newlines = [before + above for before, above in zip(newlines, [0, *inside], strict=False)]
        # Every token of a line and everything made of it share one number, which is an object of 28 bytes.
        numbers = range(1, count + 2)
        return list(map(list(numbers).__getitem__, accumulate(newlines)))

    @property
    def starts(self) -> list[int]:
        """The offset of each token in the source, worked out when first asked for."""
        if self._starts is None:
            lengths = list(map(len, self.texts))
            ends = accumulate(map(add, map(len, self.gaps), lengths))
            self._starts = list(map(sub, ends, lengths))
        return self._starts

    def places(self) -> Iterator[tuple[int, int]]:
        """Line and column, both 1-based and the latter in bytes, of each token."""
        line, line_start = 1, 0
        for line_of_token, start in zip(self.lines, self.starts, strict=True):
            while line < line_of_token:
                line_start = self.source.index("\n", line_start) + 1
                line += 1
            yield line, start - line_start + 1

    def end(self, index: int) -> int:
        """The offset just after a token."""
        return self.starts[index] + len(self.texts[index])

    def is_inside_interpolation(self, index: int) -> bool | None:
        """Return whether `}` after token `index` would end an interpolated expression; None when no brace is open at all."""
        open_braces: list[bool] = []
        for kind, text in zip(self.kinds[: index + 1], self.texts, strict=False):
            if text[:1] == "}" and kind not in ("}", INTERPOLATION_MIDDLE):
                open_braces.pop()
            if kind in (INTERPOLATION_BEGIN, DOUBLE_BRACE):
                open_braces.append(True)
            elif kind == "{" and open_braces:
                open_braces.append(False)
            elif kind == "}" and open_braces:
                open_braces.pop()
        return open_braces[-1] if open_braces else None


class _Splitter:
    """Splits a source; `special_kinds` are those of the parts of interpolated strings, by index.

    Equal texts are one object: a long script has a million tokens, and a few thousand different ones.
    """

    def __init__(self, source: str) -> None:
        self.gaps: list[str] = []
        self.texts: list[str] = []
        self.special_kinds: list[tuple[int, str]] = []
        self._source = source
        self._pattern = TOKEN_OF_ANY_LEVEL if UNUSUAL_LEVEL.search(source) else TOKEN
        if "`" in source:
            self._split_interpolated()
        else:
            self._split(0, len(source))

    def take(self, pairs: list[tuple[str, str]]) -> None:
        self.gaps += map(intern, map(itemgetter(0), pairs))
        self.texts += map(intern, map(itemgetter(1), pairs))

    def _split(self, start: int, end: int) -> None:
        for pairs in self._blocks(start, end):
            self.take(pairs)

    def _blocks(self, start: int, end: int) -> Iterator[list[tuple[str, str]]]:
        """All (gap, text) pairs between two offsets, of which the last ones have no text, in blocks of a limited size."""
        size = BLOCK_CHARACTERS
        while end - start > size:
            pairs = self._pairs(start, start + size)
            cut, text = 0, ""
            # The last token may go on after the block, and so may a comment that no token follows.
            while pairs and not text:
                gap, text = pairs.pop()
                cut += len(gap) + len(text)
            if pairs:
                yield pairs
                start, size = start + size - cut, BLOCK_CHARACTERS
            else:
                size *= 2
        yield self._pairs(start, end)

    def _pairs(self, start: int, end: int) -> list[tuple[str, str]]:
        if self._pattern is TOKEN:
            return TOKEN.findall(self._source, start, end)
        return [(match["gap"], match["text"]) for match in self._pattern.finditer(self._source, start, end)]

    def _split_interpolated(self) -> None:
        source = self._source
        open_braces: list[bool] = []  # whether each is that of an interpolated expression
        position = 0
        while True:
            if not open_braces:
                backtick = source.find("`", position)
                if backtick < 0:
                    self._split(position, len(source))
                    return
                position = self._split_before(position, backtick)
            match = self._pattern.match(source, position)
            assert match is not None  # the pattern matches anything
            gap, text = match["gap"], match["text"]
            position = match.end()
            if text == "`" or (text == "}" and open_braces and open_braces.pop()):
                section = SECTION.match(source, position)
                assert section is not None  # it matches the empty text
                position = section.end()
                text += section[0]
                self.special_kinds.append((len(self.texts), _section_kind(section, begins=text[0] == "`")))
                if section.lastindex in (2, 3):
                    open_braces.append(True)
            elif text == "{" and open_braces:
                open_braces.append(False)
            self.take([(gap, text)])
            if not text:
                return

    def _split_before(self, start: int, backtick: int) -> int:
        """Everything before a backtick but the last token, to which the backtick may belong, or to the comment after it.

        Answers where that token, or the gap in front of the backtick, begins.
        """
        pairs: list[tuple[str, str]] = []
        for following in self._blocks(start, backtick):
            self.take(pairs)
            pairs = following
        left, text = 0, ""
        while pairs and not text:
            gap, text = pairs.pop()
            left += len(gap) + len(text)
        self.take(pairs)
        return backtick - left


def _section_kind(section: re.Match[str], *, begins: bool) -> str:
    match section.lastindex:
        case 1:
            return INTERPOLATED if begins else INTERPOLATION_END
        case 2:
            return DOUBLE_BRACE
        case 3:
            return INTERPOLATION_BEGIN if begins else INTERPOLATION_MIDDLE
        case _:
            return BROKEN_STRING
