"""The last starts of each key are found again, page by page, in bounds, on every engine."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.storage.executions import Execution
from moonlatch.storage.interface import Database, Query
from moonlatch.storage.key_uses import KeyUse, count
from moonlatch.storage.last_starts import MOST_LISTED, PastExecution, entries_of, executions_of, listed
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.migration import migrate
from support import rows
from support.database import ENGINES, engine_url, opened_at
from support.services import Databases

NOON = 20_000 * DAY_MS + 12 * HOUR_MS
FOR_EVER = 2**62, ""


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


@pytest.fixture
async def user(database: Database) -> str:
    return await rows.id_of(database, await rows.add_user(database, await rows.add_project(database)))


def start(
    user: str, number: int, at: int, fingerprint: bytes | None = b"f" * 32, ip: bytes | None = b"i" * 32
) -> Execution:
    return Execution(
        id=f"{number:032}",
        project_id="",
        script_id="script",
        build=number,
        user_id=user,
        premium=True,
        fingerprint=fingerprint,
        ip=ip or b"",
        executor="Delta",
        started_at=at,
    )


async def write(database: Database, starts: list[Execution]) -> None:
    """As a process does each second: the starts of one place and hour together."""
    for one in starts:
        await rows.insert(
            database,
            "executions",
            id=one.id,
            script_id=one.script_id,
            build=one.build,
            executor=one.executor,
            started_at=one.started_at,
        )
    uses = [
        KeyUse(
            user_id=str(one.user_id),
            device=one.fingerprint or b"",
            network=b"",
            executor=one.executor,
            first_at=one.started_at,
            last_at=one.started_at,
            last_starts=listed([one]),
        )
        for one in starts
    ]
    await database.run(lambda tx: count(tx, uses))


async def pages(database: Database, user: str, limit: int) -> list[PastExecution]:
    found: list[PastExecution] = []
    before = FOR_EVER
    while page := await executions_of(database, user, before=before, limit=limit):
        assert len(page) <= limit
        found += page
        before = page[-1].started_at, page[-1].id
    return found


BEFORE = 21
"""Migrations that are applied before the lists are made from the executions' own columns."""

OLD = (
    "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('a', 'a', 'free', 1, 1)",
    "insert into projects (id, account_id, name, created_at) values ('p', 'a', 'p', 1)",
    "insert into users (id, key_hash, key_sealed, start_code, end_code, project_id, created_at) "  # noqa: ISC004
    "values ('u', '\\x01', '\\x01', '\\x01', '\\x01', 'p', 1)",
    *(
        f"insert into executions (id, script_id, build, executor, started_at, user_id, fingerprint, ip) "
        f"values ('{number:032}', 's', {number}, 'Delta', {NOON + number}, '{user}', {device}, '\\x{'22' * 32}')"
        for number in range(60)
        for user, device in [("u" if number != 7 else "gone", "null" if number == 59 else f"'\\x{'11' * 32}'")]
    ),
    "insert into executions (id, script_id, build, started_at) values ('nobody', 's', 1, 1)",
    f"insert into key_hours (user_id, hour, starts) values ('u', {NOON // HOUR_MS}, 61)",
)


async def old_database(url: str, folder: Path) -> None:
    """A database in which starts of a key had columns of their own; SQLite's is brought up to date when it is opened."""
    if url:
        await migrate_postgres(url, shipped_migrations("postgres")[:BEFORE])
        connection = await asyncpg.connect(url)
        try:
            for statement in OLD:
                await connection.execute(statement)
        finally:
            await connection.close()
        await migrate_postgres(url, shipped_migrations("postgres"))
        return
    with contextlib.closing(connect_writer(folder / "moonlatch.db")) as file:
        migrate(file, shipped_migrations("sqlite")[:BEFORE])
        for statement in OLD:
            file.execute(re.sub(r"'\\x([0-9a-f]+)'", r"x'\1'", statement))


