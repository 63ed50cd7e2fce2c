"""Users: the keys of a project, which stand here as `storage/user_keys.py` has it, and the bars that keep a blacklisted key's device out of the whole project."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.keyring import Keyring
from moonlatch.storage.columns import assigned, blobs_of, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a project. Times in Unix milliseconds; `fingerprint` and `ip` are keyed hashes, `key_hash`, `key_sealed` and both codes are
    what `user_keys.as_stored` makes of the key.

    Copies that started until `instances_since` were stopped for good; the last of the leases of the key's device ends at `leased_until`. `expiry_set_at` is when the key's end was last decided upon; 0 is longer ago than anybody asks for.
    `locked_to` is the network that it must be started in for the first time, as `operations/locks.py` has it.
    `held_by` is the rule that has put the key on hold; what it was used for before `forgiven_until` no rule looks at any more.
    """

    id: str
    key_hash: bytes
    key_sealed: bytes
    start_code: bytes
    end_code: bytes
    project_id: str
    discord_id: str | None = None
    note: str | None = None
    key_expires: int | None = None
    key_days: int | None = None
    max_instances: int | None = None
    max_executions: int | None = None
    max_devices: int | None = None
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
    instances_since: int | None = None
    leased_until: int | None = None
    held_by: str | None = None
    held_at: int | None = None
    held_until: int | None = None
    forgiven_until: int | None = None
    locked_to: bytes | None = None


_NAMES = columns_of(User)
COLUMNS = listed(_NAMES)
"""What `from_row` takes, in its order."""

_SETTINGS = (
    "discord_id",
    "note",
    "key_expires",
    "key_days",
    "max_instances",
    "max_executions",
    "max_devices",
    "fingerprintless",
    "expiry_set_at",
)
_BLACKLISTING = ("blacklisted", "blacklist_reason", "blacklist_expires")
_HOLD = ("held_by", "held_at", "held_until", "forgiven_until")
_FLAGS = flags_of(User)
_BLOBS = blobs_of(User)

FIND_BY_KEY = Query("users.find_by_key", f"select {COLUMNS} from users where key_hash = :key_hash")
_OWNED = (
    f"select {listed(_NAMES, of='u')} "
    "from users u join projects p on p.id = u.project_id where p.account_id = :account_id "
)
FIND_OWNED = Query("users.find_owned", f"{_OWNED} and u.id = :id")
FIND_OWNED_BY_KEY = Query("users.find_owned_by_key", f"{_OWNED} and u.key_hash = :key_hash")
NAMED_AT_ONCE = 100
_NAMES_AT_ONCE = [f"name{number}" for number in range(NAMED_AT_ONCE)]
_NAMED = ", ".join(f":{name}" for name in _NAMES_AT_ONCE)
# The project is looked at last: its own index would lead through all of its users.
_OF_PROJECT = "project_id || '' = :project_id"
FIND_BY_KEYS = Query(
    "users.find_by_keys", f"select {COLUMNS} from users where key_hash in ({_NAMED}) and {_OF_PROJECT}"
)
FIND_BY_IDS = Query("users.find_by_ids", f"select {COLUMNS} from users where id in ({_NAMED}) and {_OF_PROJECT}")
INSERT = Query(
    "users.insert",
    f"insert into users ({COLUMNS}) values ({placed(_NAMES)}) on conflict do nothing",
)
HAS_ID = Query("users.has_id", "select 1 from users where id = :id")
SAVE_SETTINGS = Query("users.save_settings", f"update users set {assigned(_SETTINGS)} where id = :id")
SET_BLACKLIST = Query("users.set_blacklist", f"update users set {assigned(_BLACKLISTING)} where id = :id")
SAVE_HOLD = Query("users.save_hold", f"update users set {assigned(_HOLD)} where id = :id")
ADD_BAR = Query(
    "users.add_bar",
    "insert into bars (project_id, fingerprint, user_id, expires_at) values (:project_id, :fingerprint, :id, :blacklist_expires) "
    "on conflict (project_id, fingerprint, user_id) do update set expires_at = excluded.expires_at",
)
MOST_KNOWN_DEVICES = 100
"""Devices that are barred with a key besides its own, those it was used on last."""

