"""A pool of worker processes and a database for each test; most modules share a pool (`support.shared_workers`)."""

from collections.abc import AsyncIterator

import pytest

from moonlatch.builds.pool import WorkerPool
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.database import database as database
from support.publishing import Publishing
from support.shared_workers import TWO_WORKERS


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(TWO_WORKERS)
    yield pool
    await pool.close()


@pytest.fixture
def publishing(database: SqliteDatabase, workers: WorkerPool) -> Publishing:
    return Publishing(database, workers)
