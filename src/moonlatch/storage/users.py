"""Users: the keys of a project, and the bars that keep a blacklisted key's device out of the whole project."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.storage.interface import Database, Query, Row, Transaction

_NAMES = (
    "id",
    "key",
    "project_id",
    "discord_id",
    "note",
    "key_expires",
    "key_days",
    "max_instances",
    "max_executions",
    "fingerprintless",
    "fingerprint",
    "ip",
    "executor",
    "executions",
    "last_reset",
    "total_fingerprint_resets",
    "blacklisted",
    "blacklist_reason",
    "blacklist_expires",
    "created_at",
    "expiry_set_at",
)
COLUMNS = ", ".join(_NAMES)
"""What `from_row` takes, in its order."""

_BOOLEANS = ("fingerprintless", "blacklisted")
_BLACKLISTED = "(blacklisted and (blacklist_expires is null or blacklist_expires > :now))"

FIND = Query("users.find", f"select {COLUMNS} from users where key = :key")
_OWNED = (
    f"select {', '.join('u.' + name for name in _NAMES)} "
    "from users u join projects p on p.id = u.project_id where p.account_id = :account_id "
)
FIND_OWNED = Query("users.find_owned", f"{_OWNED} and u.id = :id")
FIND_OWNED_BY_KEY = Query("users.find_owned_by_key", f"{_OWNED} and u.key = :key")
_FITTING = (
    f"select {COLUMNS} from users where project_id = :project_id "
    "and (cast(:discord_id as text) is null or discord_id = :discord_id) "
    "and (cast(:note as text) is null or note = :note) "
    f"and (cast(:blacklisted as boolean) is null or {_BLACKLISTED} = :blacklisted) "
    "and (cast(:expired as boolean) is null or (key_expires is not null and key_expires <= :now) = :expired) "
)
_PAGE = "limit :limit offset :offset"
LIST = Query("users.list", f"{_FITTING} order by created_at, key {_PAGE}")
# Each for the filter that leaves the fewest, whose index it goes along; the others are looked at on the way.
LIST_BY_DISCORD = Query("users.list_by_discord", f"{_FITTING} and discord_id = :discord_id {_PAGE}")
LIST_BY_NOTE = Query("users.list_by_note", f"{_FITTING} and note = :note order by created_at, key {_PAGE}")
LIST_BLACKLISTED = Query("users.list_blacklisted", f"{_FITTING} and blacklisted order by created_at, key {_PAGE}")
LIST_EXPIRED = Query("users.list_expired", f"{_FITTING} and key_expires <= :now order by key_expires, key {_PAGE}")
INSERT = Query(
    "users.insert",
    f"insert into users ({COLUMNS}) values ({', '.join(':' + name for name in _NAMES)})",
)
SAVE_SETTINGS = Query(
    "users.save_settings",
    "update users set discord_id = :discord_id, note = :note, key_expires = :key_expires, key_days = :key_days, "
    "max_instances = :max_instances, max_executions = :max_executions, fingerprintless = :fingerprintless, "
    "expiry_set_at = :expiry_set_at "
    "where key = :key",
)
SET_BLACKLIST = Query(
    "users.set_blacklist",
    "update users set blacklisted = :blacklisted, blacklist_reason = :reason, blacklist_expires = :expires "
    "where key = :key",
)
ADD_BAR = Query(
    "users.add_bar",
    "insert into bars (project_id, fingerprint, user_key, expires_at) values (:project_id, :fingerprint, :key, :expires) "
    "on conflict (project_id, fingerprint, user_key) do update set expires_at = excluded.expires_at",
)
REMOVE_BARS = Query("users.remove_bars", "delete from bars where user_key = :key")
RESET_FINGERPRINT = Query(
    "users.reset_fingerprint",
    "update users set fingerprint = null, ip = null, last_reset = :now, "
    "total_fingerprint_resets = total_fingerprint_resets + 1 where key = :key",
)
REMOVE = Query("users.remove", f"delete from users where key = :key returning {COLUMNS}")
HAS_DISCORD = Query(
    "users.has_discord", "select 1 from users where project_id = :project_id and discord_id = :discord_id"
)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a project. The key is a secret, the id is not. Times in Unix milliseconds; `fingerprint` and `ip` are keyed hashes.

    `expiry_set_at` is when the key's end was last decided upon; 0 is longer ago than anybody asks for.
    """

    id: str
    key: str
    project_id: str
    discord_id: str | None = None
    note: str | None = None
    key_expires: int | None = None
    key_days: int | None = None
    max_instances: int | None = None
    max_executions: int | None = None
    fingerprintless: bool = False
    fingerprint: bytes | None = None
    ip: bytes | None = None
    executor: str | None = None
    executions: int = 0
    last_reset: int | None = None
    total_fingerprint_resets: int = 0
    blacklisted: bool = False
    blacklist_reason: str | None = None
    blacklist_expires: int | None = None
    created_at: int
    expiry_set_at: int = 0


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Exact conditions, combined with AND; None means any."""

    discord_id: str | None = None
    note: str | None = None
    blacklisted: bool | None = None
    expired: bool | None = None


def from_row(row: Row) -> User:
    """The user of a row of `COLUMNS`."""
    values: dict[str, Any] = dict(zip(User.__struct_fields__, row, strict=True))
    for name in _BOOLEANS:
        values[name] = bool(values[name])
    for name in ("fingerprint", "ip"):
        if values[name] is not None:
            values[name] = bytes(values[name])
    return User(**values)


async def find(db: Database | Transaction, key: str) -> User | None:
    row = await db.fetch_one(FIND, key=key)
    return None if row is None else from_row(row)


async def find_owned(db: Database | Transaction, user_id: str, account_id: str) -> User | None:
    """The user if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=user_id, account_id=account_id)
    return None if row is None else from_row(row)


