"""Roles that customers have on Discord servers because of their keys, and whose are to be looked at when.

Triggers make due whoever a change of a key may give or take a role (`migrations/0036_discord`).
"""

from __future__ import annotations

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

LEASE_MS = 20_000
"""For so long nobody else looks at what was claimed."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a server whose roles are to be looked at. Whoever claimed it has until `due_at` (Unix milliseconds)."""

    account_id: str
    guild_id: str
    discord_id: str
    due_at: int
    attempts: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer's key stands in a project with a customers' role. Times in Unix milliseconds."""

    role_id: str
    key_expires: int | None
    blacklisted: bool
    blacklist_expires: int | None


_WHOSE = "account_id = :account_id and guild_id = :guild_id and discord_id = :discord_id"

WAITING = Query(
    "discord_roles.waiting",
    "select a.account_id from discord_applications a where exists "
    "(select 1 from discord_dues d where d.account_id = a.account_id and d.due_at <= :now)",
)
CLAIM = Query(
    "discord_roles.claim",
    "update discord_dues set due_at = :until where (account_id, guild_id, discord_id) in ("
    "select account_id, guild_id, discord_id from discord_dues where account_id = :account_id and due_at <= :now "
    "order by due_at limit :most /*postgres for update skip locked */) "
    "returning guild_id, discord_id, attempts",
)
SETTLE = Query(
    "discord_roles.settle",
    f"update discord_dues set due_at = :next_at, attempts = :attempts where {_WHOSE} and due_at = :due_at",  # noqa: S608
)
DROP = Query("discord_roles.drop", f"delete from discord_dues where {_WHOSE} and due_at = :due_at")  # noqa: S608
DROP_OF_ACCOUNT = Query("discord_roles.drop_of_account", "delete from discord_dues where account_id = :account_id")
MAKE_DUE = Query(
    "discord_roles.make_due",
    "insert into discord_dues (account_id, guild_id, discord_id, due_at) values (:account_id, :guild_id, :discord_id, 0) "
    "on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0",
)
MAKE_PROJECT_DUE = Query(
    "discord_roles.make_project_due",
    "insert into discord_dues (account_id, guild_id, discord_id, due_at) "
    "select :account_id, :guild_id, discord_id, 0 from users where project_id = :project_id and discord_id is not null "
    "on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0",
)
MAKE_GRANTED_DUE = Query(
    "discord_roles.make_granted_due",
    "insert into discord_dues (account_id, guild_id, discord_id, due_at) "
    "select account_id, guild_id, discord_id, 0 from discord_grants "
    "where account_id = :account_id and guild_id = :guild_id group by account_id, guild_id, discord_id "
    "on conflict (account_id, guild_id, discord_id) do update set due_at = 0, attempts = 0",
)
STANDINGS = Query(
    "discord_roles.standings",
    "select l.customer_role_id, u.key_expires, u.blacklisted, u.blacklist_expires from discord_links l "
    "join users u on u.project_id = l.project_id and u.discord_id = :discord_id "
    "where l.account_id = :account_id and l.guild_id = :guild_id and l.customer_role_id is not null",
)
GRANTED = Query("discord_roles.granted", f"select role_id, given_at from discord_grants where {_WHOSE}")  # noqa: S608
GRANT = Query(
    "discord_roles.grant",
    "insert into discord_grants (account_id, guild_id, discord_id, role_id, given_at) "
    "values (:account_id, :guild_id, :discord_id, :role_id, :given_at) "
    "on conflict (account_id, guild_id, discord_id, role_id) do update set given_at = excluded.given_at",
)
GIVE_ANEW = Query(
    "discord_roles.give_anew",
    f"update discord_grants set given_at = 0 where {_WHOSE} and role_id = :role_id",  # noqa: S608
)
TAKE = Query("discord_roles.take", f"delete from discord_grants where {_WHOSE} and role_id = :role_id")  # noqa: S608
FORGET_GRANTS = Query("discord_roles.forget_grants", "delete from discord_grants where account_id = :account_id")


async def waiting_accounts(db: Database | Transaction, *, now: int) -> list[str]:
    """Accounts with an application for which something is due (Unix milliseconds)."""
    return [row[0] for row in await db.fetch_all(WAITING, now=now)]


async def claim(tx: Transaction, account_id: str, *, now: int, most: int) -> list[Due]:
    """Take up to `most` of what is due, for `LEASE_MS`."""
    until = now + LEASE_MS
    rows = await tx.fetch_all(CLAIM, account_id=account_id, now=now, until=until, most=most)
    return [
        Due(account_id=account_id, guild_id=guild, discord_id=member, due_at=until, attempts=attempts)
        for guild, member, attempts in rows
    ]


async def settle(tx: Transaction, due: Due, *, next_at: int | None, attempts: int = 0) -> None:
    """Write down when a member's roles are to be looked at next (None: when something changes), unless something changed meanwhile."""
    whose = {"account_id": due.account_id, "guild_id": due.guild_id, "discord_id": due.discord_id}
    if next_at is None:
        await tx.execute(DROP, **whose, due_at=due.due_at)
    else:
        await tx.execute(SETTLE, **whose, due_at=due.due_at, next_at=next_at, attempts=attempts)


