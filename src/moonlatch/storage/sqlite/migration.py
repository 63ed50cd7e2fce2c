"""Brings a SQLite file's schema up to date. Never goes back to an earlier version."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from moonlatch.clock import now_ms
from moonlatch.keyring import Keyring
from moonlatch.storage.interface import StorageError, parameter_names
from moonlatch.storage.migration import BEGUN, CREATE_HISTORY, VERSIONS, Migration, missing
from moonlatch.storage.rewriting import (
    ROWS_AT_ONCE,
    MasterKey,
    Rewrite,
    Row,
    Told,
    log_progress,
    no_master_key,
    require_same,
)
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS

_RECORD = "insert into schema_migrations (version, name, applied_at) values (?, ?, ?)"
_KEY_CHECK = "select key_check from installation where id = 1"
_SET_KEY_CHECK = "insert into installation (id, key_check) values (1, ?)"

_REMAINS = 1
"""The file's `user_version` while pages of it may hold what was rewritten."""

logger = logging.getLogger(__name__)


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Migration],
    *,
    master_key: MasterKey = no_master_key,
    told: Told = log_progress,
) -> list[Migration]:
    """Apply what is missing and give what was applied: all of it or nothing, but for migrations that rewrite rows.

    Holds the file's exclusive lock throughout, so several processes may start at once; between the batches of a
    rewrite it lets go of it, and whoever comes joins in. Raises SchemaTooNew when the file has versions that `migrations`
    does not, and StorageError when a migration fails.
    """
    # A table that is rebuilt breaks references for a moment; they are checked once, before the commit.
    connection.execute("pragma foreign_keys = off")
    (erases,) = connection.execute("pragma secure_delete").fetchone()
    connection.execute("pragma secure_delete = on")
    applied: list[Migration] = []
    try:
        while True:
            with _exclusively(connection):
                done, rewriting = _apply_until_rewrite(connection, migrations)
            applied += done
            if rewriting is None:
                break
            rewriter = _Rewriter(connection, master_key, told)
            rewriter.rewrite(rewriting, commits=True)
            with _exclusively(connection):
                # Another process may have been faster; one of before may have added rows.
                if rewriting in _missing(connection, migrations):
                    rewriter.rewrite(rewriting, commits=False)
                    _finish(connection, rewriting)
                    _check_references(connection)
                    connection.execute(f"pragma user_version = {_REMAINS}")
                    applied.append(rewriting)
        _remove_remains(connection)
    except DRIVER_ERRORS as error:
        raise StorageError(f"the schema cannot be brought up to date: {error}") from error
    finally:
        connection.execute(f"pragma secure_delete = {erases}")
        connection.execute("pragma foreign_keys = on")
    return applied


@contextlib.contextmanager
def _exclusively(connection: sqlite3.Connection, begin: str = "begin exclusive") -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def _apply_until_rewrite(
    connection: sqlite3.Connection, migrations: Sequence[Migration]
) -> tuple[list[Migration], Migration | None]:
    """What was applied, and the migration whose rows are to be rewritten next."""
    applied: list[Migration] = []
    pending = _missing(connection, migrations)
    for migration in pending:
        _begin(connection, migration)
        if _has_rows(connection, migration):
            _check_references(connection)
            return applied, migration
        _finish(connection, migration)
        applied.append(migration)
    if pending:
        _check_references(connection)
        if len(pending) < len(migrations) and any(migration.rewrites for migration in applied):
            connection.execute(f"pragma user_version = {_REMAINS}")  # of rows that were removed
    return applied, None