async def find_named(db: Database | Transaction, key_or_id: str, account_id: str) -> User | None:
    """As `find_owned`, for whoever names a user by its key or by its id."""
    row = await db.fetch_one(FIND_OWNED_BY_KEY, key=key_or_id, account_id=account_id)
    return await find_owned(db, key_or_id, account_id) if row is None else from_row(row)


async def list_of_project(
    db: Database | Transaction, project_id: str, where: UserFilter, *, now: int, offset: int, limit: int
) -> list[User]:
    """A page of a project's users, oldest first; expired ones, when they are asked for, by their expiry."""
    rows = await db.fetch_all(
        _list_for(where), project_id=project_id, now=now, offset=offset, limit=limit, **msgspec.structs.asdict(where)
    )
    return [from_row(row) for row in rows]


def _list_for(where: UserFilter) -> Query:
    if where.discord_id is not None:
        return LIST_BY_DISCORD
    if where.note is not None:
        return LIST_BY_NOTE
    if where.blacklisted:
        return LIST_BLACKLISTED
    return LIST_EXPIRED if where.expired else LIST


async def insert(tx: Transaction, user: User) -> None:
    """Write the user, with the bar that a blacklisted one's device has.

    Raises UniqueViolation when the project has a key with this Discord id already.
    """
    await tx.execute(INSERT, **msgspec.structs.asdict(user))
    if user.blacklisted:
        await _bar_device(tx, user, user.blacklist_expires)


async def has_discord(tx: Transaction, project_id: str, discord_id: str) -> bool:
    """Tell if a key of the project has this Discord id."""
    return await tx.fetch_one(HAS_DISCORD, project_id=project_id, discord_id=discord_id) is not None


async def save_settings(tx: Transaction, user: User) -> bool:
    """Write what a developer may edit. False when the user is gone; UniqueViolation when the Discord id is taken."""
    return (
        await tx.execute(
            SAVE_SETTINGS,
            key=user.key,
            discord_id=user.discord_id,
            note=user.note,
            key_expires=user.key_expires,
            key_days=user.key_days,
            max_instances=user.max_instances,
            max_executions=user.max_executions,
            fingerprintless=user.fingerprintless,
            expiry_set_at=user.expiry_set_at,
        )
        == 1
    )


async def blacklist(tx: Transaction, user: User, *, reason: str | None, expires: int | None) -> None:
    """Blacklist the key until `expires` (None: for good) and bar its device, if one is bound, from the project."""
    await tx.execute(SET_BLACKLIST, key=user.key, blacklisted=True, reason=reason, expires=expires)
    await tx.execute(REMOVE_BARS, key=user.key)
    await _bar_device(tx, user, expires)


async def _bar_device(tx: Transaction, user: User, expires: int | None) -> None:
    if user.fingerprint is not None:
        await tx.execute(
            ADD_BAR, project_id=user.project_id, fingerprint=user.fingerprint, key=user.key, expires=expires
        )


async def unblacklist(tx: Transaction, key: str) -> None:
    """Take back the blacklisting and the bars that came with it."""
    await tx.execute(SET_BLACKLIST, key=key, blacklisted=False, reason=None, expires=None)
    await tx.execute(REMOVE_BARS, key=key)


async def reset_fingerprint(tx: Transaction, key: str, *, now: int) -> None:
    """Let the next device that starts with the key become its device."""
    await tx.execute(RESET_FINGERPRINT, key=key, now=now)


async def remove(tx: Transaction, key: str) -> User | None:
    """Remove the user and the bars of its device; gives the user as they were, None when they are gone."""
    row = await tx.fetch_one(REMOVE, key=key)
    return None if row is None else from_row(row)