async def forget_account(tx: Transaction, account_id: str) -> None:
    """Forget which roles were given for an account, and what is due: they stay as they are."""
    await tx.execute(FORGET_GRANTS, account_id=account_id)
    await tx.execute(DROP_OF_ACCOUNT, account_id=account_id)


async def make_project_due(tx: Transaction, account_id: str, guild_id: str, project_id: str) -> None:
    """Have the roles of all of a project's customers looked at."""
    await tx.execute(MAKE_PROJECT_DUE, account_id=account_id, guild_id=guild_id, project_id=project_id)


async def make_granted_due(tx: Transaction, account_id: str, guild_id: str) -> None:
    """Have the roles of everybody on a server looked at who was given one."""
    await tx.execute(MAKE_GRANTED_DUE, account_id=account_id, guild_id=guild_id)


async def standings(db: Database | Transaction, due: Due) -> list[Standing]:
    """How the keys stand by which somebody may have a role of a server."""
    rows = await db.fetch_all(STANDINGS, account_id=due.account_id, guild_id=due.guild_id, discord_id=due.discord_id)
    return [
        Standing(role_id=role, key_expires=expires, blacklisted=bool(blacklisted), blacklist_expires=until)
        for role, expires, blacklisted, until in rows
    ]


async def granted(db: Database | Transaction, due: Due) -> dict[str, bool]:
    """Ids of the roles that somebody was given, with False for one that is to be given anew."""
    rows = await db.fetch_all(GRANTED, account_id=due.account_id, guild_id=due.guild_id, discord_id=due.discord_id)
    return {role: given_at > 0 for role, given_at in rows}


async def note_given(tx: Transaction, due: Due, role_id: str, *, now: int) -> None:
    await tx.execute(
        GRANT,
        account_id=due.account_id,
        guild_id=due.guild_id,
        discord_id=due.discord_id,
        role_id=role_id,
        given_at=now,
    )


async def note_taken(tx: Transaction, due: Due, role_id: str) -> None:
    await tx.execute(TAKE, account_id=due.account_id, guild_id=due.guild_id, discord_id=due.discord_id, role_id=role_id)


async def ask_again(tx: Transaction, account_id: str, guild_id: str, discord_id: str, role_id: str) -> None:
    """Have one member's roles looked at now, and this one given anew: somebody may have taken it by hand."""
    await tx.execute(GIVE_ANEW, account_id=account_id, guild_id=guild_id, discord_id=discord_id, role_id=role_id)
    await tx.execute(MAKE_DUE, account_id=account_id, guild_id=guild_id, discord_id=discord_id)
