"""Errors of a script as if its copies had reported them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

MESSAGE = "attempt to index nil with <b>Humanoid</b>"


def add_error(
    database: Path,
    script: str,
    *,
    build: int = 1,
    line: int | None = None,
    message: str = MESSAGE,
    function: str = "follow",
    executor: str = "Delta",
) -> None:
    """Write down an error of a build; where `line` is None nobody knows the line of its source."""
    with sqlite3.connect(database, timeout=30) as connected:
        connected.execute(
            "insert into error_groups (id, script_id, build, place, kin, signature, kind, message, line, function, state, "
            "instances, keys, executors, first_seen, last_seen) values (?, ?, ?, '57', x'01', x'02', 'main', ?, ?, ?, 'open', "
            "37, 21, ?, 1, 2)",
            [
                f"{build}{script[1:]}",
                script,
                build,
                message,
                line,
                function,
                msgspec.json.encode({executor: 37}).decode(),
            ],
        )
