"""Lists of a project's users: filtered, in order, and counted. Each goes along the index of the condition that leaves the fewest.

`docs/why/storage.md` says which of them look at more users than they give.
"""

# ruff: noqa: S608 -- what is put into the statements is this module's own text
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from moonlatch.crypto import CODED_CHARACTERS, MasterKey
from moonlatch.keyring import Keyring
from moonlatch.storage import user_keys
from moonlatch.storage.interface import Database, Query, Row, Transaction, parameter_names, searching
from moonlatch.storage.users import COLUMNS, User, from_row

MAX_COUNTED = 10_000
"""How many users that fit a filter are counted, at most."""

MAX_UNSEALED = 2_000
"""How many keys with the same first or last `CODED_CHARACTERS` are compared with a longer part, at most: 10 ms."""


class Order(StrEnum):
    """By what a list is sorted. By `EXPIRES`, those whose key has no end yet come last."""

    CREATED = "created"
    EXPIRES = "expires"


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions, combined with AND; None means any. What is part of a key is ASCII.

    `note_contains` looks for the letters A to Z in either case.
    """

    discord_id: str | None = None
    note: str | None = None
    note_contains: str | None = None
    key_starts: str | None = None
    key_ends: str | None = None
    executor: str | None = None
    blacklisted: bool | None = None
    expired: bool | None = None
    unused: bool | None = None
    held: bool | None = None


class TooManyAlike(Exception):
    """More than `MAX_UNSEALED` keys share what is coded of a longer part of a key, and fit the other conditions."""

    def __init__(self) -> None:
        super().__init__(
            f"is too long: more than {MAX_UNSEALED:,} keys have the same {CODED_CHARACTERS} characters at that end; "
            "give another condition too"
        )


class Total(msgspec.Struct, frozen=True):
    """How many users fit; there are more where it is not exact."""

    users: int
    is_exact: bool


_BEHIND = b"\xff" * (4 * CODED_CHARACTERS)
"""Behind every code, where it stands behind what they begin with."""

_BLACKLISTED = "(blacklisted and (blacklist_expires is null or blacklist_expires > :now))"
_HELD = "(held_by is not null and (held_until is null or held_until > :now))"


def _coded(side: str, master_keys: int) -> str:
    """That a key's code on a side lies where that of a part of it does, whichever of so many master keys made it."""
    return " or ".join(
        f"{side}_code >= :{side}_from{number or ''} and {side}_code < :{side}_before{number or ''}"
        for number in range(master_keys)
    )


_FITTING = (
    "from users where project_id = :project_id "
    "and (cast(:discord_id as text) is null or discord_id = :discord_id) "
    "and (cast(:note as text) is null or note = :note) "
    "and (cast(:note_contains as text) is null or replace(lower(note), lower(:note_contains), '') <> lower(note)) "
    "and (cast(:start_from as bytea) is null or ({starts})) "
    "and (cast(:end_from as bytea) is null or ({ends})) "
    "and (cast(:executor as text) is null or executor = :executor) "
    f"and (cast(:blacklisted as boolean) is null or {_BLACKLISTED} = :blacklisted) "
    "and (cast(:expired as boolean) is null or (key_expires is not null and key_expires <= :now) = :expired) "
    "and (cast(:unused as boolean) is null or unused = :unused) "
    f"and (cast(:held as boolean) is null or {_HELD} = :held) "
)
_CREATION = ("created_at", "id")
_EXPIRY = ("coalesce(key_expires, 9223372036854775807)", "id")

_ALONG = {
    "discord_id": "discord_id = :discord_id",
    "key_starts": "({starts})",
    "key_ends": "({ends})",
    "note": "note = :note",
    "held": "held_by is not null",
    "blacklisted": "blacklisted",
    "expired": f"{_EXPIRY[0]} <= :now",
    "unused": "unused",
    "all": "true",
}
"""The condition that a list goes along, by name; those that leave the fewest come first."""

