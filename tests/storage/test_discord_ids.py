"""The migration that gives Discord ids their one spelling: nobody loses theirs, and nobody gets another's."""

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from moonlatch.storage.interface import Database, Query
from support import rows
from support.database import ENGINES, engine_url, opened_at

UPDATE = "update users set discord_id" + (
    (files("moonlatch.storage") / "migrations" / "0009_removed_users.sql")
    .read_text()
    .partition("update users set discord_id")[2]
    .rstrip()
    .removesuffix(";")
)
FOUND = Query("test.found", "select key, discord_id from users")


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as fresh:
            yield fresh


async def test_ids_get_their_one_spelling_unless_somebody_has_it(database: Database) -> None:
    project, other = await rows.add_project(database), await rows.add_project(database)
    before = {
        "plain": "1",
        "mention": "<@2>",
        "old mention": "<@!3>",
        "spaces": " 4 ",
        "taken": " 1 ",
        "twin": "<@5>",
        "other twin": "5 ",
        "a role's": "<@&6>",
        "a name": " ann ",
        "blank": " ",
    }
    for key, discord_id in before.items():
        await rows.insert(database, "users", id=key, key=key, project_id=project, discord_id=discord_id, created_at=1)
    await rows.insert(
        database, "users", id="elsewhere", key="elsewhere", project_id=other, discord_id=" 1", created_at=1
    )
    await rows.insert(database, "users", id="none", key="none", project_id=other, discord_id=None, created_at=1)

    await rows.change(database, UPDATE)

    after = {row["key"]: row["discord_id"] for row in await database.fetch_all(FOUND)}
    assert after == before | {"mention": "2", "old mention": "3", "spaces": "4", "elsewhere": "1", "none": None}
