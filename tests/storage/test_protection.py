"""How scripts are protected, as it is stored: settings, Luraph's options, and the sealed keys; in every engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from moonlatch.storage import builds, luraph_keys, projects, scripts
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from support.accounts import REMOVE_ACCOUNT, add_account
from support.database import ENGINES, engine_url, opened_at


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as address:
        yield address


@pytest.fixture
async def database(url: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened_at(url, tmp_path) as fresh:
        await add_account(fresh, "a")
        yield fresh


async def test_settings_of_projects_scripts_and_builds_come_back_as_they_were(database: Database) -> None:
    project = Project(id="p", account_id="a", name="p", created_at=1, luraph_options={"A": True, "Ü": '"\\'})
    script = Script(id="s", project_id="p", name="s", created_at=1, profile="light", target="lua51", engine="luraph")
    protection = Protection(profile="minify", target="luau", engine="luraph")

    async def unit(tx: Transaction) -> None:
        await projects.insert(tx, project)
        await scripts.insert(tx, script)
        await builds.insert(tx, "s", 1, payload=b"x", protection=protection, source_bytes=1, now=1)

    await database.run(unit)
    assert await projects.find(database, "p") == project
    assert await scripts.find_owned(database, "s", "a") == script
    assert [build.protection for build in await builds.list_of_script(database, "s")] == [protection]
    bare = msgspec.structs.replace(script, profile=None, target=None, engine=None)
    changed = msgspec.structs.replace(project, engine="luraph", luraph_options={})
    await database.run(lambda tx: scripts.save_settings(tx, bare))
    await database.run(lambda tx: projects.save(tx, changed, now=1))
    assert await scripts.find(database, "s") == bare
    assert await projects.find_owned(database, "p", "a") == changed


async def test_an_account_has_one_key_which_goes_with_it(database: Database) -> None:
    sealed = bytes(range(256))
    assert await luraph_keys.find(database, "a") is None
    for content in (b"first", sealed):
        await database.run(lambda tx, content=content: luraph_keys.put(tx, "a", content))  # type: ignore[misc]
    assert await luraph_keys.find(database, "a") == sealed
    await database.run(lambda tx: luraph_keys.clear(tx, "a"))
    assert await luraph_keys.find(database, "a") is None
    await database.run(lambda tx: luraph_keys.put(tx, "a", sealed))
    await database.run(lambda tx: tx.execute(REMOVE_ACCOUNT, id="a"))
    assert await luraph_keys.find(database, "a") is None