_PARTS_OF_KEYS = ("key_starts", "key_ends")
_SORTED: dict[tuple[str, Order | None], tuple[str, ...]] = {
    **{(name, None): _CREATION for name in _ALONG},
    **{(name, Order.CREATED): _CREATION for name in _ALONG if name not in (*_PARTS_OF_KEYS, "expired")},
    **{(name, Order.EXPIRES): _EXPIRY for name in ("discord_id", "expired", "all")},
    # These are few, and so they are sorted; others are met on the way along the expiries of all.
    **{(name, Order.EXPIRES): (f"{_EXPIRY[0]} + 0", "id") for name in ("note", "held", "blacklisted")},
    ("key_starts", None): ("start_code", "id"),
    ("key_ends", None): ("end_code", "id"),
    ("expired", None): _EXPIRY,
}
"""What each list is sorted by."""


def _conditions(name: str, master_keys: int) -> str:
    return f"{_FITTING} and {_ALONG[name]}".format(starts=_coded("start", master_keys), ends=_coded("end", master_keys))


@cache
def list_query(name: str, order: Order | None, is_reversed: bool, master_keys: int = 1) -> Query:
    """A page of a list, where so many master keys made the codes of keys."""
    by = ", ".join(f"{each} desc" if is_reversed else each for each in _SORTED[name, order])
    words = ["users.list", name, *([] if order is None else [f"by_{order}"]), *(["reversed"] if is_reversed else [])]
    return Query(
        "_".join(words),
        f"select {COLUMNS} {_conditions(name, master_keys)} order by {by} limit :limit offset :offset",
    )


# Without an order SQLite goes along any index of the project, and fetches each user from another page of the file;
# PostgreSQL gathers all who are blacklisted before it counts the first.
_ORDER_OF_COUNT = {name: f"order by {', '.join(_CREATION)}" for name in ("all", "blacklisted")}


@cache
def count_query(name: str, master_keys: int = 1) -> Query:
    """How many a list holds, up to a number."""
    return Query(
        f"users.count_{name}",
        f"select count(*) from (select 1 {_conditions(name, master_keys)} {_ORDER_OF_COUNT.get(name, '')} limit :most) counted",
    )


# Without the conditions that nobody gave; of most of them an index says by itself who fits.
_BY_STATE = {
    UserFilter(blacklisted=False, expired=False): (
        "active",
        f"not {_BLACKLISTED} and (key_expires is null or key_expires > :now) order by {', '.join(_CREATION)}",
    ),
    UserFilter(expired=True): ("expired", f"{_EXPIRY[0]} <= :now"),
    UserFilter(blacklisted=True): ("blacklisted", f"{_BLACKLISTED} order by {', '.join(_CREATION)}"),
    UserFilter(held=True): ("held", _HELD),
    UserFilter(unused=True): ("unused", "unused"),
}
"""A name, and who fits, of filters that are counted often."""


def _count_of_state(condition: str) -> str:
    return (
        f"select count(*) from (select 1 from users where project_id = :project_id and {condition} limit :most) counted"
    )


BY_STATE = {
    where: Query(f"users.count_of_{name}", _count_of_state(condition)) for where, (name, condition) in _BY_STATE.items()
}
COUNT_EACH = Query(
    "users.count_each",
    f"select {', '.join(f'({_count_of_state(condition)})' for _, condition in _BY_STATE.values())}",
)
LISTS = {
    (name, order, is_reversed): list_query(name, order, is_reversed)
    for name, order in _SORTED
    for is_reversed in (False, True)
}
COUNTS = {name: count_query(name) for name in _ALONG}
COUNT = Query(
    "users.count",
    "select cast(coalesce(sum(users), 0) as bigint) from user_totals where project_id = :project_id",
)


async def list_of_project(
    db: Database | Transaction,
    keyring: Keyring,
    project_id: str,
    where: UserFilter,
    *,
    now: int,
    offset: int,
    limit: int,
    order: Order | None = None,
    is_reversed: bool = False,
) -> list[User]:
    """A page of a project's users. Without an order, those of a part of a key come in an order of their own, those who are
    expired in that of their expiry, and others oldest first.

    Raises Unavailable as `Database.search` does, and TooManyAlike.
    """
    name = next(name for name in _fitting(where) if (name, order) in _SORTED)
    parameters = _parameters(keyring, project_id, where, now)
    ask, query = _asking(db, where), list_query(name, order, is_reversed, len(keyring.keys))
    if _is_coded(where):
        found = [from_row(row) for row in await ask(query, **parameters, offset=offset, limit=limit)]
        return found if where.key_starts is None and where.key_ends is None else _holding(keyring, found, where)
    rows = await ask(query, **parameters, offset=0, limit=MAX_UNSEALED + 1)
    if len(rows) > MAX_UNSEALED:
        raise TooManyAlike
    return _holding(keyring, [from_row(row) for row in rows], where)[offset : offset + limit]


