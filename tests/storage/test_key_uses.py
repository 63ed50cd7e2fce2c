"""Where keys are used is counted together, in bounds and for a time, on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.jobs.retention import detail_kept, remove_old
from moonlatch.storage import key_uses
from moonlatch.storage.interface import Database
from moonlatch.storage.key_uses import KeyUse, UseOfDay, UseOfHour, Uses, count, count_resets, uses_of
from support import rows
from support.database import ENGINES, engine_url, opened_at

DAY = 20_000
NOON = DAY * DAY_MS + 12 * HOUR_MS


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


@pytest.fixture
async def user(database: Database) -> str:
    return await rows.id_of(database, await rows.add_user(database, await rows.add_project(database)))


def use(user: str, device: bytes = b"d", network: bytes = b"n", executor: str = "Delta", at: int = NOON) -> KeyUse:
    return KeyUse(user_id=user, device=device, network=network, executor=executor, first_at=at, last_at=at)


async def write(database: Database, *uses: KeyUse) -> None:
    await database.run(lambda tx: count(tx, uses))


async def shown(database: Database, user: str, **since: Any) -> Uses:
    return await uses_of(database, user, **{"since_day": DAY - 5, "since_hour": 0, **since})


async def test_starts_are_added_up_by_device_network_program_day_and_hour(database: Database, user: str) -> None:
    await write(database, use(user), use(user, at=NOON + 5), use(user, b"other", b"m", "Wave", NOON - DAY_MS))
    await write(database, use(user, network=b"m", at=NOON + HOUR_MS), use(user, b"", b"", at=NOON + 1))
    found = await shown(database, user)
    assert [(seen.hash, seen.starts, seen.days, seen.others) for seen in found.devices] == [
        (b"d", 3, 1, 2),
        (b"other", 1, 1, 1),
    ]
    assert (found.devices[0].first_at, found.devices[0].last_at) == (NOON, NOON + HOUR_MS)
    assert [(seen.hash, seen.starts, seen.days, seen.others) for seen in found.networks] == [
        (b"m", 2, 2, 2),
        (b"n", 2, 1, 1),
    ]
    assert found.executors == {"Delta": 4, "Wave": 1}
    assert found.days == [
        UseOfDay(day=DAY - 1, starts=1, resets=0, devices=1, networks=1),
        UseOfDay(day=DAY, starts=4, resets=0, devices=1, networks=2),
    ]
    noon = NOON // HOUR_MS
    assert found.hours == [UseOfHour(noon - 24, 1, 0), UseOfHour(noon, 3, 0), UseOfHour(noon + 1, 1, 0)]
    today = await shown(database, user, since_day=DAY, since_hour=noon + 1)
    assert ([seen.hash for seen in today.devices], len(today.days), len(today.hours)) == ([b"d"], 1, 1)


async def test_starts_in_changed_hosts_are_added_up(database: Database, user: str) -> None:
    def hooked(number: int, **changes: Any) -> KeyUse:
        return msgspec.structs.replace(use(user, **changes), starts=3, hooked=number)

    await write(database, hooked(1), hooked(2), hooked(1, device=b"other"), hooked(3, at=NOON - DAY_MS))
    await write(database, hooked(2), hooked(0))
    found = await shown(database, user)
    assert [(day.starts, day.hooked) for day in found.days] == [(3, 3), (15, 6)]


async def test_resets_are_counted_by_the_day(database: Database, user: str) -> None:
    await database.run(lambda tx: count_resets(tx, [user], now=NOON))
    await write(database, use(user))
    await database.run(lambda tx: count_resets(tx, [user], now=NOON + HOUR_MS))
    assert (await shown(database, user)).days == [UseOfDay(day=DAY, starts=1, resets=2, devices=1, networks=1)]


async def test_a_user_who_is_gone_has_none(database: Database, user: str) -> None:
    await write(database, use(user))
    await rows.change(database, "delete from users where id = :id", id=user)
    await write(database, use(user))
    await database.run(lambda tx: count_resets(tx, [user], now=NOON))
    for table in ("key_uses", "key_hours"):
        assert await rows.value(database, f"select count(*) from {table}") == 0


async def test_who_makes_up_devices_fills_no_disk(
    database: Database, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_uses, "MOST_PLACES", 10)
    await write(database, *(use(user, b"%d" % number) for number in range(25)))
    await write(database, *(use(user, b"%d" % number) for number in range(40)))
    found = await shown(database, user)
    assert len(found.devices) == 10
    assert found.days == [UseOfDay(day=DAY, starts=65, resets=0, devices=10, networks=1)]
    await write(database, use(user, at=NOON + DAY_MS))
    assert (await shown(database, user)).days[-1].devices == 1


async def test_many_processes_count_at_once(database: Database, user: str) -> None:
    uses = [use(user, b"%d" % (number % 3), at=NOON + number) for number in range(20)]
    await asyncio.gather(*(write(database, *part) for part in (uses, uses[::-1], uses[10:], uses[:10])))
    found = await shown(database, user)
    assert sum(seen.starts for seen in found.devices) == found.days[0].starts == 60
    assert (min(seen.first_at for seen in found.devices), found.devices[0].last_at) == (NOON, NOON + 19)


async def test_they_go_with_the_detail_of_starts(database: Database, user: str) -> None:
    await write(database, use(user), use(user, at=NOON + DAY_MS))
    for kept in detail_kept(3):
        await remove_old(database, kept, now=NOON + 4 * DAY_MS)
    found = await shown(database, user)
    assert [day.day for day in found.days] == [DAY + 1]
    assert [seen.days for seen in found.devices] == [1]
