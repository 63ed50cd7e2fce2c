"""Brings a SQLite file's schema up to date. Never goes back to an earlier version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from moonlatch.clock import now_ms
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import CREATE_HISTORY, VERSIONS, Migration, missing
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS

_RECORD = "insert into schema_migrations (version, name, applied_at) values (?, ?, ?)"


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Apply what is missing, all of it or nothing, and give what was applied.

    Holds the file's exclusive lock throughout, so several processes may start at once. Raises SchemaTooNew when the
    file has versions that `migrations` does not, and StorageError when a migration fails.
    """
    # A table that is rebuilt breaks references for a moment; they are checked once, before the commit.
    connection.execute("pragma foreign_keys = off")
    try:
        connection.execute("begin exclusive")
        pending = _missing(connection, migrations)
        for migration in pending:
            _apply(connection, migration)
        if pending:
            _check_references(connection)
        connection.execute("commit")
    except DRIVER_ERRORS as error:
        raise StorageError(f"the schema cannot be brought up to date: {error}") from error
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
        connection.execute("pragma foreign_keys = on")
    return pending


def _missing(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    connection.execute(CREATE_HISTORY)
    return missing(migrations, {version for (version,) in connection.execute(VERSIONS)})


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    try:
        for statement in _statements(migration.sql):
            connection.execute(statement)
    except DRIVER_ERRORS as error:
        raise StorageError(f"migration {migration.version:04} ({migration.name}) failed: {error}") from error
    connection.execute(_RECORD, (migration.version, migration.name, now_ms()))


def _statements(sql: str) -> Iterator[str]:
    """Split at line ends that complete a statement (`executescript` would commit our transaction first)."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _check_references(connection: sqlite3.Connection) -> None:
    broken = connection.execute("pragma foreign_key_check").fetchone()
    if broken is not None:
        raise StorageError(f"after the migrations a row of {broken[0]} refers to a missing row of {broken[2]}")
