"""Which files a source was put together of, as the comments say that its bundler left: `--#line 12 "shop/items.luau"`, where a line ends.

As in C, the line after such a comment is that line of that file, and those that follow it are the ones after.
"""

from __future__ import annotations

import re

from moonlatch.obfuscator.line_map import FileLines

_COMMENT = re.compile(rb'--#line ([0-9]{1,9}) "((?:[^"\\\n]|\\.)*)"\r?\n')
_BEGIN = b"--#line "
_ESCAPED = re.compile(r"\\(.)")
_BREAKS = {"n": "\n", "r": "\r"}


def source_files(source: bytes) -> list[FileLines]:
    """The files in the order of their lines; none for a source that is one text."""
    if _BEGIN not in source:
        return []
    files: list[FileLines] = []
    line, at = 1, 0
    for found in _COMMENT.finditer(source):
        line, at = line + source.count(b"\n", at, found.end()), found.end()
        name = _ESCAPED.sub(lambda escaped: _BREAKS.get(escaped[1], escaped[1]), found[2].decode("utf-8", "replace"))
        files.append(FileLines(line, name, int(found[1])))
    return files


def next_line_is(file: str, line: int) -> str:
    """The comment that says so of the line below it, with the end of its own line."""
    escaped = file.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'--#line {line} "{escaped}"\n'
