"""Opens the database that the settings ask for. Nothing else in the program chooses between engines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from moonlatch.config import Settings
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import Migration, shipped_migrations
from moonlatch.storage.rewriting import Told, log_progress, master_key_from
from moonlatch.storage.sqlite.engine import SqliteDatabase, migrate_file, open_sqlite

if TYPE_CHECKING:  # where SQLite is the database, its driver need not be there
    from moonlatch.storage.postgres.engine import PostgresDatabase


async def open_database(settings: Settings) -> SqliteDatabase | PostgresDatabase:
    """Open it; a new one gets its schema, and SQLite's is brought up to date.

    Raises StorageError; SchemaTooOld when PostgreSQL's schema needs `moonlatch migrate` first, SchemaTooNew; MissingExtraError.
    """
    url = settings.database_url.get_secret_value()
    if not url:
        return await open_sqlite(settings.database_file, master_key=master_key_from(settings.master_key))
    from moonlatch.storage.postgres.connections import PostgresOptions
    from moonlatch.storage.postgres.engine import open_postgres

    options = PostgresOptions(
        max_connections=settings.database.max_connections, deadline_seconds=settings.database.deadline_seconds
    )
    return await open_postgres(url, options)


async def migrate_database(settings: Settings, told: Told = log_progress) -> tuple[list[Migration], int]:
    """Bring the schema up to date; gives what was applied, and the version it has now. `told` may be called from another thread.

    Raises StorageError, SchemaTooNew, MissingExtraError.
    """
    url = settings.database_url.get_secret_value()
    if url:
        from moonlatch.storage.postgres.migration import migrate_postgres

        migrations = shipped_migrations("postgres")
        applied = await migrate_postgres(
            url,
            migrations,
            deadline_seconds=settings.database.deadline_seconds,
            master_key=master_key_from(settings.master_key),
            told=told,
        )
    elif settings.database_file.exists():
        migrations = shipped_migrations("sqlite")
        applied = await asyncio.to_thread(
            migrate_file, settings.database_file, told, master_key_from(settings.master_key)
        )
    else:
        raise StorageError(f"there is no Moonlatch data in {settings.data_dir}")
    return applied, migrations[-1].version