ADD_BARS_OF_KNOWN = Query(
    "users.add_bars_of_known",
    """
    insert into bars (project_id, fingerprint, user_id, expires_at)
    select :project_id, known.device, :id, cast(:blacklist_expires as bigint) from (
        select k.device from key_uses k where k.user_id = :id and length(k.device) > 0
        group by k.device order by max(k.last_at) desc limit :most
    ) known where true
    on conflict (project_id, fingerprint, user_id) do update set expires_at = excluded.expires_at
    """,
)
ADD_BARS_OF_BOUND = Query(
    "users.add_bars_of_bound",
    """
    insert into bars (project_id, fingerprint, user_id, expires_at)
    select :project_id, d.fingerprint, d.user_id, cast(:blacklist_expires as bigint) from key_devices d where d.user_id = :id
    on conflict (project_id, fingerprint, user_id) do update set expires_at = excluded.expires_at
    """,
)
MOST_KNOWN_NETWORKS = 100
"""As `MOST_KNOWN_DEVICES`, of networks where they are asked for."""

ADD_BARS_OF_NETWORKS = Query(
    "users.add_bars_of_networks",
    """
    insert into bars (project_id, fingerprint, user_id, expires_at, kind)
    select :project_id, known.network, :id, cast(:blacklist_expires as bigint), 'network' from (
        select k.network from key_uses k where k.user_id = :id and length(k.network) > 0
        group by k.network order by max(k.last_at) desc limit :most
    ) known where true
    on conflict (project_id, fingerprint, user_id) do update set expires_at = excluded.expires_at
    """,
)
REMOVE_BARS = Query("users.remove_bars", "delete from bars where user_id = :id")
_DEVICE = ("fingerprint", "ip", "last_reset", "total_fingerprint_resets")
SAVE_DEVICE = Query("users.save_device", f"update users set {assigned(_DEVICE)} where id = :id")
# Whatever the clock of the process says that granted the latest start.
REVOKE_INSTANCES = Query(
    "users.revoke_instances",
    """
    update users set
        instances_since = case when last_started_at > :instances_since then last_started_at else :instances_since end
    where id = :id
    """,
)
_LICENCE = ("fingerprint", "key_expires", "expiry_set_at", "leased_until")
SAVE_LICENCE = Query("users.save_licence", f"update users set {assigned(_LICENCE)} where id = :id")
REMOVE = Query("users.remove", "delete from users where id = :id")
FIND_BY_DISCORD = Query(
    "users.find_by_discord",
    f"select {COLUMNS} from users where project_id = :project_id and discord_id = :discord_id",
)
UNUSED = Query(
    "users.unused",
    f"select {COLUMNS} from users where project_id = :project_id and unused and discord_id is null and not blacklisted "
    "order by created_at, id limit :most",
)
IDS = Query(
    "users.ids",
    "select created_at, id from users where project_id = :project_id and (created_at, id) > (:created_at, :id) "
    "order by created_at, id limit :most",
)
FIRST = (-1, "")
"""Before every user."""
HAS_DISCORD = Query(
    "users.has_discord", "select 1 from users where project_id = :project_id and discord_id = :discord_id"
)


def from_row(row: Row) -> User:
    """The user of a row of `COLUMNS`."""
    return User(**values_of(User, row, flags=_FLAGS, blobs=_BLOBS))


async def find_by_key(db: Database | Transaction, key_hashes: Sequence[bytes]) -> User | None:
    """The user of any account whose key has one of these hashes."""
    for key_hash in key_hashes:
        row = await db.fetch_one(FIND_BY_KEY, key_hash=key_hash)
        if row is not None:
            return from_row(row)
    return None


