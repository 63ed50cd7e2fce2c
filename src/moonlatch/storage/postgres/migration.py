"""Brings a PostgreSQL database's schema up to date, one process at a time. Never goes back to an earlier version."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from moonlatch.clock import now_ms
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import (
    CREATE_HISTORY,
    VERSIONS,
    Migration,
    SchemaTooOld,
    missing,
    shipped_migrations,
)
from moonlatch.storage.postgres.connections import connected
from moonlatch.storage.postgres.errors import DRIVER_ERRORS, storage_error

MINIMUM_VERSION = 14

LOCK_WAIT_SECONDS = 300
"""How long to wait for another process that migrates, or for whoever uses a table that has to change."""

_LOCK = 0x6D6F6F6E6C  # "moonl"; within one database, a number for this purpose alone
_RECORD = "insert into schema_migrations (version, name, applied_at) values ($1, $2, $3)"


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
    url: str, migrations: Sequence[Migration], *, deadline_seconds: float = 10
) -> list[Migration]:
    """Apply what is missing, all of it or nothing, and give what was applied.

    Of processes that do it at the same time one works and the others wait, until they find nothing left to do. A
    migration may take as long as it needs. Raises SchemaTooNew, and StorageError when one fails.
    """
    async with connected(url, deadline_seconds=deadline_seconds) as connection:
        await _check_server(connection)
        try:
            async with connection.transaction():
                return await _migrate(connection, migrations)
        except DRIVER_ERRORS as error:
            raise StorageError(f"the schema cannot be brought up to date: {storage_error(error, {})}") from error


async def _migrate(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    await connection.execute(f"set local lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
    pending = await _pending(connection, migrations)
    if pending is None:
        await connection.execute(CREATE_HISTORY)
        pending = list(migrations)
    for migration in pending:
        await _apply(connection, migration)
    return pending


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


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
        await connection.execute(_RECORD, migration.version, migration.name, now_ms())
    except DRIVER_ERRORS as error:
        raise StorageError(
            f"migration {migration.version:04} ({migration.name}) failed: {storage_error(error, {})}"
        ) from error
