"""Which Discord server a project is linked to, and what the roles of that server are here."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.storage.columns import assigned, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A project's Discord server (`guild_id`). Times in Unix milliseconds.

    Customers whose keys are good get the role `customer_role_id`. `roles` says by Discord's id of a role what its holders are
    here, and `channels` which channel their keys are on. `problem` is what
    keeps roles from being given, `members_problem` what keeps those of members from being read.
    """

    project_id: str
    account_id: str
    guild_id: str
    customer_role_id: str | None = None
    roles: dict[str, str] = {}
    channels: dict[str, str] = {}
    panel_title: str | None = None
    panel_text: str | None = None
    problem: str | None = None
    members_problem: str | None = None
    created_at: int


_COLUMNS = columns_of(Link)
_SET = columns_of(Link, without=("project_id", "account_id", "created_at"))
_OBJECTS = ("roles", "channels")
_SELECT = f"select {listed(_COLUMNS)} from discord_links"

INSERT = Query("discord_links.insert", f"insert into discord_links ({listed(_COLUMNS)}) values ({placed(_COLUMNS)})")
SAVE = Query("discord_links.save", f"update discord_links set {assigned(_SET)} where project_id = :project_id")
REMOVE = Query("discord_links.remove", "delete from discord_links where project_id = :project_id")
REMOVE_ALL = Query("discord_links.remove_all", "delete from discord_links where account_id = :account_id")
FIND = Query("discord_links.find", f"{_SELECT} where project_id = :project_id")
LIST = Query("discord_links.list", f"{_SELECT} where account_id = :account_id order by created_at, project_id")
LIST_OF_GUILD = Query(
    "discord_links.list_of_guild",
    f"{_SELECT} where account_id = :account_id and guild_id = :guild_id order by created_at, project_id",
)
SET_PROBLEM = Query(
    "discord_links.set_problem",
    "update discord_links set problem = :problem where account_id = :account_id and guild_id = :guild_id "
    "and coalesce(problem, '') <> coalesce(cast(:problem as text), '')",
)


def _link(row: Row) -> Link:
    values = values_of(Link, row)
    for name in _OBJECTS:
        values[name] = msgspec.json.decode(values[name], type=dict[str, str])
    return Link(**values)


def _stored(link: Link) -> dict[str, Any]:
    stored = msgspec.structs.asdict(link)
    return {**stored, **{name: msgspec.json.encode(stored[name]).decode() for name in _OBJECTS}}


async def insert(tx: Transaction, link: Link) -> None:
    await tx.execute(INSERT, **_stored(link))


async def save(tx: Transaction, link: Link) -> None:
    stored = _stored(link)
    await tx.execute(SAVE, **{name: stored[name] for name in ("project_id", *_SET)})


async def remove(tx: Transaction, project_id: str) -> bool:
    """Remove a project's link; the roles of its customers are looked at anew."""
    return await tx.execute(REMOVE, project_id=project_id) == 1


async def remove_all(tx: Transaction, account_id: str) -> int:
    """Remove the links of an account's projects; gives how many."""
    return await tx.execute(REMOVE_ALL, account_id=account_id)


async def find(db: Database | Transaction, project_id: str) -> Link | None:
    row = await db.fetch_one(FIND, project_id=project_id)
    return None if row is None else _link(row)


async def list_of_account(db: Database | Transaction, account_id: str) -> list[Link]:
    return [_link(row) for row in await db.fetch_all(LIST, account_id=account_id)]


async def list_of_guild(db: Database | Transaction, account_id: str, guild_id: str) -> list[Link]:
    """The links of an account's projects to one server, the oldest first."""
    return [_link(row) for row in await db.fetch_all(LIST_OF_GUILD, account_id=account_id, guild_id=guild_id)]


async def note_problem(tx: Transaction, account_id: str, guild_id: str, problem: str | None) -> None:
    """Write down what keeps roles of a server from being given; None: nothing does."""
    await tx.execute(SET_PROBLEM, account_id=account_id, guild_id=guild_id, problem=problem)