async def count_of_project(
    db: Database | Transaction, keyring: Keyring, project_id: str, where: UserFilter, *, now: int
) -> Total:
    """How many users of a project fit; up to `MAX_COUNTED` where there is a condition. Raises as `list_of_project`."""
    if where == UserFilter():
        (row,) = await db.fetch_all(COUNT, project_id=project_id)
        return Total(row[0], is_exact=True)
    if not _is_coded(where):
        fitting = await list_of_project(db, keyring, project_id, where, now=now, offset=0, limit=MAX_UNSEALED)
        return Total(len(fitting), is_exact=True)
    query = BY_STATE.get(where) or count_query(next(_fitting(where)), len(keyring.keys))
    parameters = {**_parameters(keyring, project_id, where, now), "most": MAX_COUNTED + 1}
    used = {name: parameters[name] for name in parameter_names(query.sql)}
    (row,) = await _asking(db, where)(query, **used)
    return _total(row[0])


async def count_by_state(db: Database, project_id: str, *, now: int) -> dict[UserFilter, Total]:
    """How many users of a project fit each filter of `BY_STATE`, up to `MAX_COUNTED`. Raises Unavailable as `Database.search` does."""
    (row,) = await db.search(COUNT_EACH, project_id=project_id, now=now, most=MAX_COUNTED + 1)
    return {where: _total(counted) for where, counted in zip(BY_STATE, row, strict=True)}


def _total(counted: int) -> Total:
    """Of so many that were counted, one more than `MAX_COUNTED` at most."""
    return Total(min(counted, MAX_COUNTED), is_exact=counted <= MAX_COUNTED)


def _asking(db: Database | Transaction, where: UserFilter) -> Callable[..., Awaitable[list[Row]]]:
    """How to ask for those who fit: with a condition, many may be looked at to find few. In a transaction all of it is."""
    return db.fetch_all if where == UserFilter() else searching(db)


def _fitting(where: UserFilter) -> Iterator[str]:
    """The lists that have everybody who fits, those with the fewest others first."""
    for name in _ALONG:
        # False of one that may be so or not leaves nearly everybody.
        if name == "all" or getattr(where, name) not in (None, False):
            yield name


def _is_coded(where: UserFilter) -> bool:
    """Return whether the codes of keys say all that is asked of keys."""
    return all(part is None or user_keys.is_coded(part) for part in (where.key_starts, where.key_ends))


def _holding(keyring: Keyring, found: list[User], where: UserFilter) -> list[User]:
    """Those whose keys have the parts: of a longer one the codes say the beginning, and two parts may come to have the same code."""
    keys = [user_keys.key_of(keyring, user) for user in found]
    return [
        user
        for user, key in zip(found, keys, strict=True)
        if key.startswith(where.key_starts or "") and key.endswith(where.key_ends or "")
    ]


def _parameters(keyring: Keyring, project_id: str, where: UserFilter, now: int) -> dict[str, Any]:
    values = msgspec.structs.asdict(where)
    start, end = values.pop("key_starts"), values.pop("key_ends")
    return {
        **values,
        **_ranges(
            "start", keyring, lambda key: None if start is None else user_keys.start_code(key, project_id, start)
        ),
        **_ranges("end", keyring, lambda key: None if end is None else user_keys.end_code(key, project_id, end)),
        "project_id": project_id,
        "now": now,
    }


def _ranges(side: str, keyring: Keyring, code: Callable[[MasterKey], bytes | None]) -> dict[str, bytes | None]:
    """Where the codes of a part begin and end in the order of their bytes, for each master key."""
    found: dict[str, bytes | None] = {}
    for number, key in enumerate(keyring.keys):
        begin = code(key)
        found |= {
            f"{side}_from{number or ''}": begin,
            f"{side}_before{number or ''}": None if begin is None else begin + _BEHIND,
        }
    return found
