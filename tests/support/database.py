"""A real database in a temporary folder for each test. Import `database` into a `conftest.py` to have it as a fixture."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from moonlatch.storage.interface import Database
from moonlatch.storage.sqlite import SqliteDatabase, open_sqlite


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The SQLite database at `path`, closed at the end."""
    database = await open_sqlite(path)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An empty, migrated database of its own for one test."""
    async with opened(tmp_path / "moonlatch.db") as fresh:
        yield fresh


Engine = Callable[[Path], AbstractAsyncContextManager[Database]]

ENGINES: dict[str, Engine] = {
    "sqlite": lambda folder: opened(folder / "moonlatch.db"),
}
"""Every engine, by name: gives an empty, migrated database; the folder is the test's own."""
