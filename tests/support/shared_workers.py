"""One pool of worker processes for all tests of a module: each process takes a quarter of a second to start.

Import the fixtures into the module, whose tests then share an event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from moonlatch.builds.pool import WorkerPool
from moonlatch.config.sections import ProtectorSettings
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.database import opened

TWO_WORKERS = ProtectorSettings(workers=2, timeout_seconds=60, memory_mib=1024, max_waiting=30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(TWO_WORKERS)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="module")
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An empty, migrated database of its own for one test."""
    async with opened(tmp_path / "moonlatch.db") as fresh:
        yield fresh
