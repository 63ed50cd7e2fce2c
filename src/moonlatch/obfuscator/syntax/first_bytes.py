"""What may stand before a script's first token because editors and shells put it there, and is none of the script."""

from __future__ import annotations

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
INTERPRETER_LINE = b"#!"


def without_marks(data: bytes) -> bytes:
    """A script as hosts that read files see it: without byte order marks, and with an empty line for `#!/usr/bin/env lua`.

    Line numbers stay right; columns on the first line count from behind the mark, as editors show them.
    """
    while data.startswith(BYTE_ORDER_MARK):
        data = data[len(BYTE_ORDER_MARK) :]
    if not data.startswith(INTERPRETER_LINE):
        return data
    end = data.find(b"\n")
    return b"" if end < 0 else data[end:]


_ENCODED = "The file is {}, and scripts are UTF-8: save it as UTF-8 (in Notepad: Save as, Encoding)."
_UTF16 = _ENCODED.format("UTF-16")
_COMPILED = "The file is {}, which is compiled already: give the source that it was made from."
_PACKED = "The file is {}: unpack it, and give the script inside."
_REPLACEMENT = b"\xef\xbf\xbd"  # stands for a byte that was no UTF-8 where somebody read the file as text
_KINDS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"\xff\xfe\0\0", b"\0\0\xfe\xff"), _ENCODED.format("UTF-32")),
    ((b"\xff\xfe", b"\xfe\xff", _REPLACEMENT * 2), _UTF16),
    ((b"\x1bLua",), _COMPILED.format("bytecode of Lua")),
    ((b"\x1bLJ",), _COMPILED.format("bytecode of LuaJIT")),
    (tuple(bytes([version]) for version in range(1, 9)), _COMPILED.format("bytecode of Luau")),
    ((b"\x1f\x8b", b"\x1f" + _REPLACEMENT), _PACKED.format("a gzip archive")),
    ((b"PK\x03\x04",), _PACKED.format("a ZIP archive")),
    ((b"7z\xbc\xaf\x27\x1c",), _PACKED.format("a 7z archive")),
    ((b"Rar!\x1a",), _PACKED.format("a RAR archive")),
    ((b"\x28\xb5\x2f\xfd",), _PACKED.format("a zstd archive")),
    (
        (b"<roblox",),
        "The file is a Roblox model or place: give the script inside as text (in Studio, copy its source into a .luau file).",
    ),
    ((b"{\\rtf",), "The file is a document (RTF): save it as plain text."),
    ((b"%PDF",), "The file is a document (PDF): save it as plain text."),
)
_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")
_SAMPLE_BYTES = 512
_MANY_NUL = 4
"""One or two may have got into a script by accident."""


def what_else_it_is(data: bytes) -> str:
    """What a file is instead of a script and what to do, by its first bytes; nothing for what may be one."""
    for beginnings, reason in _KINDS:
        if data.startswith(beginnings):
            return reason
    begin = without_marks(data[:_SAMPLE_BYTES]).lstrip()
    if begin.lower().startswith(_WEB_PAGE):
        return "The file is a web page (HTML or XML): what was downloaded is not the script, but a page about it or an error."
    if b"\0" in begin:
        letters = [begin[0::2], begin[1::2]]
        if any(not half.strip(b"\0") for half in letters):
            return _UTF16
        if begin.count(b"\0") >= _MANY_NUL:
            return "The file is not text: NUL bytes stand near its beginning."
    return ""
