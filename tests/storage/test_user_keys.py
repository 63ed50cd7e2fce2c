"""Keys as they are stored: found by hash and by part, opened with the master key and as their own user's alone."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.crypto import CODED_CHARACTERS, UnreadableSecretError, new_id
from moonlatch.keyring import Keyring
from moonlatch.storage import user_lists, users
from moonlatch.storage.interface import Database
from moonlatch.storage.user_keys import as_stored, end_code, key_of, masked_key_of, start_code
from moonlatch.storage.user_lists import UserFilter
from moonlatch.storage.users import User
from support import rows
from support.database import ENGINES, engine_url, opened_at
from support.keys import KEYRING

OTHER = Keyring(bytes(32))
keys = st.text(string.ascii_letters + string.digits + "_-", min_size=8, max_size=64)


def user_with(key: str, project: str = "project") -> User:
    user_id = new_id()
    return User(
        id=user_id,
        project_id=project,
        created_at=1,
        **as_stored(KEYRING, key, user_id=user_id, project_id=project),
    )


@given(keys)
def test_a_key_is_opened_with_its_master_key_for_its_user_alone(key: str) -> None:
    user, other = user_with(key), user_with(key)
    assert key_of(KEYRING, user) == key
    assert user.key_hash == other.key_hash
    assert user.key_sealed != other.key_sealed, "a nonce of its own"
    assert KEYRING.user_key_hash(key) != OTHER.user_key_hash(key)
    for keyring, stolen in ((OTHER, user), (KEYRING, User(**{**fields(user), "id": other.id}))):
        with pytest.raises(UnreadableSecretError):
            key_of(keyring, stolen)


def fields(user: User) -> dict[str, object]:
    return {name: getattr(user, name) for name in User.__struct_fields__}


@given(keys, keys)
def test_codes_have_as_much_in_common_as_the_keys_and_hold_nothing_of_them(one: str, other: str) -> None:
    for code, parts in ((start_code, (one, other)), (end_code, (one[::-1], other[::-1]))):
        coded = [code(KEYRING, "p", key) for key in (one, other)]
        assert [len(each) for each in coded] == [4 * min(len(key), CODED_CHARACTERS) for key in (one, other)]
        assert common(*coded) // 4 == min(common(*parts), CODED_CHARACTERS)
    assert common(start_code(KEYRING.current, "p", one), start_code(KEYRING.current, "q", one)) < 4
    assert common(start_code(KEYRING.current, "p", one), end_code(KEYRING.current, "p", one[::-1])) < 4


def common(one: bytes | str, other: bytes | str) -> int:
    """How many elements both begin with."""
    together = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(together) if a != b), min(len(one), len(other)))


def test_what_is_shown_of_a_key_is_a_quarter_of_it_at_most() -> None:
    shown = {
        key: masked_key_of(KEYRING, user_with(key))
        for key in ("ABCDEFGH", "A" * 15 + "Z", "ABCDE" + "x" * 30 + "VWXYZ")
    }
    assert list(shown.values()) == ["A…H", "AA…AZ", "ABCD…WXYZ"]


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with engine_url(request, request.param) as url:
        async with opened_at(url, tmp_path) as fresh:
            yield fresh


async def test_users_are_found_by_every_part_of_their_keys(database: Database) -> None:
    project, other = await rows.add_project(database), await rows.add_project(database)
    known = [
        "HUB-AAAA",
        "HUB-AAAB",
        "HUB-" + "A" * 30,
        "HUB-" + "A" * 30 + "B",
        "aHUB-AAA",
        "x" * 64,
        "x" * 63 + "y",
        "hub-aaaa",
    ]
    created = [user_with(key, project) for key in known] + [user_with("HUB-AAAA-elsewhere", other)]
    assert all(await database.run(lambda tx: users.insert(tx, created)))
    parts = {key[:end] for key in known for end in (3, 4, 8, 15, 16, 17, 33, len(key))} | {
        "HUB-B",
        "HUB-AAAA-else",
        "zzz",
    }
    parts |= {part[::-1] for part in parts} | {key[-end:] for key in known for end in (3, 5, 16, 17, 40)}

    async def found(where: UserFilter) -> list[str]:
        page = await user_lists.list_of_project(database, KEYRING, project, where, now=1, offset=0, limit=99)
        total = await user_lists.count_of_project(database, KEYRING, project, where, now=1)
        assert (total.users, total.is_exact) == (len(page), True)
        return sorted(key_of(KEYRING, user) for user in page)

    for part in parts:
        assert await found(UserFilter(key_starts=part)) == sorted(key for key in known if key.startswith(part)), part
        assert await found(UserFilter(key_ends=part)) == sorted(key for key in known if key.endswith(part)), part
    assert await found(UserFilter(key_starts="HUB-AAAAAAAAAAAAAAAAA", key_ends="AB")) == [known[3]]


async def test_a_key_that_exists_is_not_written_again_wherever_it_is(database: Database) -> None:
    project, other = await rows.add_project(database), await rows.add_project(database)
    assert await database.run(lambda tx: users.insert(tx, [user_with("ABCDEFGH", project)])) == [True]
    again = [user_with("ABCDEFGH", other), user_with("ABCDEFGI", other)]
    assert await database.run(lambda tx: users.insert(tx, again)) == [False, True]
    found = await users.find_by_key(database, [KEYRING.user_key_hash("ABCDEFGH")])
    assert found is not None
    assert found.project_id == project
