"""How many users a project has is known without counting them, and is exact whatever adds or removes some, on every engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.crypto import new_id
from moonlatch.storage import accounts, expiry, projects, user_lists, users
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.user_keys import as_stored
from moonlatch.storage.user_lists import BY_STATE, Total, UserFilter, count_by_state, count_of_project
from moonlatch.storage.users import User
from support import rows
from support.database import ENGINES, engine_url, opened_at
from support.keys import KEYRING

NOW = 20_000 * DAY_MS


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as opened:
            yield opened


def user(project: str, **values: object) -> User:
    user_id = new_id()
    stored = as_stored(KEYRING, new_id(), user_id=user_id, project_id=project)
    return User(id=user_id, project_id=project, created_at=1, **stored, **values)  # type: ignore[arg-type]


async def told(database: Database, project: str) -> int:
    """How many there are, as every place says it that tells."""
    total = await count_of_project(database, KEYRING, project, UserFilter(), now=NOW)
    assert total.is_exact
    account = await rows.value(database, "select account_id from projects where id = :id", id=project)
    others = await rows.value(
        database,
        "select count(*) from users u join projects p on p.id = u.project_id where p.account_id = :account and p.id <> :id",
        account=account,
        id=project,
    )
    assert (await accounts.usage(database, account)).users == total.users + others
    assert total.users == await rows.value(database, "select count(*) from users where project_id = :id", id=project)
    return total.users


async def test_whatever_adds_or_removes_users_is_counted(database: Database) -> None:
    project, other = await rows.add_project(database), await rows.add_project(database)
    assert await told(database, project) == 0
    made = [user(project, discord_id=str(number)) for number in range(20)]
    assert all(await database.run(lambda tx: users.insert(tx, made)))
    await database.run(lambda tx: users.insert(tx, [user(other)]))
    assert (await told(database, project), await told(database, other)) == (20, 1)

    # What is refused is not counted.
    again = [user(project, discord_id="3"), user(project, discord_id="new"), made[5]]
    assert await database.run(lambda tx: users.insert(tx, again)) == [False, True, False]
    assert await told(database, project) == 21

    # Nor is what was taken back.
    async def fail(tx: Transaction) -> None:
        await users.insert(tx, [user(project)])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.run(fail)
    assert await told(database, project) == 21

    await database.run(lambda tx: users.remove(tx, [made[0].id]))
    await database.run(lambda tx: users.remove(tx, [made[0].id]))
    assert await told(database, project) == 20

    await rows.change(
        database,
        "update users set key_expires = 5, expiry_set_at = 5 where project_id = :id and id <> :kept",
        id=project,
        kept=made[1].id,
    )
    await rows.change(
        database,
        "update projects set delete_expired_users = true, delete_expired_users_since = 5 where id = :id",
        id=project,
    )
    removed = await database.run(lambda tx: expiry.remove_expired(tx, expired_by=6, now=7, most=4))
    assert (len(removed), await told(database, project)) == (4, 16)

    # A project takes its users and their number along, and the other one's stays.
    await database.run(lambda tx: projects.remove(tx, project))
    assert await rows.value(database, "select count(*) from user_totals where project_id = :id", id=project) == 0
    assert await told(database, other) == 1


async def test_those_who_come_and_go_at_the_same_time_are_counted(database: Database) -> None:
    project = await rows.add_project(database)
    first = [user(project) for _ in range(40)]
    await database.run(lambda tx: users.insert(tx, first))
    adding = [database.run(lambda tx: users.insert(tx, [user(project) for _ in range(3)])) for _ in range(30)]
    removing = [database.run(lambda tx, one=one: users.remove(tx, [one.id])) for one in first[:30]]  # type: ignore[misc]
    work = [*adding, *removing]
    random.Random(7).shuffle(work)
    await asyncio.gather(*work)
    assert await told(database, project) == 40 + 90 - 30


async def test_every_state_is_counted_as_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await rows.add_project(database)
    choice = random.Random(3)
    made = [
        user(
            project,
            key_expires=choice.choice([None, NOW - 1, NOW, NOW + 1]),
            blacklisted=choice.random() < 0.4,
            blacklist_expires=choice.choice([None, NOW - 1, NOW, NOW + 1]),
            executions=choice.choice([0, 3]),
            held_by=choice.choice([None, "devices"]),
            held_until=choice.choice([None, NOW - 1, NOW + 1]),
        )
        for _ in range(120)
    ]
    await database.run(lambda tx: users.insert(tx, made))
    counted = await count_by_state(database, project, now=NOW)
    assert set(counted) == set(BY_STATE)
    for where, total in counted.items():
        fitting = await user_lists.list_of_project(database, KEYRING, project, where, now=NOW, offset=0, limit=200)
        assert (
            total
            == Total(len(fitting), is_exact=True)
            == await count_of_project(database, KEYRING, project, where, now=NOW)
        )
        assert 0 < total.users < len(made), "so that each condition is tried"
    monkeypatch.setattr(user_lists, "MAX_COUNTED", 5)
    for where, total in (await count_by_state(database, project, now=NOW)).items():
        assert total == Total(5, is_exact=counted[where].users <= 5)