async def find_owned(db: Database | Transaction, user_id: str, account_id: str) -> User | None:
    """The user if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=user_id, account_id=account_id)
    return None if row is None else from_row(row)


async def find_named(db: Database | Transaction, keyring: Keyring, key_or_id: str, account_id: str) -> User | None:
    """As `find_owned`, for whoever names a user by its key or by its id."""
    for key_hash in keyring.user_key_hashes(key_or_id):
        row = await db.fetch_one(FIND_OWNED_BY_KEY, key_hash=key_hash, account_id=account_id)
        if row is not None:
            return from_row(row)
    return await find_owned(db, key_or_id, account_id)


async def find_all_named(tx: Transaction, keyring: Keyring, project_id: str, names: Sequence[str]) -> dict[str, User]:
    """Users of a project, by the key or id that each was named by; whoever is not among them is not there."""
    named = {key_hash: name for name in names for key_hash in keyring.user_key_hashes(name)}
    by_id = {user.id: user for user in await _find_all(tx, FIND_BY_IDS, project_id, names)}
    by_key = {named[user.key_hash]: user for user in await _find_all(tx, FIND_BY_KEYS, project_id, list(named))}
    found = {name: by_key.get(name) or by_id.get(name) for name in names}
    return {name: user for name, user in found.items() if user is not None}


async def find_all(db: Database | Transaction, project_id: str, user_ids: Sequence[str]) -> list[User]:
    """Those of these users that are there, in no order."""
    return await _find_all(db, FIND_BY_IDS, project_id, user_ids)


async def _find_all(
    db: Database | Transaction, query: Query, project_id: str, names: Sequence[str] | Sequence[bytes]
) -> list[User]:
    found: list[User] = []
    for start in range(0, len(names), NAMED_AT_ONCE):
        some = names[start : start + NAMED_AT_ONCE]
        padded = [*some, *[some[0]] * (NAMED_AT_ONCE - len(some))]
        rows = await db.fetch_all(query, project_id=project_id, **dict(zip(_NAMES_AT_ONCE, padded, strict=True)))
        found.extend(map(from_row, rows))
    return found


async def find_by_discord(db: Database | Transaction, project_id: str, discord_id: str) -> User | None:
    """The user of a project with this Discord id."""
    row = await db.fetch_one(FIND_BY_DISCORD, project_id=project_id, discord_id=discord_id)
    return None if row is None else from_row(row)


async def ids_of_project(db: Database, project_id: str, *, after: tuple[int, str], most: int) -> list[tuple[int, str]]:
    """When users were made, and their ids, oldest first from behind one of them; read beside the event loop."""
    created_at, user_id = after
    rows = await db.search(IDS, project_id=project_id, created_at=created_at, id=user_id, most=most)
    return [(int(made), str(found)) for made, found in rows]


async def list_unused(tx: Transaction, project_id: str, *, most: int) -> list[User]:
    """Users of a project whose keys never started anything and belong to nobody, the oldest first."""
    return [from_row(row) for row in await tx.fetch_all(UNUSED, project_id=project_id, most=most)]


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


async def save_blacklisting(tx: Transaction, changed: Sequence[User], *, bar_networks: bool = False) -> None:
    """Write whether, why and until when users are blacklisted; the devices of each who is get barred from the project: the key's own,
    and those it is known to have been used on; with `bar_networks`, the networks that it was used in, too.
    """
    await tx.execute_each(SET_BLACKLIST, _rows(SET_BLACKLIST, changed))
    await tx.execute_each(REMOVE_BARS, _rows(REMOVE_BARS, changed))
    await _bar_devices(tx, changed)
    assert parameter_names(ADD_BARS_OF_KNOWN.sql) == ("project_id", "id", "blacklist_expires", "most")
    barred = [
        (user.project_id, user.id, user.blacklist_expires, MOST_KNOWN_DEVICES) for user in changed if user.blacklisted
    ]
    await tx.execute_each(ADD_BARS_OF_KNOWN, barred)
    if bar_networks:
        assert parameter_names(ADD_BARS_OF_NETWORKS.sql) == ("project_id", "id", "blacklist_expires", "most")
        networks = [(*values, MOST_KNOWN_NETWORKS) for *values, _ in barred]
        await tx.execute_each(ADD_BARS_OF_NETWORKS, networks)
    await tx.execute_each(ADD_BARS_OF_BOUND, _rows(ADD_BARS_OF_BOUND, [user for user in changed if user.blacklisted]))


async def save_hold(tx: Transaction, changed: Sequence[User]) -> None:
    """Write whether and until when keys are on hold, and what is forgiven."""
    await tx.execute_each(SAVE_HOLD, _rows(SAVE_HOLD, changed))


async def _bar_devices(tx: Transaction, written: Sequence[User]) -> None:
    barred = [user for user in written if user.blacklisted and user.fingerprint is not None]
    await tx.execute_each(ADD_BAR, _rows(ADD_BAR, barred))


async def save_device(tx: Transaction, changed: Sequence[User]) -> None:
    """Write which device is the first of users' keys, and how often they were unbound; None: the next that starts becomes it."""
    await tx.execute_each(SAVE_DEVICE, _rows(SAVE_DEVICE, changed))


async def revoke_instances(tx: Transaction, changed: Sequence[User]) -> None:
    """Write until when copies of users' keys were stopped."""
    await tx.execute_each(REVOKE_INSTANCES, _rows(REVOKE_INSTANCES, changed))


async def save_licence(tx: Transaction, changed: User) -> None:
    """Write whose device a key is, its end and that of its leases."""
    await tx.execute_each(SAVE_LICENCE, _rows(SAVE_LICENCE, [changed]))


async def remove(tx: Transaction, user_ids: Sequence[str]) -> None:
    """Remove users and the bars of their devices."""
    await tx.execute_each(REMOVE, [(user_id,) for user_id in user_ids])


def _rows(query: Query, written: Sequence[User]) -> list[tuple[Any, ...]]:
    """The values of a statement that is run once for each user."""
    names = parameter_names(query.sql)
    return [tuple(getattr(user, name) for name in names) for user in written]