def _missing(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    connection.execute(CREATE_HISTORY)
    return missing(migrations, {version for (version,) in connection.execute(VERSIONS)})


def _begin(connection: sqlite3.Connection, migration: Migration) -> None:
    if migration.rewrites:
        if _is_begun(connection):
            return
        connection.execute(f"create table {BEGUN} (version integer)")
    _run(connection, migration, migration.sql)


def _is_begun(connection: sqlite3.Connection) -> bool:
    return connection.execute("select 1 from sqlite_schema where name = ?", (BEGUN,)).fetchone() is not None


def _has_rows(connection: sqlite3.Connection, migration: Migration) -> bool:
    return any(connection.execute(rewrite.count).fetchone()[0] for rewrite in migration.rewrites)


def _finish(connection: sqlite3.Connection, migration: Migration) -> None:
    if migration.rewrites:
        _run(connection, migration, migration.finish)
        connection.execute(f"drop table {BEGUN}")
    connection.execute(_RECORD, (migration.version, migration.name, now_ms()))


def _run(connection: sqlite3.Connection, migration: Migration, sql: str) -> None:
    try:
        for statement in _statements(sql):
            connection.execute(statement)
    except DRIVER_ERRORS as error:
        raise StorageError(f"migration {migration.version:04} ({migration.name}) failed: {error}") from error


class _Rewriter:
    """Rewrites rows through one connection; it asks for the master key when it meets the first of them."""

    def __init__(self, connection: sqlite3.Connection, master_key: MasterKey, told: Told) -> None:
        self._connection = connection
        self._master_key = master_key
        self._told = told
        self._keyring: Keyring | None = None

    def rewrite(self, migration: Migration, *, commits: bool) -> None:
        """Rewrite what is left, each batch in a transaction of its own (`commits`), or all of it in the one that is open."""
        for rewrite in migration.rewrites:
            left, done, place = 0, 0, rewrite.before_all
            while True:
                with _exclusively(self._connection, "begin immediate") if commits else contextlib.nullcontext():
                    if not _is_begun(self._connection):  # another process has finished it
                        return
                    if not done:
                        (left,) = self._connection.execute(rewrite.count).fetchone()
                    rows = self._batch(rewrite, place)
                if rows:
                    done, place = done + len(rows), rewrite.place_of(rows[-1])
                    self._told(rewrite.what, min(done, left), left)
                elif place == rewrite.before_all:
                    break
                else:  # whoever writes meanwhile may have added some behind us
                    place = rewrite.before_all

    def _batch(self, rewrite: Rewrite, place: Row) -> list[Row]:
        behind = _named(rewrite.select, (*place, ROWS_AT_ONCE))
        rows = [tuple(row) for row in self._connection.execute(rewrite.select, behind)]
        if rows:
            keyring = self._opened()
            made = [_named(rewrite.update, rewrite.made(keyring, row)) for row in rows]
            self._connection.executemany(rewrite.update, made)
        return rows

    def _opened(self) -> Keyring:
        if self._keyring is None:
            self._keyring = self._master_key()
            known = self._connection.execute(_KEY_CHECK).fetchone()
            require_same(self._keyring, known and known[0])
            if known is None:
                self._connection.execute(_SET_KEY_CHECK, (self._keyring.check_value(),))
        return self._keyring


def _remove_remains(connection: sqlite3.Connection) -> None:
    """Write the whole file anew where pages of it may hold what was rewritten, and empty the write-ahead log.

    What keeps it from being done now (no room for a second file, somebody who reads) leaves it to the next start.
    """
    (version,) = connection.execute("pragma user_version").fetchone()
    if version != _REMAINS:
        return
    path = Path(connection.execute("select file from pragma_database_list where name = 'main'").fetchone()[0])
    try:
        if shutil.disk_usage(path.parent).free < 2 * path.stat().st_size:
            raise sqlite3.OperationalError("there is not room on the disk for the file twice more")
        logger.info("writing %s anew, without what was removed from it", path.name)
        connection.execute("vacuum")
        (is_busy, *_) = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if is_busy:
            raise sqlite3.OperationalError("another program is reading it")
        connection.execute("pragma user_version = 0")
    except (*DRIVER_ERRORS, OSError) as error:
        logger.warning(
            "%s may still hold keys in clear where rows were removed: it could not be written anew (%s). The next start tries again.",
            path.name,
            error,
        )


def _named(sql: str, values: Row) -> dict[str, Any]:
    return dict(zip(parameter_names(sql), values, strict=True))


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
