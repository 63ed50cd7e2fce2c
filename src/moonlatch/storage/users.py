"""Users: the keys of a project, and the bars that keep a blacklisted key's device out of the whole project."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names

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

FIND = Query("users.find", f"select {COLUMNS} from users where key = :key")
_OWNED = (
    f"select {', '.join('u.' + name for name in _NAMES)} "
    "from users u join projects p on p.id = u.project_id where p.account_id = :account_id "
)
FIND_OWNED = Query("users.find_owned", f"{_OWNED} and u.id = :id")
FIND_OWNED_BY_KEY = Query("users.find_owned_by_key", f"{_OWNED} and u.key = :key")
NAMED_AT_ONCE = 100
_NAMED = ", ".join(f":name{number}" for number in range(NAMED_AT_ONCE))
# The project is looked at last: its own index would lead through all of its users.
_OF_PROJECT = "project_id || '' = :project_id"
FIND_BY_KEYS = Query("users.find_by_keys", f"select {COLUMNS} from users where key in ({_NAMED}) and {_OF_PROJECT}")
FIND_BY_IDS = Query("users.find_by_ids", f"select {COLUMNS} from users where id in ({_NAMED}) and {_OF_PROJECT}")
INSERT = Query(
    "users.insert",
    f"insert into users ({COLUMNS}, key_forward, key_backward) "
    f"values ({', '.join(':' + name for name in _NAMES)}, :key, :key_backward) on conflict do nothing",
)
HAS_ID = Query("users.has_id", "select 1 from users where id = :id")
SAVE_SETTINGS = Query(
    "users.save_settings",
    "update users set discord_id = :discord_id, note = :note, key_expires = :key_expires, key_days = :key_days, "
    "max_instances = :max_instances, max_executions = :max_executions, fingerprintless = :fingerprintless, "
    "expiry_set_at = :expiry_set_at "
    "where key = :key",
)
SET_BLACKLIST = Query(
    "users.set_blacklist",
    "update users set blacklisted = :blacklisted, blacklist_reason = :blacklist_reason, "
    "blacklist_expires = :blacklist_expires where key = :key",
)
ADD_BAR = Query(
    "users.add_bar",
    "insert into bars (project_id, fingerprint, user_key, expires_at) values (:project_id, :fingerprint, :key, :blacklist_expires) "
    "on conflict (project_id, fingerprint, user_key) do update set expires_at = excluded.expires_at",
)
REMOVE_BARS = Query("users.remove_bars", "delete from bars where user_key = :key")
RESET_FINGERPRINT = Query(
    "users.reset_fingerprint",
    "update users set fingerprint = null, ip = null, last_reset = :now, "
    "total_fingerprint_resets = total_fingerprint_resets + 1 where key = :key",
)
REMOVE = Query("users.remove", "delete from users where key = :key")
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

    @property
    def key_backward(self) -> str:
        """By which a key is found by its last characters."""
        return self.key[::-1]


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


async def find_all_named(tx: Transaction, project_id: str, names: Sequence[str]) -> dict[str, User]:
    """Users of a project, by the key or id that each was named by; whoever is not among them is not there."""
    found: dict[str, User] = {}
    for start in range(0, len(names), NAMED_AT_ONCE):
        some = names[start : start + NAMED_AT_ONCE]
        padded = [*some, *[some[0]] * (NAMED_AT_ONCE - len(some))]
        parameters = {f"name{number}": name for number, name in enumerate(padded)}
        by_id = [from_row(row) for row in await tx.fetch_all(FIND_BY_IDS, project_id=project_id, **parameters)]
        by_key = [from_row(row) for row in await tx.fetch_all(FIND_BY_KEYS, project_id=project_id, **parameters)]
        found |= {user.id: user for user in by_id} | {user.key: user for user in by_key}
    return {name: found[name] for name in names if name in found}


async def insert(tx: Transaction, created: Sequence[User]) -> list[bool]:
    """Write users, with the bars that the devices of blacklisted ones have. False for each whose key exists in any account,
    or whose Discord id another of the project has: it is not written.
    """
    written = [count == 1 for count in await tx.execute_each(INSERT, _rows(INSERT, created))]
    new = [user for user, is_new in zip(created, written, strict=True) if is_new]
    await _bar_devices(tx, new)
    return written


async def has_discord(tx: Transaction, project_id: str, discord_id: str) -> bool:
    """Tell if a key of the project has this Discord id."""
    return await tx.fetch_one(HAS_DISCORD, project_id=project_id, discord_id=discord_id) is not None


async def has_id(tx: Transaction, user_id: str) -> bool:
    """Tell if a user of any account has this id."""
    return await tx.fetch_one(HAS_ID, id=user_id) is not None


async def save_settings(tx: Transaction, changed: Sequence[User]) -> None:
    """Write what a developer may edit. Raises UniqueViolation when a Discord id is taken."""
    await tx.execute_each(SAVE_SETTINGS, _rows(SAVE_SETTINGS, changed))


async def save_blacklisting(tx: Transaction, changed: Sequence[User]) -> None:
    """Write whether, why and until when users are blacklisted; the device of each who is gets barred from the project."""
    await tx.execute_each(SET_BLACKLIST, _rows(SET_BLACKLIST, changed))
    await tx.execute_each(REMOVE_BARS, _rows(REMOVE_BARS, changed))
    await _bar_devices(tx, changed)


async def _bar_devices(tx: Transaction, written: Sequence[User]) -> None:
    barred = [user for user in written if user.blacklisted and user.fingerprint is not None]
    await tx.execute_each(ADD_BAR, _rows(ADD_BAR, barred))


async def reset_fingerprint(tx: Transaction, keys: Sequence[str], *, now: int) -> None:
    """Let the next device that starts with each of the keys become its device."""
    assert parameter_names(RESET_FINGERPRINT.sql) == ("now", "key")
    await tx.execute_each(RESET_FINGERPRINT, [(now, key) for key in keys])


async def remove(tx: Transaction, keys: Sequence[str]) -> None:
    """Remove users and the bars of their devices."""
    await tx.execute_each(REMOVE, [(key,) for key in keys])


def _rows(query: Query, written: Sequence[User]) -> list[tuple[Any, ...]]:
    """The values of a statement that is run once for each user."""
    names = parameter_names(query.sql)
    return [tuple(getattr(user, name) for name in names) for user in written]
