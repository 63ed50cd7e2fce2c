"""Stored builds and loaders: numbering, history, and what a script serves."""

from __future__ import annotations

import pytest

from moonlatch.storage import builds, loaders, scripts
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.loaders import LoaderInfo
from moonlatch.storage.scripts import Script
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.accounts import add_account, add_project
from support.database import database as database

PLAIN = Protection(profile="minify", target=None, engine="embedded")
SERVE = Query("test.serve", "update scripts set build = :number where id = 's'")


@pytest.fixture(autouse=True)
async def script(database: SqliteDatabase) -> None:
    await add_account(database, "a")
    await add_project(database, "p", account_id="a")
    await database.run(lambda tx: scripts.insert(tx, Script(id="s", project_id="p", name="s", created_at=1)))


async def publish(database: SqliteDatabase, *, loader_id: str | None = None) -> int:
    async def unit(tx: Transaction) -> int:
        number = await builds.number_next(tx, "s", loader_id=loader_id)
        assert number is not None
        await builds.insert(tx, "s", number, payload=b"text", protection=PLAIN, source_bytes=9, now=number)
        await builds.serve(tx, "s", number)
        return number

    return await database.run(unit)


async def test_builds_are_numbered_from_one_and_the_newest_is_served(database: SqliteDatabase) -> None:
    assert [await publish(database) for _ in range(3)] == [1, 2, 3]
    served = await scripts.find(database, "s")
    assert served is not None
    assert served.build == 3


async def test_a_build_tells_what_it_was_made_with(database: SqliteDatabase) -> None:
    await publish(database)
    (build,) = await builds.list_of_script(database, "s")
    assert (build.protection, build.source_bytes, build.payload_bytes) == (PLAIN, 9, 4)


async def test_a_number_is_not_given_again_while_an_earlier_build_is_served(database: SqliteDatabase) -> None:
    for _ in range(3):
        await publish(database)
    await database.run(lambda tx: tx.execute(SERVE, number=1))
    assert await publish(database) == 4


async def test_pruning_keeps_the_newest_and_the_one_that_is_served(database: SqliteDatabase) -> None:
    for _ in range(5):
        await publish(database)
    await database.run(lambda tx: tx.execute(SERVE, number=1))
    assert await database.run(lambda tx: builds.prune(tx, "s", keep=2)) == 2
    assert [build.number for build in await builds.list_of_script(database, "s")] == [5, 4, 1]


async def test_a_build_that_is_served_takes_no_place_in_the_history(database: SqliteDatabase) -> None:
    for _ in range(5):
        await publish(database)
    assert await database.run(lambda tx: builds.prune(tx, "s", keep=2)) == 2
    assert [build.number for build in await builds.list_of_script(database, "s")] == [5, 4, 3]
    assert await database.run(lambda tx: builds.prune(tx, "s", keep=2)) == 0


async def test_a_build_that_copies_run_is_kept_and_takes_no_place(database: SqliteDatabase) -> None:
    for _ in range(5):
        await publish(database)
    assert await database.run(lambda tx: builds.prune(tx, "s", keep=1, running={1, 4, 9})) == 1
    assert [build.number for build in await builds.list_of_script(database, "s")] == [5, 4, 3, 1]
    assert await database.run(lambda tx: builds.prune(tx, "s", keep=1)) == 2
    assert [build.number for build in await builds.list_of_script(database, "s")] == [5, 4]


async def test_a_script_that_is_gone_has_no_next_build(database: SqliteDatabase) -> None:
    assert await database.run(lambda tx: builds.number_next(tx, "gone", loader_id=None)) is None


async def test_an_update_without_a_new_loader_keeps_the_served_one(database: SqliteDatabase) -> None:
    assert await loaders.find_served(database, "s") is None
    loader = LoaderInfo(id="l", version=3, base_url="http://127.0.0.1:8400")
    await database.run(lambda tx: loaders.insert(tx, loader, "s", source=b"text", now=1))
    await publish(database, loader_id="l")
    await publish(database)
    assert await loaders.find_served(database, "s") == loader
