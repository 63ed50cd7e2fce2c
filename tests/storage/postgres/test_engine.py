"""What only the PostgreSQL engine does: it repeats units that met others, and keeps its connections sound."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from moonlatch.cli.first_start import first_account
from moonlatch.clock import now_ms
from moonlatch.crypto import new_id
from moonlatch.operations.context import World
from moonlatch.storage import accounts, scripts
from moonlatch.storage.executions import Execution, record_all
from moonlatch.storage.interface import Query, StorageError, Transaction, Unavailable
from moonlatch.storage.postgres.connections import PostgresOptions
from moonlatch.storage.postgres.engine import PostgresDatabase, open_postgres
from support import rows
from support.accounts import SET_USED, USED, add_account, used
from support.database import asked
from support.services import Databases

PROCESSES = 4


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases.migrated() as address:
        yield address


@pytest.fixture
async def side_by_side(url: str) -> AsyncIterator[list[PostgresDatabase]]:
    """The same database, opened as often as if several processes had."""
    async with contextlib.AsyncExitStack() as closing:
        opened = []
        for _ in range(PROCESSES + 1):
            opened.append(await open_postgres(url))
            closing.push_async_callback(opened[-1].close)
        yield opened


async def test_a_script_that_starts_all_the_time_in_every_process_can_still_be_edited(
    side_by_side: list[PostgresDatabase],
) -> None:
    *starting, editing = side_by_side
    project = await rows.add_project(editing)
    script, _ = await rows.add_script(editing, project)
    is_going_on = True
    started = 0

    async def start(database: PostgresDatabase) -> None:
        nonlocal started
        while is_going_on:
            batch = [
                Execution(
                    id=new_id(),
                    project_id=project,
                    script_id=script,
                    build=1,
                    user_id=None,
                    premium=False,
                    fingerprint=None,
                    ip=None,
                    executor="x",
                    started_at=now_ms(),
                )
                for _ in range(20)
            ]
            outcomes = await record_all(database, batch)
            started += len(outcomes)

    async def rename(tx: Transaction, name: str) -> None:
        found = await scripts.find(tx, script)
        assert found is not None
        await scripts.save_settings(tx, msgspec.structs.replace(found, name=name))

    loads = [asyncio.create_task(start(database)) for database in starting for _ in range(2)]
    for number in range(10):
        await editing.run(lambda tx, number=number: rename(tx, f"name {number}"))
    is_going_on = False
    await asyncio.gather(*loads)

    found = await scripts.find(editing, script)
    assert found is not None
    assert (found.name, found.total_executions) == ("name 9", started)


async def test_a_crowd_on_one_row_is_served_within_the_deadline(side_by_side: list[PostgresDatabase]) -> None:
    await add_account(side_by_side[0], "ann")

    async def increment(tx: Transaction) -> None:
        row = await tx.fetch_one(USED, id="ann")
        assert row is not None
        await tx.execute(SET_USED, id="ann", used=row[0] + 1)

    await asyncio.gather(*(database.run(increment) for database in side_by_side for _ in range(10)))

    assert await used(side_by_side[0], "ann") == 10 * len(side_by_side)


async def test_of_servers_that_start_at_once_on_an_empty_database_one_makes_the_first_account(
    side_by_side: list[PostgresDatabase],
) -> None:
    made = await asyncio.gather(
        *(
            first_account(World(database=database, tiers={}, clock=now_ms), tier="unlimited")
            for database in side_by_side
        )
    )

    assert len([first for first in made if first is not None]) == 1
    assert len(await accounts.list_all(side_by_side[0])) == 1


async def test_a_caller_that_is_cancelled_costs_the_pool_no_connection(url: str) -> None:
    database = await open_postgres(url, PostgresOptions(max_connections=2))
    slow = Query("test.slow", "select pg_sleep(30)")
    for _ in range(6):
        for call in (database.fetch_all(slow), database.run(lambda tx: tx.fetch_all(slow))):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.05)

    assert await database.fetch_all(Query("test.one", "select 1")) != []
    await database.close()


async def test_a_connection_that_breaks_while_time_runs_out_is_told_as_a_database_that_is_away(url: str) -> None:
    database = await open_postgres(url, PostgresOptions(max_connections=2, deadline_seconds=2))
    ends = Query("test.ends", "select pg_terminate_backend(pg_backend_pid())")
    one = Query("test.one", "select 1")

    async def unit(tx: Transaction) -> None:
        with contextlib.suppress(StorageError):
            await tx.fetch_all(ends)
        await asyncio.Event().wait()

    for _ in range(2):
        with pytest.raises(Unavailable):
            await database.run(unit)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(database.run(unit), 0.5)
    assert await database.fetch_all(one) != []
    await database.run(lambda tx: tx.fetch_all(one))
    await database.close()


async def test_a_question_that_fails_in_the_program_fails_for_its_askers_and_holds_up_nobody(url: str) -> None:
    database = await open_postgres(url)
    hot = Query("test.hot", "select id from accounts where id = :id", is_hot=True)

    answers = await asyncio.gather(
        asked(database, hot, "ann"), asked(database, hot, ["no", "text"]), return_exceptions=True
    )

    assert isinstance(answers[1], Exception)
    assert await asked(database, hot, "ann") is None
    await database.close()
