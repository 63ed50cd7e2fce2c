"""Searches that look at many rows: nobody else waits for them, and they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moonlatch.storage.interface import Query, Unavailable
from moonlatch.storage.sqlite import searching
from support import rows
from support.database import fresh_sqlite

ENDLESS = Query(
    "test.endless",
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < :most) select max(i) from n",
)
MANY = 10**12


async def test_the_loop_goes_on_during_a_search_and_the_search_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_SECONDS", 0.5)
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    project = await rows.add_project(database)
    search = asyncio.create_task(database.search(ENDLESS, most=MANY))
    answered = 0
    while not search.done():
        assert await rows.value(database, "select name from projects where id = :id", id=project)
        answered += 1
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="took too long"):
        await search
    assert answered > 1
    await database.close()


async def test_a_search_sees_what_was_committed(tmp_path: Path) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    project = await rows.add_project(database)
    ((found,),) = await database.search(Query("test.find", "select id from projects where id = :id"), id=project)
    assert found == project
    await database.close()


async def test_each_search_sees_what_was_committed_before_it_and_one_that_was_given_up_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    count = Query("test.count", "select count(*) from projects")
    for number in range(1, 4):
        await rows.add_project(database)
        assert tuple((await database.search(count))[0]) == (number,)
    with monkeypatch.context() as shorter:
        shorter.setattr(searching, "MOST_SECONDS", 0.1)
        with pytest.raises(Unavailable):
            await database.search(ENDLESS, most=MANY)
    await rows.add_project(database)
    assert tuple((await database.search(count))[0]) == (4,)
    await database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["moonlatch.db"], "the log is folded in, for nobody holds it"


async def test_no_more_than_two_search_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_SECONDS", 0.3)
    database = await fresh_sqlite(tmp_path / "moonlatch.db")
    searches = [asyncio.create_task(database.search(ENDLESS, most=MANY)) for _ in range(3)]
    done, _ = await asyncio.wait(searches, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) < 3
    await asyncio.gather(*searches, return_exceptions=True)
    await database.close()
