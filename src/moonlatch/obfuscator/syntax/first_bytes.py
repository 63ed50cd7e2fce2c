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
