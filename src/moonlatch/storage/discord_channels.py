"""Which members of a project's Discord server have a role that puts their key on a channel, and when that is looked at next.

Triggers write it into the row of the member's key, where a start reads it (`migrations/0042_channels_of_roles`).
"""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

LEASE_MS = 15 * 60_000
"""For so long nobody else looks at the members of a server that was claimed: the largest are two hundred calls."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A project whose server's members are to be looked at. Whoever claimed it has until `due_at` (Unix milliseconds)."""

    project_id: str
    account_id: str
    guild_id: str
    due_at: int


CLAIM = Query(
    "discord_channels.claim",
    "update discord_links set members_due_at = :until where project_id in ("
    "select project_id from discord_links where channels <> '{}' and members_due_at <= :now "
    "order by members_due_at limit 1 /*postgres for update skip locked */) "
    "returning project_id, account_id, guild_id",
)
IS_DUE = Query(
    "discord_channels.is_due",
    "select 1 from discord_links where channels <> '{}' and members_due_at <= :now limit 1",
)
SETTLE = Query(
    "discord_channels.settle",
    "update discord_links set members_due_at = :next_at, members_problem = :problem "
    "where project_id = :project_id and members_due_at = :due_at",
)
MAKE_DUE = Query(
    "discord_channels.make_due", "update discord_links set members_due_at = 0 where project_id = :project_id"
)
LIST = Query(
    "discord_channels.list", "select discord_id, channels from discord_channels where project_id = :project_id"
)
PUT = Query(
    "discord_channels.put",
    "insert into discord_channels (project_id, discord_id, channels) values (:project_id, :discord_id, :channels) "
    "on conflict (project_id, discord_id) do update set channels = excluded.channels",
)
REMOVE = Query(
    "discord_channels.remove",
    "delete from discord_channels where project_id = :project_id and discord_id = :discord_id",
)
REMOVE_ALL = Query("discord_channels.remove_all", "delete from discord_channels where project_id = :project_id")
OF_USER = Query("discord_channels.of_user", "select role_channels from users where id = :user_id")


async def is_due(db: Database | Transaction, *, now: int) -> bool:
    """Return whether there is something to claim (Unix milliseconds)."""
    return await db.fetch_one(IS_DUE, now=now) is not None


async def claim(tx: Transaction, *, now: int) -> Look | None:
    """Take one of the projects whose members are to be looked at, for `LEASE_MS`; None: none is due."""
    until = now + LEASE_MS
    row = await tx.fetch_one(CLAIM, now=now, until=until)
    return None if row is None else Look(project_id=row[0], account_id=row[1], guild_id=row[2], due_at=until)


async def settle(tx: Transaction, look: Look, *, next_at: int, problem: str | None) -> None:
    """Write down what kept the members from being read, and when to look again (Unix milliseconds).

    Unless the link was changed meanwhile: then that is at once.
    """
    await tx.execute(SETTLE, project_id=look.project_id, due_at=look.due_at, next_at=next_at, problem=problem)


async def make_due(tx: Transaction, project_id: str) -> None:
    await tx.execute(MAKE_DUE, project_id=project_id)


async def of_project(db: Database | Transaction, project_id: str) -> dict[str, list[str]]:
    """The channels of each member with a role that has one, that of the highest role first, by Discord's id of the member."""
    rows = await db.fetch_all(LIST, project_id=project_id)
    return {discord_id: channels.split(",") for discord_id, channels in rows}


async def put(tx: Transaction, project_id: str, discord_id: str, channels: list[str]) -> None:
    """Write a member's channels in place of those of before; none: they have no such role."""
    if channels:
        await tx.execute(PUT, project_id=project_id, discord_id=discord_id, channels=",".join(channels))
    else:
        await tx.execute(REMOVE, project_id=project_id, discord_id=discord_id)


async def remove_all(tx: Transaction, project_id: str) -> None:
    """Take every member of a project's server from the channels that they have by a role."""
    await tx.execute(REMOVE_ALL, project_id=project_id)


async def of_user(db: Database | Transaction, user_id: str) -> list[str]:
    """The channels that a key is on by its owner's roles, that of the highest role first."""
    row = await db.fetch_one(OF_USER, user_id=user_id)
    return row[0].split(",") if row is not None and row[0] else []
