"""Portable SQL over the first tables, for tests of the storage engines themselves (they must not depend on the stores)."""

from typing import Any

from moonlatch.storage.interface import Database, Query, Transaction
from support.keys import stored

ADD_ACCOUNT = Query(
    "test.add_account",
    "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values (:id, :name, 'free', 1, 1)",
)
USED = Query("test.used", "select obfuscations_used from accounts where id = :id")
SET_USED = Query("test.set_used", "update accounts set obfuscations_used = :used where id = :id")
CLAIM = Query(
    "test.claim",
    "update accounts set obfuscations_used = obfuscations_used + 1 where id = :id and obfuscations_used < :places",
)
REMOVE_ACCOUNT = Query("test.remove_account", "delete from accounts where id = :id")
ACCOUNT_IDS = Query("test.account_ids", "select id from accounts order by id")

ADD_PROJECT = Query(
    "test.add_project",
    "insert into projects (id, account_id, name, delete_expired_users, created_at)"
    " values (:id, :account_id, :id, :delete_expired_users, 1)",
)
ADD_USER = Query(
    "test.add_user",
    "insert into users"
    " (id, key_hash, key_sealed, start_code, end_code, project_id, discord_id, note, key_expires, fingerprint,"
    " fingerprintless, blacklisted, created_at)"
    " values (:id, :key_hash, :key_sealed, :start_code, :end_code, :project_id, :discord_id, :note, :key_expires, :fingerprint,"
    " :fingerprintless, :blacklisted, 1)",
)
USER = Query("test.user", "select * from users where id = :id")
USER_IDS = Query("test.user_ids", "select id from users order by id")


async def add_account(database: Database, account_id: str) -> None:
    """Commit an account with default values; its name is its id."""
    await database.run(lambda tx: tx.execute(ADD_ACCOUNT, id=account_id, name=account_id))


async def add_project(
    database: Database, project_id: str, *, account_id: str, delete_expired_users: bool = False
) -> None:
    """Commit a project of an account that is there."""
    await database.run(
        lambda tx: tx.execute(
            ADD_PROJECT, id=project_id, account_id=account_id, delete_expired_users=delete_expired_users
        )
    )


async def add_user(where: Database, key: str, *, project_id: str, **columns: Any) -> None:
    """Commit a user of a project that is there."""

    async def unit(tx: Transaction) -> None:
        await insert_user(tx, key, project_id=project_id, **columns)

    await where.run(unit)


async def insert_user(tx: Transaction, key: str, *, project_id: str, **columns: Any) -> None:
    """Add a user inside a transaction, whose id is the key too; columns that are not given are null or false."""
    values = {
        "discord_id": None,
        "note": None,
        "key_expires": None,
        "fingerprint": None,
        "fingerprintless": False,
        "blacklisted": False,
        **columns,
    }
    values.setdefault("id", key)
    kept = stored(key, user_id=values["id"], project_id=project_id)
    await tx.execute(ADD_USER, project_id=project_id, **kept, **values)


async def used(database: Database, account_id: str) -> int:
    """The account's counter, which tests use as their number to change."""
    row = await database.fetch_one(USED, id=account_id)
    assert row is not None
    return int(row["obfuscations_used"])


async def account_ids(database: Database) -> list[str]:
    """Every committed account, in order."""
    return [row["id"] for row in await database.fetch_all(ACCOUNT_IDS)]
