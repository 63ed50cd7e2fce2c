"""Opens the database that the settings ask for. Nothing else in the program chooses between engines."""

from __future__ import annotations

from moonlatch.config import Settings
from moonlatch.storage.postgres import PostgresDatabase, open_postgres
from moonlatch.storage.postgres_connections import PostgresOptions
from moonlatch.storage.sqlite import SqliteDatabase, open_sqlite


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
