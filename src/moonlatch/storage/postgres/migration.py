"""Brings a PostgreSQL database's schema up to date, one process at a time. Never goes back to an earlier version."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import asyncpg

from moonlatch.clock import now_ms
from moonlatch.keyring import Keyring
from moonlatch.storage.interface import StorageError, numbered
from moonlatch.storage.migration import (
    BEGUN,
    CREATE_HISTORY,
    VERSIONS,
    Migration,
    SchemaTooOld,
    missing,
    shipped_migrations,
)
from moonlatch.storage.postgres.connections import connected
from moonlatch.storage.postgres.errors import DRIVER_ERRORS, storage_error
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

MINIMUM_VERSION = 14

LOCK_WAIT_SECONDS = 300
"""How long to wait for another process that migrates, or for whoever uses a table that has to change."""

_LOCK = 0x6D6F6F6E6C  # "moonl"; within one database, a number for this purpose alone
_RECORD = "insert into schema_migrations (version, name, applied_at) values ($1, $2, $3)"
_KEY_CHECK = "select key_check from installation where id = 1"
_SET_KEY_CHECK = "insert into installation (id, key_check) values (1, $1)"


async def prepare_schema(url: str, deadline_seconds: float) -> None:
    """Make the schema in an empty database; otherwise only see whether it is the one this program needs.

    Many processes may start on one database, some of them still of the earlier version: when its schema changes is for
    its operator to say. Raises StorageError, SchemaTooOld and SchemaTooNew.
    """
    async with connected(url, deadline_seconds=deadline_seconds) as connection:
        await _check_server(connection)
        pending = await _pending(connection, shipped_migrations("postgres"))
    if pending is None:
        await migrate_postgres(url, shipped_migrations("postgres"), deadline_seconds=deadline_seconds)
    elif pending:
        raise SchemaTooOld(
            f"the database's schema lacks {len(pending)} of this program's migrations, "
            f"the first of them {pending[0].version:04} ({pending[0].name})"
        )


async def migrate_postgres(
    url: str,
    migrations: Sequence[Migration],
    *,
    deadline_seconds: float = 10,
    master_key: MasterKey = no_master_key,
    told: Told = log_progress,
) -> list[Migration]:
    """Apply what is missing and give what was applied: all of it or nothing, but for migrations that rewrite rows.

    Of processes that do it at the same time one works and the others wait, until they find nothing left to do. A
    migration may take as long as it needs. Servers of before may write while rows are rewritten; once the migration has
    ended they fail. Raises SchemaTooNew, and StorageError when one fails.
    """
    async with connected(url, deadline_seconds=deadline_seconds) as connection:
        await _check_server(connection)
        rewriter = _Rewriter(connection, master_key, told)
        applied: list[Migration] = []
        try:
            await connection.execute(f"set lock_timeout = '{LOCK_WAIT_SECONDS}s'")
            await connection.execute("select pg_advisory_lock($1)", _LOCK)
            while True:
                async with connection.transaction():
                    done, rewriting = await _apply_until_rewrite(connection, migrations)
                applied += done
                if rewriting is None:
                    return applied
                await rewriter.rewrite(rewriting, commits=True)
                async with connection.transaction():
                    for rewrite in rewriting.rewrites:
                        await connection.execute(f"lock table {rewrite.table} in access exclusive mode")
                    await rewriter.rewrite(rewriting, commits=False)
                    await _finish(connection, rewriting)
                applied.append(rewriting)
        except DRIVER_ERRORS as error:
            raise StorageError(f"the schema cannot be brought up to date: {storage_error(error, {})}") from error


async def _apply_until_rewrite(
    connection: asyncpg.Connection, migrations: Sequence[Migration]
) -> tuple[list[Migration], Migration | None]:
    """What was applied, and the migration whose rows are to be rewritten next."""
    applied: list[Migration] = []
    pending = await _pending(connection, migrations)
    if pending is None:
        await connection.execute(CREATE_HISTORY)
        pending = list(migrations)
    for migration in pending:
        await _begin(connection, migration)
        if await _has_rows(connection, migration):
            return applied, migration
        await _finish(connection, migration)
        applied.append(migration)
    return applied, None


async def _begin(connection: asyncpg.Connection, migration: Migration) -> None:
    if migration.rewrites:
        if await connection.fetchval("select to_regclass($1)", BEGUN) is not None:
            return
        await connection.execute(f"create table {BEGUN} (version integer)")
    await _run(connection, migration, migration.sql)


async def _has_rows(connection: asyncpg.Connection, migration: Migration) -> bool:
    return any([await connection.fetchval(rewrite.count) for rewrite in migration.rewrites])


async def _finish(connection: asyncpg.Connection, migration: Migration) -> None:
    if migration.rewrites:
        await _run(connection, migration, migration.finish)
        await connection.execute(f"drop table {BEGUN}")
    await connection.execute(_RECORD, migration.version, migration.name, now_ms())


async def _check_server(connection: asyncpg.Connection) -> None:
    if connection.get_server_version().major < MINIMUM_VERSION:
        raise StorageError(f"the server is older than PostgreSQL {MINIMUM_VERSION}")
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise StorageError(
            f"the database has the encoding {encoding}, but UTF8 is needed: create database ... encoding 'UTF8'"
        )


async def _pending(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[Migration] | None:
    """What the database lacks of them; None when it never had any."""
    try:
        if await connection.fetchval("select to_regclass('schema_migrations')") is None:
            return None
        return missing(migrations, {version for (version,) in await connection.fetch(VERSIONS)})
    except DRIVER_ERRORS as error:
        raise storage_error(error, {}) from error


async def _run(connection: asyncpg.Connection, migration: Migration, sql: str) -> None:
    try:
        await connection.execute(sql)
    except DRIVER_ERRORS as error:
        raise StorageError(
            f"migration {migration.version:04} ({migration.name}) failed: {storage_error(error, {})}"
        ) from error


class _Rewriter:
    """Rewrites rows through one connection; it asks for the master key when it meets the first of them."""

    def __init__(self, connection: asyncpg.Connection, master_key: MasterKey, told: Told) -> None:
        self._connection = connection
        self._master_key = master_key
        self._told = told
        self._keyring: Keyring | None = None

    async def rewrite(self, migration: Migration, *, commits: bool) -> None:
        """Rewrite what is left, each batch in a transaction of its own (`commits`), or all of it in the one that is open."""
        for rewrite in migration.rewrites:
            left = await self._connection.fetchval(rewrite.count)
            done, place = 0, rewrite.before_all
            while True:
                async with self._connection.transaction() if commits else contextlib.nullcontext():
                    rows = await self._batch(rewrite, place)
                if rows:
                    done, place = done + len(rows), rewrite.place_of(rows[-1])
                    self._told(rewrite.what, min(done, left), left)
                elif place == rewrite.before_all:
                    break
                else:  # whoever writes meanwhile may have added some behind us
                    place = rewrite.before_all

    async def _batch(self, rewrite: Rewrite, place: Row) -> list[Row]:
        rows = [tuple(row) for row in await self._connection.fetch(numbered(rewrite.select, "$"), *place, ROWS_AT_ONCE)]
        if rows:
            keyring = await self._opened()
            made = [rewrite.made(keyring, row) for row in rows]
            await self._connection.executemany(numbered(rewrite.update, "$"), made)
        return rows

    async def _opened(self) -> Keyring:
        if self._keyring is None:
            self._keyring = self._master_key()
            known = await self._connection.fetchval(_KEY_CHECK)
            require_same(self._keyring, known)
            if known is None:
                await self._connection.execute(_SET_KEY_CHECK, self._keyring.check_value())
        return self._keyring
