"""Expired users go 15 minutes after expiry, where the project wants it, and whoever is connected with them is told; no mistake removes at once."""

import asyncio

import msgspec
import pytest

from moonlatch.jobs.expiry import BATCH, GRACE_MS, remove_expired_users, watch_expiry
from moonlatch.keyring import Keyring
from moonlatch.operations.context import World
from moonlatch.storage import events, removed_users, users
from moonlatch.storage import projects as stored_projects
from moonlatch.storage.events import EventFilter
from moonlatch.storage.interface import Transaction
from moonlatch.storage.removed_users import RemovedUser
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support import rows
from support.accounts import ADD_PROJECT, USER_IDS, add_account, add_project, add_user, insert_user
from support.database import database
from support.keys import hashed

__all__ = ["database"]

NOW = 1_700_000_000_000


@pytest.fixture
async def projects(database: SqliteDatabase) -> None:
    await add_account(database, "ann")
    await add_project(database, "tidy", account_id="ann", delete_expired_users=True)
    await add_project(database, "keeping", account_id="ann", delete_expired_users=False)


async def keys(database: SqliteDatabase) -> list[str]:
    return [row["id"] for row in await database.fetch_all(USER_IDS)]


class Told:
    """Remembers who was told; a stand-in for the sessions, which are another part's."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def user_changed(self, key: str) -> None:
        self.keys.append(key)


def at(database: SqliteDatabase, told: Told, now: int) -> World:
    """The installation at a time."""
    return World(database=database, keyring=Keyring(bytes(32)), tiers={}, clock=lambda: now, live=told)


async def test_a_user_goes_fifteen_minutes_after_expiry_and_not_a_millisecond_before(
    database: SqliteDatabase, projects: None
):
    await add_user(database, "key", project_id="tidy", key_expires=NOW)
    told = Told()

    assert await remove_expired_users(at(database, told, NOW + GRACE_MS - 1)) == 0
    assert await keys(database) == ["key"]
    assert await remove_expired_users(at(database, told, NOW + GRACE_MS)) == 1
    assert await keys(database) == []
    assert told.keys == ["key"]
    assert GRACE_MS == 15 * 60 * 1000


async def test_users_without_expiry_and_users_of_other_projects_stay(database: SqliteDatabase, projects: None):
    await add_user(database, "for-ever", project_id="tidy", key_expires=None)
    await add_user(database, "later", project_id="tidy", key_expires=NOW)
    await add_user(database, "kept", project_id="keeping", key_expires=0)
    told = Told()

    assert await remove_expired_users(at(database, told, NOW)) == 0

    assert await keys(database) == ["for-ever", "kept", "later"]
    assert told.keys == []


async def test_an_expiry_that_was_set_moments_ago_to_long_ago_removes_nobody_at_once(
    database: SqliteDatabase, projects: None
):
    await add_user(database, "key", project_id="tidy", key_expires=1)
    await rows.change(database, "update users set expiry_set_at = :now", now=NOW)
    told = Told()

    assert await remove_expired_users(at(database, told, NOW + GRACE_MS - 1)) == 0
    assert await remove_expired_users(at(database, told, NOW + GRACE_MS)) == 1
    assert told.keys == ["key"]


async def test_a_project_that_wants_it_since_moments_ago_loses_nobody_at_once(database: SqliteDatabase, projects: None):
    await add_user(database, "key", project_id="keeping", key_expires=1)

    async def turn_on(tx: Transaction) -> None:
        project = await stored_projects.find(tx, "keeping")
        assert project is not None
        changed = msgspec.structs.replace(project, delete_expired_users=True)
        await stored_projects.save(tx, changed, now=NOW)
        await stored_projects.save(tx, changed, now=NOW + 1)  # on already: what is counted from stays

    await database.run(turn_on)

    assert await remove_expired_users(at(database, Told(), NOW + GRACE_MS - 1)) == 0
    assert await remove_expired_users(at(database, Told(), NOW + GRACE_MS)) == 1


async def test_who_was_removed_is_kept_as_they_were(database: SqliteDatabase, projects: None):
    fingerprint = bytes(range(32))
    await add_user(
        database, "key", project_id="tidy", key_expires=1, discord_id="7", note="Ada", fingerprint=fingerprint
    )
    before = await users.find_by_key(database, [hashed("key")])

    await remove_expired_users(at(database, Told(), NOW))

    (removed,) = await removed_users.list_of_project(
        database, "tidy", discord_id=None, removed_after=0, offset=0, limit=9
    )
    assert removed == RemovedUser(user=before, removed_at=NOW, removed_by="expiry")


async def test_blacklisted_users_stay_and_with_them_the_bar_on_their_device(database: SqliteDatabase, projects: None):
    await add_user(database, "banned", project_id="tidy", key_expires=1, blacklisted=True)

    assert await remove_expired_users(at(database, Told(), NOW)) == 0

    assert await keys(database) == ["banned"]


async def test_more_than_one_batch_goes_in_one_run_and_everybody_is_told_once(database: SqliteDatabase, projects: None):
    await database.run(lambda tx: tx.execute(ADD_PROJECT, id="tidy-too", account_id="ann", delete_expired_users=True))
    expected = [f"{number:05}" for number in range(2 * BATCH + 7)]

    async def fill(tx: Transaction) -> None:
        for number, key in enumerate(expected):
            await insert_user(tx, key, project_id=("tidy", "tidy-too")[number % 2], key_expires=1)

    await database.run(fill)
    told = Told()

    assert await remove_expired_users(at(database, told, NOW)) == len(expected)

    assert await keys(database) == []
    assert sorted(told.keys) == expected


async def test_a_session_that_cannot_be_told_does_not_keep_others_from_being_told(
    database: SqliteDatabase, projects: None, caplog: pytest.LogCaptureFixture
):
    for key in ("a", "b", "c"):
        await add_user(database, key, project_id="tidy", key_expires=1)
    told = Told()

    class Failing(Told):
        async def user_changed(self, key: str) -> None:
            await told.user_changed(key)
            if key == told.keys[0]:
                raise ConnectionError(key)

    assert await remove_expired_users(at(database, Failing(), NOW)) == 3

    assert sorted(told.keys) == ["a", "b", "c"]
    assert "could not be told" in caplog.text


async def test_the_watch_removes_at_its_start_and_stops_when_cancelled(database: SqliteDatabase, projects: None):
    await add_user(database, "key", project_id="tidy", key_expires=1)
    removed = asyncio.Event()

    class Hearing(Told):
        async def user_changed(self, key: str) -> None:
            removed.set()

    watch = asyncio.create_task(watch_expiry(at(database, Hearing(), NOW)))
    await asyncio.wait_for(removed.wait(), 60)
    watch.cancel()
    await asyncio.wait([watch], timeout=60)

    assert watch.cancelled()
    assert await keys(database) == []


async def test_a_removal_leaves_its_event_without_what_identifies_the_user(
    database: SqliteDatabase, projects: None
) -> None:
    await add_user(database, "key", project_id="tidy", key_expires=1)

    await remove_expired_users(at(database, Told(), NOW))

    (event,) = await events.list_of_account(database, "ann", EventFilter(), before_id=None, limit=9)
    assert (event.kind, event.actor_kind, event.actor_id, event.at) == ("user.removed", "job", "expiry", NOW)
    assert (event.resource_id, event.resource_label, event.changes) == ("key", None, {})
