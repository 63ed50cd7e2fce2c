"""Accounts: who owns projects, and what their tier and quota count. Knows no rule about either."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One developer's account. Times in Unix milliseconds; `expires_at` None never expires."""

    id: str
    name: str
    tier: str
    expires_at: int | None
    created_at: int
    obfuscation_period_start: int
    obfuscations_used: int = 0
    build_ms_used: int = 0

    def is_expired(self, now_ms: int) -> bool:
        """Return whether writes are refused."""
        return self.expires_at is not None and self.expires_at <= now_ms


_STORED = columns_of(Account)
_COLUMNS = listed(_STORED)

FIND = Query("accounts.find", f"select {_COLUMNS} from accounts where id = :id")
FIND_BY_NAME = Query("accounts.find_by_name", f"select {_COLUMNS} from accounts where name = :name")
LIST = Query("accounts.list", f"select {_COLUMNS} from accounts order by created_at, id")
INSERT = Query("accounts.insert", f"insert into accounts ({_COLUMNS}) values ({placed(_STORED)})")
SAVE = Query("accounts.save", "update accounts set tier = :tier, expires_at = :expires_at where id = :id")
RENAME = Query("accounts.rename", "update accounts set name = :name where id = :id")
# Starts name their script by its id alone, so that removing one does not have to look through millions of them.
REMOVE_EXECUTIONS = Query(
    "accounts.remove_executions",
    "delete from executions where script_id in "
    "(select s.id from scripts s join projects p on p.id = s.project_id where p.account_id = :id)",
)
REMOVE = Query("accounts.remove", "delete from accounts where id = :id")
USAGE = Query(
    "accounts.usage",
    "select "
    "(select count(*) from projects where account_id = :id), "
    "(select count(*) from scripts s join projects p on p.id = s.project_id where p.account_id = :id), "
    "(select cast(coalesce(sum(t.users), 0) as bigint) from user_totals t join projects p on p.id = t.project_id "
    "where p.account_id = :id)",
)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its tier's limits an account has taken."""

    projects: int
    scripts: int
    users: int


def _account(row: Row) -> Account:
    return Account(**values_of(Account, row))


async def find(db: Database | Transaction, account_id: str) -> Account | None:
    row = await db.fetch_one(FIND, id=account_id)
    return None if row is None else _account(row)


async def find_by_name(db: Database | Transaction, name: str) -> Account | None:
    row = await db.fetch_one(FIND_BY_NAME, name=name)
    return None if row is None else _account(row)


async def list_all(db: Database | Transaction) -> list[Account]:
    """Every account, oldest first."""
    return [_account(row) for row in await db.fetch_all(LIST)]


async def insert(tx: Transaction, account: Account) -> None:
    """Raises UniqueViolation when the name is taken."""
    await tx.execute(INSERT, **msgspec.structs.asdict(account))


async def save(tx: Transaction, account: Account) -> bool:
    """Write what may be changed: tier and expiry. False when the account is gone."""
    return await tx.execute(SAVE, id=account.id, tier=account.tier, expires_at=account.expires_at) == 1


async def rename(tx: Transaction, account_id: str, name: str) -> bool:
    """False when the account is gone. Raises UniqueViolation when the name is taken."""
    return await tx.execute(RENAME, id=account_id, name=name) == 1


async def remove(tx: Transaction, account_id: str) -> bool:
    """Remove the account with everything that belongs to it: tokens, projects, scripts, users, starts. False when it is gone."""
    await tx.execute(REMOVE_EXECUTIONS, id=account_id)
    return await tx.execute(REMOVE, id=account_id) == 1


async def usage(db: Database | Transaction, account_id: str) -> Usage:
    row = await db.fetch_one(USAGE, id=account_id)
    assert row is not None  # three numbers, also of an account that is gone
    return Usage(projects=row[0], scripts=row[1], users=row[2])
