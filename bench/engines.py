"""The engines behind the measured servers: SQLite always, PostgreSQL where one runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.services import DATABASE_URL_VARIABLE, REDIS_URL_VARIABLE, Databases, redis_command

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
STANDARD_REDIS = "redis://127.0.0.1:6379/15"
STANDARD_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"


class NotThereError(Exception):
    """The engine does not run on this machine; the message says where it was looked for."""


@contextlib.contextmanager
def database(engine: str) -> Iterator[str]:
    """The setting `database_url` for a fresh database: empty for SQLite. Raises NotThereError.

    Not the tests' own PostgreSQL, which does not flush to disk: what is measured is durable.
    """
    if engine == SQLITE:
        yield ""
        return
    server = os.environ.get(DATABASE_URL_VARIABLE, STANDARD_POSTGRES)
    databases = Databases(server)
    try:
        databases.execute("select 1")
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise NotThereError(f"no PostgreSQL that lets us in, at {DATABASE_URL_VARIABLE} or on port 5432") from error
    with contextlib.closing(databases), databases.migrated() as url:
        yield url


def redis_url() -> str:
    """The setting `redis_url`. Raises NotThereError."""
    url = os.environ.get(REDIS_URL_VARIABLE, STANDARD_REDIS)
    try:
        redis_command(url, "PING")
    except (OSError, ValueError) as error:
        raise NotThereError(f"no Redis at {REDIS_URL_VARIABLE} or on port 6379") from error
    return url
