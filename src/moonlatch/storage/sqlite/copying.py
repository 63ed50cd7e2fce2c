"""Copies of a SQLite database, taken while others write to it, and whether a file is a sound one. Knows no archive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from moonlatch.storage.interface import StorageError
from moonlatch.storage.sqlite.connection import BUSY_SECONDS, DRIVER_ERRORS

_COUNTED = ("accounts", "projects", "scripts", "users")


def copy_database(source: Path, target: Path) -> None:
    """Write the database as one moment saw it into a new file (mode 0600), without anything that was removed. Raises StorageError.

    Nobody waits for it: writers go on, and their later commits are not in the copy.
    """
    try:
        target.touch(mode=0o600, exist_ok=False)
        with closing(open_read_only(source)) as connection:
            connection.execute("vacuum into ?", (str(target),))
    except (*DRIVER_ERRORS, OSError) as error:
        raise StorageError(f"{source} cannot be copied: {error}") from error


def schema_of_sound(path: Path) -> int:
    """The schema version of a database in which SQLite finds no damage and no row that refers to a missing one.

    Raises StorageError for any other file.
    """
    try:
        with closing(open_read_only(path)) as connection:
            found = [row[0] for row in connection.execute("pragma integrity_check(10)")]
            if found != ["ok"]:
                raise StorageError(f"{path.name} is damaged: {'; '.join(found)}")
            if connection.execute("pragma foreign_key_check").fetchone() is not None:
                raise StorageError(f"{path.name} is damaged: a row refers to a missing one")
            (version,) = connection.execute("select max(version) from schema_migrations").fetchone()
            return int(version)
    except DRIVER_ERRORS as error:
        raise StorageError(f"{path.name} is not a database of Moonlatch: {error}") from error


def count_nouns(path: Path) -> dict[str, int]:
    """How many of what people know is in a database. Raises StorageError."""
    try:
        with closing(open_read_only(path)) as connection:
            return {
                table: connection.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608 -- our own names
                for table in _COUNTED
            }
    except DRIVER_ERRORS as error:
        raise StorageError(f"{path.name} is not a database of Moonlatch: {error}") from error


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing in the file. Raises `sqlite3.Error`."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
