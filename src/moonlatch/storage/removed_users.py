"""Users that were removed, kept whole (their keys sealed) so that they can be brought back. For how long, is the caller's to decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names
from moonlatch.storage.users import User

RemovedBy = Literal["developer", "expiry"]

_COLUMNS = "record, removed_at, removed_by"

# A key that was removed before, came back elsewhere under the same name and goes again is kept as it was last.
KEEP = Query(
    "removed_users.keep",
    "insert into removed_users (project_id, key_hash, discord_id, removed_at, removed_by, record) "
    "values (:project_id, :key_hash, :discord_id, :removed_at, :removed_by, :record) "
    "on conflict (project_id, key_hash) do update set discord_id = excluded.discord_id, removed_at = excluded.removed_at, "
    "removed_by = excluded.removed_by, record = excluded.record",
)
_OF_PROJECT = f"select {_COLUMNS} from removed_users where project_id = :project_id and removed_at > :removed_after "  # noqa: S608
_PAGE = "order by removed_at desc, key_hash desc limit :limit offset :offset"
LIST = Query("removed_users.list", _OF_PROJECT + _PAGE)
# Those of one customer are few, and so they are sorted: SQLite would look through all others in the order of their removal.
LIST_BY_DISCORD = Query(
    "removed_users.list_by_discord",
    f"{_OF_PROJECT} and discord_id = :discord_id {_PAGE.replace('removed_at', 'removed_at + 0')}",
)
TAKE = Query(
    "removed_users.take",
    "delete from removed_users where project_id = :project_id and key_hash = :key_hash and removed_at > :removed_after "
    "returning record",
)
PRUNE = Query(
    "removed_users.prune",
    """
    delete from removed_users where (project_id, key_hash) in (
        select project_id, key_hash from removed_users where removed_at < :before order by removed_at limit :most
    )
    """,
)


class RemovedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user as they were, and when and why they went. Times in Unix milliseconds."""

    user: User
    removed_at: int
    removed_by: RemovedBy


async def keep(tx: Transaction, removed: Sequence[User], *, now: int, by: RemovedBy) -> None:
    """Keep users whose rows were removed in this transaction."""
    values = [
        {
            "project_id": user.project_id,
            "key_hash": user.key_hash,
            "discord_id": user.discord_id,
            "removed_at": now,
            "removed_by": by,
            "record": msgspec.json.encode(user).decode(),
        }
        for user in removed
    ]
    await tx.execute_each(KEEP, [tuple(row[name] for name in parameter_names(KEEP.sql)) for row in values])


async def list_of_project(
    db: Database | Transaction, project_id: str, *, discord_id: str | None, removed_after: int, offset: int, limit: int
) -> list[RemovedUser]:
    """A page of those that were removed after a time, the latest first; `discord_id` is a condition unless it is None."""
    page = {"project_id": project_id, "removed_after": removed_after, "offset": offset, "limit": limit}
    if discord_id is None:
        rows = await db.fetch_all(LIST, **page)
    else:
        rows = await db.fetch_all(LIST_BY_DISCORD, discord_id=discord_id, **page)
    return [RemovedUser(user=_user(row), removed_at=row["removed_at"], removed_by=row["removed_by"]) for row in rows]


async def take(tx: Transaction, project_id: str, key_hashes: Sequence[bytes], *, removed_after: int) -> User | None:
    """The user whose key has one of these hashes as they were, no longer kept here; None when none was removed after that time
    (Unix milliseconds).
    """
    for key_hash in key_hashes:
        row = await tx.fetch_one(TAKE, project_id=project_id, key_hash=key_hash, removed_after=removed_after)
        if row is not None:
            return _user(row)
    return None


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Forget up to `most` users who were removed before a time (Unix milliseconds), the longest ago first; gives how many."""
    return await tx.execute(PRUNE, before=before, most=most)


def _user(row: Row) -> User:
    return msgspec.json.decode(row["record"], type=User)
