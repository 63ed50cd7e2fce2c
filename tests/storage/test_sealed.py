"""What lies under an older master key is found meanwhile, counted, and made anew, on both engines, by several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlatch.crypto import (
    AD_STEP_SECRETS,
    COPY_TEMPLATE,
    LINE_MAP,
    LURAPH_KEY,
    SERVER_VARIABLE,
    WEBHOOK_SECRET,
    WEBHOOK_URL,
    new_id,
    seal_mark,
)
from moonlatch.keyring import Keyring
from moonlatch.proofs import TOTP_SECRET
from moonlatch.storage import master_keys, removed_users, sealed, user_lists, users
from moonlatch.storage.interface import Database, Query
from moonlatch.storage.master_keys import MasterKeyError
from moonlatch.storage.user_keys import as_stored, key_of
from moonlatch.storage.user_lists import Order, UserFilter
from moonlatch.storage.users import User
from support import rows
from support.database import ENGINES, engine_url, opened_at

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
BEFORE, RING = Keyring(OLD), Keyring(NEW, OLD)
OLD_ID, NEW_ID = BEFORE.current.id, RING.current.id
KEYS = ["HUB-AAAA", "HUB-AAAB", "HUB-" + "A" * 30, "HUB-" + "A" * 30 + "B", "aHUB-AAA"]


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as fresh:
            yield fresh


def user_with(key: str, project: str, ring: Keyring, **fields: Any) -> User:
    user_id = new_id()
    stored = as_stored(ring, key, user_id=user_id, project_id=project)
    return User(id=user_id, project_id=project, **{"created_at": 1, **stored, **fields})


def of_before(user: User) -> User:
    """As an earlier version stored it: without a mark."""
    return msgspec.structs.replace(user, key_sealed=user.key_sealed.removeprefix(seal_mark(OLD_ID)))


async def insert(database: Database, *created: User) -> None:
    assert all(await database.run(lambda tx: users.insert(tx, created)))


async def remove(database: Database, user: User, *, now: int) -> None:
    await database.run(lambda tx: removed_users.keep(tx, [user], now=now, by="developer"))


async def rewrap(database: Database, ring: Keyring = RING) -> dict[str, int]:
    return await sealed.rewrap(database, ring, lambda *_: None, pause_seconds=0)


async def under(database: Database) -> dict[str, dict[str, int]]:
    return await sealed.under_keys(database, [OLD_ID, NEW_ID], OLD_ID)


async def test_users_of_both_keys_are_found_by_their_keys_and_parts_of_them(database: Database) -> None:
    project = await rows.add_project(database)
    everybody = [
        user_with(key, project, (BEFORE, RING)[number % 2], created_at=number) for number, key in enumerate(KEYS)
    ]
    await insert(database, *everybody)

    async def check() -> None:
        account = await rows.value(database, "select account_id from projects where id = :id", id=project)
        for user, key in zip(everybody, KEYS, strict=True):
            named = await users.find_named(database, RING, key, account)
            assert named is not None
            assert named.id == user.id
        found = await database.run(lambda tx: users.find_all_named(tx, RING, project, [*KEYS, everybody[0].id, "none"]))
        assert {name: user.id for name, user in found.items()} == {
            **{key: user.id for key, user in zip(KEYS, everybody, strict=True)},
            everybody[0].id: everybody[0].id,
        }
        for where in (
            UserFilter(key_starts="HUB-A"),
            UserFilter(key_starts="HUB-" + "A" * 17),
            UserFilter(key_ends="AB"),
        ):
            fitting = [
                key for key in KEYS if key.startswith(where.key_starts or "") and key.endswith(where.key_ends or "")
            ]
            pages = [
                await user_lists.list_of_project(
                    database, RING, project, where, now=1, offset=offset, limit=1, order=Order.CREATED
                )
                for offset in range(len(fitting) + 1)
            ]
            assert [key_of(RING, user) for page in pages for user in page] == fitting
            total = await user_lists.count_of_project(database, RING, project, where, now=1)
            assert total.users == len(fitting)

    await check()
    await rewrap(database)
    await check()


async def test_everything_sealed_is_made_anew_and_counted_meanwhile(database: Database) -> None:
    project = await rows.add_project(database)
    account = await rows.value(database, "select account_id from projects where id = :id", id=project)
    one, other, removed = (user_with(f"KEY-{number}-OF-ALL", project, BEFORE) for number in range(3))
    await insert(database, of_before(one), other, user_with("KEY-OF-THE-NEW", project, RING))
    await remove(database, of_before(removed), now=5)
    secret = BEFORE.seal_secret(LURAPH_KEY, account, "luraph").removeprefix(seal_mark(OLD_ID))
    await rows.insert(database, "luraph_keys", account_id=account, sealed=secret)
    member = {"name": "Ana", "sign_in_name": "ana", "role": "owner", "invited_by": "x", "created_at": 1}
    totp = BEFORE.seal_secret(TOTP_SECRET, "m", "totp")
    await rows.insert(database, "members", id="m", account_id=account, totp_secret=totp, **member)
    await rows.insert(database, "members", id="n", account_id=account, **{**member, "sign_in_name": "ben"})
    hook = {"name": "x", "kind": "json", "shown_url": "x", "executions": "none", "executions_until": 1, "created_at": 1}
    await rows.insert(
        database,
        "endpoints",
        id="e",
        account_id=account,
        project_id=project,
        url=BEFORE.seal_secret(WEBHOOK_URL, "e", "https://example.com/"),
        secret=BEFORE.seal_secret(WEBHOOK_SECRET, "e", "whsec_1"),
        previous_secret=BEFORE.seal_secret(WEBHOOK_SECRET, "e", "whsec_0"),
        enabled=True,
        **hook,
    )
    kept = {"value_bytes": 1, "cache_seconds": 1, "revision": 1, "created_at": 1, "updated_at": 1}
    value = BEFORE.seal_secret(SERVER_VARIABLE, "v", '"sesame"')
    await rows.insert(
        database, "variables", id="v", account_id=account, project_id=project, name="x", value=value, **kept
    )
    script, _ = await rows.add_script(database, project)
    of_lines = BEFORE.seal_secret(LINE_MAP, "l", "lines")
    await rows.insert(database, "line_maps", id="l", script_id=script, build=1, map=of_lines)
    template = BEFORE.seal_secret(COPY_TEMPLATE, "c", "template")
    of_template = {"id": "c", "script_id": script, "build": 1, "places": 1, "created_at": 1}
    await rows.insert(database, "templates", **of_template, template=template)
    user_id = await rows.value(database, "select id from users limit 1")
    step = BEFORE.seal_secret(AD_STEP_SECRETS, "a", "{}")
    await rows.add_ad_system(database, account, project, user_id, secrets=step)
    await rows.insert(
        database,
        "idempotency_records",
        account_id=account,
        key="k",
        request_hash=b"h",
        status=200,
        reply=BEFORE.seal_secret("idempotent reply", f"{account}\nk", "{}"),
        created_at=1,
    )
    await master_keys.arranged(database, BEFORE, "x", is_alone=True, now=1)
    before = await under(database)
    assert before == {
        OLD_ID: {
            "key of the hashes of devices": 1,
            "keys of users": 2,
            "keys of removed users": 1,
            "keys with Luraph": 1,
            "secrets of one-time codes": 1,
            "addresses of webhooks": 1,
            "secrets of webhooks": 1,
            "earlier secrets of webhooks": 1,
            "secrets of checkpoints": 1,
            "values of server variables": 1,
            "line maps of builds": 1,
            "templates of copies": 1,
            "answers to calls with an idempotency key": 1,
        },
        NEW_ID: {"keys of users": 1},
    }
    assert await rewrap(database) == {}
    after = await under(database)
    assert after[OLD_ID] == {"answers to calls with an idempotency key": 1}
    assert after[NEW_ID]["keys of users"] == 3
    alone = Keyring(NEW)
    for user in (one, other):
        found = await users.find_by_key(database, [alone.user_key_hash(key_of(BEFORE, user))])
        assert found is not None
        assert (found.id, key_of(alone, found)) == (user.id, key_of(BEFORE, user))
    hashes = [alone.user_key_hash(key_of(BEFORE, removed))]
    back = await database.run(lambda tx: removed_users.take(tx, project, hashes, removed_after=0))
    assert back is not None
    assert (back.id, key_of(alone, back), back.key_hash) == (removed.id, key_of(BEFORE, removed), hashes[0])
    sealed_secret = await rows.value(database, "select sealed from luraph_keys")
    assert alone.open_secret(LURAPH_KEY, account, bytes(sealed_secret)) == "luraph"
    sealed_totp = await rows.value(database, "select totp_secret from members where id = 'm'")
    assert alone.open_secret(TOTP_SECRET, "m", bytes(sealed_totp)) == "totp"
    endpoint = await database.fetch_one(Query("test.endpoint", "select url, secret, previous_secret from endpoints"))
    assert endpoint is not None
    assert alone.open_secret(LINE_MAP, "l", bytes(await rows.value(database, "select map from line_maps"))) == "lines"
    of_template = await rows.value(database, "select template from templates")
    assert alone.open_secret(COPY_TEMPLATE, "c", bytes(of_template)) == "template"
    of_variable = await rows.value(database, "select value from variables")
    assert alone.open_secret(SERVER_VARIABLE, "v", bytes(of_variable)) == '"sesame"'
    of_step = await rows.value(database, "select secrets from ad_steps")
    assert alone.open_secret(AD_STEP_SECRETS, "a", bytes(of_step)) == "{}"
    purposes = (WEBHOOK_URL, WEBHOOK_SECRET, WEBHOOK_SECRET)
    opened = [alone.open_secret(purpose, "e", bytes(each)) for purpose, each in zip(purposes, endpoint, strict=True)]
    assert opened == ["https://example.com/", "whsec_1", "whsec_0"]


async def test_a_key_that_was_removed_under_both_is_kept_as_it_was_last(database: Database) -> None:
    project = await rows.add_project(database)
    for note, ring, at in (
        ("first", BEFORE, 5),
        ("last", RING, 6),
        ("other's first", RING, 5),
        ("other's last", BEFORE, 6),
    ):
        key = "OTHER-KEY" if "other" in note else "ONE-KEY-OF-IT"
        await remove(database, user_with(key, project, ring, note=note), now=at)
    await rewrap(database)
    found = await removed_users.list_of_project(database, project, discord_id=None, removed_after=0, offset=0, limit=9)
    assert sorted(str(each.user.note) for each in found) == ["last", "other's last"]


async def test_of_several_who_do_it_at_once_and_of_those_who_write_meanwhile_nothing_is_lost(
    database: Database,
) -> None:
    project = await rows.add_project(database)
    many = [user_with(f"KEY-{number:05}", project, BEFORE) for number in range(1_200)]
    await insert(database, *many)
    keys = {user.id: f"KEY-{number:05}" for number, user in enumerate(many)}

    async def keep_writing() -> None:
        for number, user in enumerate(many[::40]):
            await rows.change(database, "update users set note = :note where id = :id", note=str(number), id=user.id)
            if number % 3 == 0:
                await database.run(lambda tx, gone=user.id: users.remove(tx, [gone]))
                del keys[user.id]

    await asyncio.gather(rewrap(database), rewrap(database), keep_writing())
    stored = await database.fetch_all(Query("test.users", f"select {users.COLUMNS} from users"))
    alone = Keyring(NEW)
    found = {user.id: user for user in map(users.from_row, stored)}
    assert {user_id: key_of(alone, user) for user_id, user in found.items()} == keys
    assert {user_id: user.key_hash for user_id, user in found.items()} == {
        user_id: alone.user_key_hash(key) for user_id, key in keys.items()
    }
    assert [found[user.id].note for user in many[40::120]] == [str(number) for number in range(1, 30, 3)]


async def test_what_cannot_be_opened_stays_and_holds_nobody_up(database: Database) -> None:
    project = await rows.add_project(database)
    foreign = Keyring(bytes(32))
    await insert(database, user_with("LOST-KEY", project, foreign), user_with("GOOD-KEY", project, BEFORE))
    await remove(database, user_with("LOST-TOO", project, foreign), now=1)
    assert await rewrap(database) == {"keys of users": 1, "keys of removed users": 1}
    assert (await under(database))[NEW_ID] == {"keys of users": 1}


async def test_a_server_that_is_alone_begins_with_a_new_first_line_and_others_wait_for_the_word(
    database: Database,
) -> None:
    await master_keys.arranged(database, BEFORE, "x", is_alone=True, now=1)
    await rows.add_user(database, await rows.add_project(database), keyring=BEFORE)
    waiting = await master_keys.arranged(database, RING, "x", is_alone=False, now=2)
    assert (waiting.current.id, waiting.of_loader("A" * 32)) == (OLD_ID, waiting.current)
    begun = await master_keys.arranged(database, RING, "x", is_alone=True, now=3)
    assert begun.current.id == NEW_ID
    assert begun.identity_key == BEFORE.identity_key
    swapped = await master_keys.arranged(database, Keyring(OLD, NEW), "x", is_alone=True, now=4)
    assert swapped.current.id == NEW_ID, "the order of lines says nothing of keys that were used"
    for ring, reason in (
        (Keyring(NEW), f"x lacks the master key {OLD_ID}, which is not retired"),
        (BEFORE, f"that is {NEW_ID}; there is {OLD_ID}"),
        (Keyring(bytes(32), OLD), f"that is {NEW_ID}"),
    ):
        with pytest.raises(MasterKeyError, match=reason):
            await master_keys.arranged(database, ring, "x", is_alone=True, now=5)
    await rewrap(database, begun)
    await database.run(lambda tx: master_keys.retire(tx, OLD_ID, now=6))
    alone = await master_keys.arranged(database, Keyring(NEW), "x", is_alone=True, now=7)
    assert (alone.identity_key, alone.of_loader("A" * 32)) == (BEFORE.identity_key, None)
    known = {key.id: key for key in await master_keys.list_all(database)}
    assert (known[OLD_ID].retired_at, known[NEW_ID].used_from, known[OLD_ID].is_first) == (6, 3, True)


async def test_data_of_an_earlier_version_goes_on_under_the_key_that_it_had(database: Database) -> None:
    await rows.add_user(database, await rows.add_project(database), keyring=BEFORE)
    check = BEFORE.check_value()
    await rows.insert(database, "installation", id=1, key_check=check)
    await rows.insert(database, "master_keys", id=OLD_ID, key_check=check, added_at=0, used_from=0, is_first=True)
    begun = await master_keys.arranged(database, RING, "x", is_alone=True, now=3)
    assert (begun.current.id, begun.identity_key) == (NEW_ID, BEFORE.identity_key)
    assert begun.of_loader("A" * 32) is begun.older[0]
