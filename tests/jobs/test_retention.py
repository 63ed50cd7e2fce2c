"""Old executions go in small transactions, on every engine and by many hands at once; counters and stopped copies stay."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.jobs.retention import BATCH, detail_kept, remove_old, sign_ins_kept, watch_retention
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.storage.executions import Execution, record_all, stop
from moonlatch.storage.interface import Database, Query, Transaction
from support import rows
from support.database import ENGINES, engine_url, opened_at

NOW = 400 * DAY_MS
BEFORE = NOW - 90 * DAY_MS
DETAIL = detail_kept(90)[0]
ADD = Query(
    "test.add_execution",
    "insert into executions (id, script_id, build, executor, started_at) values (:id, 's', 1, 'x', :at)",
)
LEFT = Query("test.left", "select id from executions order by id")


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened_at(database_url, tmp_path) as fresh:
        yield fresh


async def add(database: Database, ids: list[str], at: int) -> None:
    async def unit(tx: Transaction) -> None:
        for one in ids:
            await tx.execute(ADD, id=one, at=at)

    await database.run(unit)


async def left(database: Database) -> list[str]:
    return [row[0] for row in await database.fetch_all(LEFT)]


class Watched:
    """A database that notes how many rows each transaction removed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.removed: list[int] = []

    async def run(self, unit):
        self.removed.append(await self._database.run(unit))
        return self.removed[-1]


async def test_an_execution_goes_when_it_is_old_and_not_a_millisecond_before(database: Database) -> None:
    await add(database, ["old"], BEFORE - 1)
    await add(database, ["young"], BEFORE)
    assert await remove_old(database, DETAIL, now=NOW) == 1
    assert await left(database) == ["young"]
    assert await remove_old(database, DETAIL, now=NOW) == 0


async def test_many_go_in_small_transactions(database: Database) -> None:
    watched = Watched(database)
    await add(database, [f"{number:05}" for number in range(2 * BATCH + 7)], 1)
    assert await remove_old(watched, DETAIL, now=NOW, pause_seconds=0) == 2 * BATCH + 7
    assert watched.removed == [BATCH, BATCH, 7]
    assert await left(database) == []


async def test_many_processes_may_do_it_at_once(database: Database) -> None:
    await add(database, [f"{number:05}" for number in range(3 * BATCH)], 1)
    await add(database, ["young"], NOW)
    removed = await asyncio.gather(
        *(remove_old(database, DETAIL, now=NOW, pause_seconds=0) for _ in range(4)),
    )
    assert sum(removed) <= 3 * BATCH
    assert await remove_old(database, DETAIL, now=NOW, pause_seconds=0) + sum(removed) == 3 * BATCH
    assert await left(database) == ["young"]


async def test_counters_stay_and_so_does_what_keeps_a_stopped_copy_out(database: Database) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    user = await rows.id_of(database, await rows.add_user(database, project))
    fields = {"project_id": project, "script_id": script, "build": 1, "user_id": user, "premium": True}
    executions = [
        Execution(id=one, fingerprint=b"f", ip=b"i", executor="Tests", started_at=1, **fields)
        for one in ("ended", "stopped")
    ]
    await record_all(database, executions)
    await database.run(lambda tx: stop(tx, executions[1], "DISCONNECTED"))

    await remove_old(database, DETAIL, now=NOW)

    assert await left(database) == ["stopped"]
    for counter in (
        "select total_executions from scripts",
        "select executions from users",
        "select executions from execution_days",
    ):
        assert await rows.value(database, counter) == 2


async def test_the_watch_counts_days_from_now_and_stops_when_cancelled(database: Database) -> None:
    await add(database, ["old"], NOW - 7 * DAY_MS - 1)
    await add(database, ["young"], NOW - 7 * DAY_MS)
    watch = asyncio.create_task(watch_retention(database, lambda: NOW, detail_kept(7)))
    for _ in range(6_000):
        if await left(database) == ["young"]:
            break
        await asyncio.sleep(0.01)
    watch.cancel()
    await asyncio.wait([watch], timeout=60)
    assert watch.cancelled()
    assert await left(database) == ["young"]


async def test_what_members_sign_in_by_goes_when_it_is_no_longer_good(database: Database):
    hour = 3_600_000
    await rows.add_project(database)
    account = await rows.value(database, "select id from accounts")
    member = {"name": "Ana", "sign_in_name": "ana", "role": "owner", "invited_by": "ops", "created_at": 1}
    await rows.insert(database, "members", id="m", account_id=account, **member)
    of_session = {"member_id": "m", "address": "::1", "user_agent": ""}
    for name, created, used in (
        ("used", NOW - 20 * hour, NOW - hour),
        ("unused", NOW - 20 * hour, NOW - 13 * hour),
        ("old", NOW - 8 * DAY_MS, NOW - hour),
    ):
        times = {"created_at": created, "last_used_at": used}
        await rows.insert(database, "member_sessions", id=name, hash=name.encode(), **times, **of_session)
    await rows.insert(database, "member_links", member_id="m", hash=b"h", created_at=1, expires_at=NOW - 1)
    for name, ends in (("late", NOW - 1), ("waiting", NOW + 1)):
        await rows.insert(database, "passkey_challenges", id=name, challenge=b"c", expires_at=ends)

    for kept in sign_ins_kept(SignInRules()):
        await remove_old(database, kept, now=NOW, pause_seconds=0)

    async def ids(table: str) -> list[str]:
        return [row[0] for row in await database.fetch_all(Query("test.ids", f"select * from {table}"))]

    assert await ids("member_sessions") == ["used"]
    assert await ids("member_links") == []
    assert await ids("passkey_challenges") == ["waiting"]
    assert await ids("members") == ["m"]
