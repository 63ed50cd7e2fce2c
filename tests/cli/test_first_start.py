"""The first account and its example: made once, whoever is first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from moonlatch.builds.pool import WorkerPool
from moonlatch.cli.first_start import first_account, publish_example
from moonlatch.config.sections import ProtectorSettings
from moonlatch.crypto import token_hash
from moonlatch.licensing.roles import Role
from moonlatch.licensing.tier import NO_LIMITS, Tier
from moonlatch.operations.context import World
from moonlatch.operations.refusals import Refused
from moonlatch.proofs import secret_hash
from moonlatch.storage import accounts, members, scripts, tokens, users
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.database import database as database
from support.keys import hashed
from support.publishing import NOW, Publishing


def world_of(database: SqliteDatabase) -> World:
    return World(database=database, tiers={}, clock=lambda: NOW)


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=60, memory_mib=1024, max_waiting=1))
    yield pool
    await pool.close()


async def test_of_two_servers_that_start_at_once_one_makes_the_account(database: SqliteDatabase) -> None:
    made = await asyncio.gather(*(first_account(world_of(database), tier="pro") for _ in range(2)))
    (first,) = [one for one in made if one is not None]
    assert [account.name for account in await accounts.list_all(database)] == ["owner"]
    assert first.account.tier == "pro"
    token = await tokens.find_by_hash(database, token_hash(first.token))
    assert token is not None
    assert token.account_id == first.account.id
    (owner,) = await members.list_of_account(database, first.account.id)
    assert (owner.role, owner.sign_in_name, owner.state) == (Role.OWNER, "owner", "invited")
    assert await members.find_by_link(database, secret_hash(first.link.secret), now=NOW) == owner


async def test_the_example_is_published_enabled_and_has_a_user(database: SqliteDatabase, workers: WorkerPool) -> None:
    first = await first_account(world_of(database), tier=NO_LIMITS.name)
    assert first is not None
    publisher = Publishing(database, workers).publisher()
    example = await publish_example(publisher.world, first.account)
    script = await scripts.find(database, example.script_id)
    user = await users.find_by_key(database, [hashed(example.user_key, publisher.world.keyring)])
    assert script is not None
    assert user is not None
    assert (script.build, script.enabled, script.project_id) == (1, True, user.project_id)


async def test_a_tier_that_allows_no_update_leaves_the_account_usable(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    none = Tier(name="none", obfuscations_per_period=0)
    first = await first_account(world_of(database), tier=none.name)
    assert first is not None
    publisher = Publishing(database, workers, none).publisher()
    with pytest.raises(Refused, match="max obfuscations reached"):
        await publish_example(publisher.world, first.account)
    assert await accounts.find(database, first.account.id) == first.account
