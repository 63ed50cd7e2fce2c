"""What is noted for later is bounded by the second, and no start waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from moonlatch.client.history import MOST_KEYS, MOST_OF_KEY, MOST_REFUSALS, MOST_USES, History
from moonlatch.clock import HOUR_MS
from moonlatch.storage.executions import Execution
from moonlatch.storage.interface import Database, Query, Transaction, Unit
from moonlatch.storage.user_history import NewRefusal
from support import rows
from support.accounts import insert_user
from support.database import ENGINES, engine_url, opened_at
from support.keys import KEYRING
from support.live import eventually


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


def refusal(key: str, **changes: Any) -> NewRefusal:
    fields = {"code": "KEY_EXPIRED", "moment": "start", "script_id": "script", "fingerprint": None, "refused_at": 1_000}
    return NewRefusal(user_id=key, **{**fields, **changes})


def start(name: str, key: str, *, at: int = 1, device: bytes = b"device") -> Execution:
    return Execution(
        id=name,
        project_id="",
        script_id="",
        build=1,
        user_id=key,
        premium=True,
        fingerprint=device,
        ip=b"network",
        executor="Tests",
        started_at=at,
    )


async def noted(database: Database, columns: str = "user_id") -> list[tuple[Any, ...]]:
    found = await database.fetch_all(Query("test.noted", f"select {columns} from refusals order by refused_at"))
    return [tuple(row) for row in found]


async def add_users(database: Database, count: int) -> list[str]:
    project = await rows.add_project(database)
    keys = [f"key-{number}" for number in range(count)]

    async def unit(tx: Transaction) -> None:
        for key in keys:
            await insert_user(tx, key, project_id=project)

    await database.run(unit)
    return keys


async def test_what_is_noted_is_written_without_being_asked_for(database: Database) -> None:
    (key,) = await add_users(database, 1)
    history = History(database, KEYRING)
    history.refused(refusal(key, fingerprint=b"\x00\xff", ip=b"net"))

    async def is_there() -> bool:
        return await noted(database, "times") == [(1,)]

    await eventually(is_there)
    await history.close()


async def test_the_same_refusal_again_counts_up_wherever_it_is_refused(database: Database) -> None:
    (key,) = await add_users(database, 1)
    processes = [History(database, KEYRING) for _ in range(3)]
    for number, history in enumerate(processes):
        for at in range(10):
            history.refused(refusal(key, refused_at=1_000 + 100 * number + at))
        await history.close()
    assert await noted(database, "first_at, refused_at, times") == [(1_000, 1_209, 30)]


async def test_a_flood_of_different_refusals_of_one_key_is_a_few_rows_a_second(database: Database) -> None:
    (key,) = await add_users(database, 1)
    history = History(database, KEYRING)
    for number in range(1_000):
        history.refused(refusal(key, fingerprint=b"%d" % number, refused_at=1_000 + number))
    await history.close()
    assert await noted(database, "refused_at") == [(2_000 - back,) for back in range(MOST_OF_KEY, 0, -1)]


async def test_a_flood_of_many_keys_is_bounded_in_memory_and_in_each_transaction(database: Database) -> None:
    keys = await add_users(database, 2 * MOST_REFUSALS)
    written: list[int] = []

    class Counting:
        """The database, with a look at it after each transaction."""

        async def run(self, unit: Unit[Any], *, is_guarded: bool = False) -> None:
            await database.run(unit, is_guarded=is_guarded)
            written.append(len(await noted(database)))

    history = History(Counting(), KEYRING)  # type: ignore[arg-type]
    for number in range(MOST_KEYS + 1_000):
        history.refused(refusal(keys[number] if number < len(keys) else f"no key {number}"))
    assert len(history._refusals) == MOST_KEYS
    await history.close()
    assert written[:3] == [MOST_REFUSALS, 2 * MOST_REFUSALS, 2 * MOST_REFUSALS]


async def test_a_refused_copy_ended_the_first_time_it_was_refused(database: Database) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    for name in ("one", "two", "three"):
        await rows.insert(database, "executions", id=name, script_id=script, build=1, started_at=1)
    history = History(database, KEYRING)
    history.ended("one", 10)
    history.ended("one", 20, "OUTDATED")
    history.ended("one", 30, "KEY_EXPIRED")
    history.ended("two", 10)
    history.ended("nothing", 10, "OUTDATED")
    await history.settle()
    history.ended("one", 40, "BLACKLISTED")
    history.ended("two", 50)
    history.ended("two", 60)
    await history.close()
    history.ended("three", 70)  # the server is down
    await history.settle()
    found = await database.fetch_all(Query("test.ended", "select id, ended, ended_at from executions"))
    assert sorted(map(tuple, found)) == [("one", "OUTDATED", 20), ("three", None, None), ("two", None, 60)]


async def test_a_database_that_is_away_costs_what_waited_and_nothing_more(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(database, KEYRING)
    await database.close()
    history.refused(refusal("key"))
    await history.settle()
    assert "1 notes (NewRefusal) were not written" in caplog.text
    assert history._task is None


async def test_a_user_who_is_removed_while_their_starts_are_written_leaves_nothing(database: Database) -> None:
    project = await rows.add_project(database)
    history = History(database, KEYRING)
    for number in range(30):
        user = await rows.id_of(database, await rows.add_user(database, project))
        history.started(start(f"{number:032}", user), "192.0.2.7")
        removal = rows.change(database, "delete from users where id = :user", user=user)
        await asyncio.gather(*((history.settle(), removal) if number % 2 else (removal, history.settle())))
    for table in ("key_hours", "key_uses"):
        assert await rows.value(database, f"select count(*) from {table}") == 0


async def test_starts_from_one_place_are_counted_together_by_the_hour(database: Database) -> None:
    (key,) = await add_users(database, 1)
    history = History(database, KEYRING)
    for number in range(3_000):
        history.started(start(f"{number:032}", key, at=HOUR_MS - 1_000 + number), "192.0.2.7")
    await history.close()
    found = await database.fetch_all(Query("test.hours", "select hour, starts from key_hours order by hour"))
    assert list(map(tuple, found)) == [(0, 1_000), (1, 2_000)]
    found = await database.fetch_all(Query("test.uses", "select starts, first_at, last_at from key_uses"))
    assert list(map(tuple, found)) == [(3_000, HOUR_MS - 1_000, HOUR_MS + 1_999)]


async def test_places_are_written_by_the_thousand_until_none_waits(database: Database) -> None:
    keys = await add_users(database, 30)
    history = History(database, KEYRING)
    for number in range(2 * MOST_USES + 1):
        history.started(start(f"{number:032}", keys[number % 30], device=b"%d" % number), "192.0.2.7")
    await history.close()
    assert await rows.value(database, "select count(*) from key_uses") == 2 * MOST_USES + 1
    assert await rows.value(database, "select sum(starts) from key_hours") == 2 * MOST_USES + 1
