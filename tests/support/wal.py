"""Reads SQLite's write-ahead log, to count the commits (and so the flushes) that really happened."""

from pathlib import Path

_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24


def commits_in_wal(path: Path) -> int:
    """Commit frames written since the log was last restarted (https://www.sqlite.org/fileformat.html#the_write_ahead_log)."""
    log = path.read_bytes() if path.exists() else b""
    if len(log) < _HEADER_BYTES:
        return 0
    page_bytes = int.from_bytes(log[8:12], "big")
    salts = log[16:24]
    commits = 0
    for start in range(_HEADER_BYTES, len(log), _FRAME_HEADER_BYTES + page_bytes):
        frame = log[start : start + _FRAME_HEADER_BYTES]
        if frame[8:16] != salts:
            break  # left over from before the restart
        commits += int.from_bytes(frame[4:8], "big") != 0
    return commits
