"""One pool of worker processes for the tests of a module, and a database for each test."""

from collections.abc import AsyncIterator

import pytest

from moonlatch.builds.pool import WorkerPool
from moonlatch.config.sections import ProtectorSettings
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.database import database as database
from support.publishing import Publishing


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(ProtectorSettings(workers=2, timeout_seconds=60, memory_mib=1024, max_waiting=30))
    yield pool
    await pool.close()


@pytest.fixture
def publishing(database: SqliteDatabase, workers: WorkerPool) -> Publishing:
    return Publishing(database, workers)
