"""Opens the database that the settings ask for. Nothing else in the program chooses between engines."""

from __future__ import annotations

import asyncio

from moonlatch.config import Settings
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import Migration, shipped_migrations
from moonlatch.storage.postgres.connections import PostgresOptions
from moonlatch.storage.postgres.engine import PostgresDatabase, open_postgres
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.sqlite.engine import SqliteDatabase, migrate_file, open_sqlite


async def open_database(settings: Settings) -> SqliteDatabase | PostgresDatabase:
    """Open it; a new one gets its schema, and SQLite's is brought up to date.

    Raises StorageError; SchemaTooOld when PostgreSQL's schema needs `moonlatch migrate` first, SchemaTooNew.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        return await open_sqlite(settings.database_file)
    options = PostgresOptions(
        max_connections=settings.database.max_connections, deadline_seconds=settings.database.deadline_seconds
    )
    return await open_postgres(url, options)


async def migrate_database(settings: Settings) -> tuple[list[Migration], int]:
    """Bring the schema up to date; gives what was applied, and the version it has now. Raises StorageError, SchemaTooNew."""
    url = settings.database_url.get_secret_value()
    if url:
        migrations = shipped_migrations("postgres")
        applied = await migrate_postgres(url, migrations, deadline_seconds=settings.database.deadline_seconds)
    elif settings.database_file.exists():
        migrations = shipped_migrations("sqlite")
        applied = await asyncio.to_thread(migrate_file, settings.database_file)
    else:
        raise StorageError(f"there is no Moonlatch data in {settings.data_dir}")
    return applied, migrations[-1].version
