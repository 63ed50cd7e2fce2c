"""Brings a SQLite file's schema up to date from the numbered files in `migrations/`. Never goes back to an earlier version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from moonlatch.clock import now_ms
from moonlatch.storage.connection import DRIVER_ERRORS
from moonlatch.storage.interface import StorageError

_CREATE = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    applied_at bigint not null
)"""
_APPLIED = "select version from schema_migrations"
_RECORD = "insert into schema_migrations (version, name, applied_at) values (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema. In its SQL every statement ends at the end of a line."""

    version: int
    name: str
    sql: str


class SchemaTooNew(StorageError):
    """The file was last used by a newer version of this program."""


def shipped_migrations() -> list[Migration]:
    """The migrations this program comes with, in order; `0001_initial.sql` is version 1, `initial`."""
    folder = files("moonlatch.storage") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


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
    connection.execute(_CREATE)
    applied = {version for (version,) in connection.execute(_APPLIED)}
    newest = max((migration.version for migration in migrations), default=0)
    if applied and max(applied) > newest:
        raise SchemaTooNew(
            f"the database has schema version {max(applied)}, and this program knows versions up to {newest}; "
            "run the newer program, or restore a backup made with this one"
        )
    return [migration for migration in migrations if migration.version not in applied]


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