@pytest.mark.parametrize("engine", ENGINES)
async def test_starts_of_before_are_listed(databases: Databases, engine: str, tmp_path: Path) -> None:
    with databases.fresh() if engine == "postgres" else contextlib.nullcontext("") as url:
        await old_database(url, tmp_path)
        async with opened_at(url, tmp_path) as database:
            found = await executions_of(database, "u", before=FOR_EVER, limit=1_000)
            assert [one.build for one in found] == list(range(59, 9, -1))
            assert [one.fingerprint for one in found[:2]] == [None, b"\x11" * 32]
            assert {one.ip for one in found} == {b"\x22" * 32}
            assert await rows.value(database, "select starts from key_hours") == 61
            assert await rows.value(database, "select count(*) from executions") == 61


hashes = st.none() | st.binary(min_size=32, max_size=32)


@given(st.lists(st.tuples(st.integers(0, 10**20), hashes, hashes), max_size=8))
def test_what_is_listed_is_read_again(seen: list[tuple[int, bytes | None, bytes | None]]) -> None:
    starts = [start("user", number, NOON, fingerprint, ip) for number, fingerprint, ip in seen]
    assert entries_of(listed(starts)) == [(one.id, one.fingerprint, one.ip or None) for one in starts]


@pytest.mark.parametrize("limit", [1, 7, 50, 1_000])
async def test_pages_follow_each_other_from_the_newest(database: Database, user: str, limit: int) -> None:
    starts = [start(user, number, NOON + number * 700_000, None if number % 3 else b"f" * 32) for number in range(120)]
    starts += [start(user, 1_000 + number, NOON + 5 * HOUR_MS) for number in range(9)]  # all at the same time
    await write(database, starts[::2])
    await write(database, starts[1::2])
    expected = sorted(starts, key=lambda one: (one.started_at, one.id), reverse=True)
    found = await pages(database, user, limit)
    assert [(one.id, one.fingerprint, one.started_at) for one in found] == [
        (one.id, one.fingerprint, one.started_at) for one in expected
    ]


async def test_of_an_hour_the_last_are_listed(database: Database, user: str) -> None:
    starts = [start(user, number, NOON + number) for number in range(3 * MOST_LISTED)]
    for first in range(0, len(starts), 40):
        await write(database, starts[first : first + 40])
    found = await executions_of(database, user, before=FOR_EVER, limit=1_000)
    assert [one.id for one in found] == [one.id for one in starts[: -MOST_LISTED - 1 : -1]]
    assert await rows.value(database, "select starts from key_hours") == 3 * MOST_LISTED


async def test_starts_whose_time_is_over_are_passed_over(database: Database, user: str) -> None:
    starts = [start(user, number, NOON + number * HOUR_MS) for number in range(60)]
    await write(database, starts)
    await rows.change(database, "delete from executions where build < 58 and build > 2")
    assert [one.build for one in await executions_of(database, user, before=FOR_EVER, limit=5)] == [59, 58, 2, 1, 0]


async def test_nobody_sees_those_of_others(database: Database, user: str) -> None:
    await write(database, [start(user, 1, NOON)])
    project = await rows.value(database, "select project_id from users")
    other = await rows.id_of(database, await rows.add_user(database, project))
    assert await executions_of(database, other, before=FOR_EVER, limit=5) == []


async def test_how_it_ended_is_told(database: Database, user: str) -> None:
    await write(database, [start(user, 1, NOON), start(user, 2, NOON + 1)])
    await rows.change(database, "update executions set ended = 'OUTDATED', ended_at = 7 where build = 1")
    await rows.change(database, "update executions set stopped = 'DISCONNECTED' where build = 2")
    found = await executions_of(database, user, before=FOR_EVER, limit=5)
    assert [(one.code, one.ended_at) for one in found] == [("DISCONNECTED", None), ("OUTDATED", 7)]


async def test_the_lists_are_found_by_the_key_alone(database: Database, user: str) -> None:
    await write(database, [start(user, 1, NOON)])
    kept = await database.fetch_all(Query("test.lists", "select length(last_starts) from key_hours"))
    assert [tuple(row) for row in kept] == [(160,)]
