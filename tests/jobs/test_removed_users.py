"""Removed users are kept for seven days, and then nothing of them is."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from moonlatch.clock import DAY_MS
from moonlatch.jobs.retention import BATCH, REMOVED_USERS_KEPT, remove_old
from moonlatch.storage.interface import Database, Query, Transaction
from moonlatch.storage.removed_users import keep
from moonlatch.storage.users import User
from support import rows
from support.database import ENGINES, engine_url, opened_at
from support.keys import stored

NOW = 1_700_000_000_000
LEFT = Query("test.left", "select record from removed_users order by record")


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened_at(database_url, tmp_path) as fresh:
        yield fresh


async def remove(database: Database, keys: list[str], at: int) -> None:
    project = await rows.add_project(database)

    async def unit(tx: Transaction) -> None:
        await keep(
            tx,
            [
                User(id=key, project_id=project, created_at=1, **stored(key, user_id=key, project_id=project))
                for key in keys
            ],
            now=at,
            by="developer",
        )

    await database.run(unit)


async def left(database: Database) -> list[str]:
    return [msgspec.json.decode(row[0])["id"] for row in await database.fetch_all(LEFT)]


async def test_they_are_forgotten_after_seven_days_and_no_sooner(database: Database) -> None:
    await remove(database, ["first"], NOW)
    await remove(database, ["second"], NOW + 1)
    assert await remove_old(database, REMOVED_USERS_KEPT, now=NOW + 7 * DAY_MS) == 0
    assert await left(database) == ["first", "second"]
    assert await remove_old(database, REMOVED_USERS_KEPT, now=NOW + 7 * DAY_MS + 1) == 1
    assert await left(database) == ["second"]


async def test_more_than_one_batch_is_forgotten_in_one_run(database: Database) -> None:
    await remove(database, [f"{number:05}" for number in range(2 * BATCH + 7)], NOW)
    assert await remove_old(database, REMOVED_USERS_KEPT, now=NOW + 8 * DAY_MS) == 2 * BATCH + 7
    assert await left(database) == []
