"""A real database for each test, on every engine. Import `database` into a `conftest.py` to have one in SQLite as a fixture."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from moonlatch.storage.interface import Database, HotRow, Query
from moonlatch.storage.postgres.engine import PostgresOptions, open_postgres
from moonlatch.storage.sqlite.engine import SqliteDatabase, open_sqlite
from support.rounds import IS_LONG

ENGINES = ("sqlite", "postgres")
FIRST_ENGINES = ENGINES if IS_LONG else ENGINES[:1]
"""For what is decided before a database is asked: the short form looks at it once."""
PATIENT = PostgresOptions(deadline_seconds=30)
"""A busy machine may need longer than a server in use would wait; tests that look at deadlines set their own."""


@contextmanager
def engine_url(request: pytest.FixtureRequest, engine: str) -> Iterator[str]:
    """The setting `database_url` for an engine of that name: empty for SQLite, a fresh, migrated database for PostgreSQL."""
    if engine == "sqlite":
        yield ""
        return
    with request.getfixturevalue("databases").migrated() as url:  # asked for here only: it starts a server
        yield url


@pytest.fixture(scope="module", params=FIRST_ENGINES, name="database_url")
def first_engine_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `engine_url`; import it into a module that shall run on the other engine in the long form only."""
    with engine_url(request, request.param) as url:
        yield url


_migrated: list[bytes] = []


async def fresh_sqlite(path: Path) -> SqliteDatabase:
    """The database at `path`, which is a copy of one that is migrated once per process where there is none yet."""
    if not path.exists():
        if not _migrated:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "moonlatch.db"
                await (await open_sqlite(file)).close()
                _migrated.append(file.read_bytes())
        path.touch(mode=0o600)
        path.write_bytes(_migrated[0])
    return await open_sqlite(path)


@asynccontextmanager
async def opened_at(url: str, folder: Path) -> AsyncIterator[Database]:
    """The database that these settings mean, closed at the end."""
    database = await (open_postgres(url, PATIENT) if url else fresh_sqlite(folder / "moonlatch.db"))
    try:
        yield database
    finally:
        await database.close()


async def asked(database: Database, hot: Query, *values: Any) -> HotRow | None:
    """A hot query's row, whether the engine has it at hand or not."""
    answer = database.ask(hot, values)
    return await answer if isinstance(answer, asyncio.Future) else answer


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The SQLite database at `path`, closed at the end."""
    database = await fresh_sqlite(path)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An empty, migrated database of its own for one test."""
    async with opened(tmp_path / "moonlatch.db") as fresh:
        yield fresh
