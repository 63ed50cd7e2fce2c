"""Accounts' applications with Discord, and which interactions of theirs were answered. Bot tokens come and go sealed."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import assigned, blobs_of, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """An account's application with Discord. Times in Unix milliseconds.

    `public_key` is what Discord signs interactions for it with (Ed25519, 32 bytes). `commands` says which commands Discord was
    told of, None: it is to be told; with `replaces_url`, also where interactions go, whatever it was told before. `heard_at` is
    when something that was signed last came, and `problem` what keeps the bot from working.
    """

    account_id: str
    application_id: str
    public_key: bytes
    name: str
    bot_token: bytes = b""
    commands: str | None = None
    replaces_url: bool = False
    problem: str | None = None
    heard_at: int | None = None
    created_at: int


_COLUMNS = columns_of(Application)
_SET = columns_of(Application, without=("account_id", "created_at", "heard_at"))
_FLAGS = flags_of(Application)
_BLOBS = blobs_of(Application)
_SELECT = f"select {listed(_COLUMNS)} from discord_applications"

PUT = Query(
    "discord_applications.put",
    f"insert into discord_applications ({listed(_COLUMNS)}) values ({placed(_COLUMNS)}) "
    f"on conflict (account_id) do update set {assigned(_SET)}",
)
REMOVE = Query("discord_applications.remove", "delete from discord_applications where account_id = :account_id")
FIND = Query("discord_applications.find", f"{_SELECT} where account_id = :account_id")
FIND_BY_ID = Query("discord_applications.find_by_id", f"{_SELECT} where application_id = :application_id")
LIST = Query("discord_applications.list", f"{_SELECT} order by account_id")
HEARD = Query(
    "discord_applications.heard",
    "update discord_applications set heard_at = :at where account_id = :account_id "
    "and (heard_at is null or heard_at < :noted_before)",
)
REGISTERED = Query(
    "discord_applications.registered",
    "update discord_applications set commands = :commands, replaces_url = :replaces_url, problem = :problem "
    "where account_id = :account_id and bot_token = :bot_token",
)
SET_PROBLEM = Query(
    "discord_applications.set_problem",
    "update discord_applications set problem = :problem where account_id = :account_id and bot_token = :bot_token",
)
ANSWER_ONCE = Query(
    "discord_applications.answer_once",
    "insert into discord_interactions (id, at) values (:id, :at) on conflict (id) do nothing",
)
PRUNE_ANSWERED = Query(
    "discord_applications.prune_answered",
    "delete from discord_interactions where id in "
    "(select id from discord_interactions where at < :before order by at limit :most)",
)

HEARD_EVERY_MS = 60_000
"""So often it is written down that something came."""


def _application(row: Row) -> Application:
    return Application(**values_of(Application, row, flags=_FLAGS, blobs=_BLOBS))


async def put(tx: Transaction, application: Application) -> None:
    """Write an account's application in place of the one before. Raises UniqueViolation where another account has it."""
    await tx.execute(PUT, **msgspec.structs.asdict(application))


async def remove(tx: Transaction, account_id: str) -> bool:
    return await tx.execute(REMOVE, account_id=account_id) == 1


async def find(db: Database | Transaction, account_id: str) -> Application | None:
    row = await db.fetch_one(FIND, account_id=account_id)
    return None if row is None else _application(row)


async def find_by_id(db: Database | Transaction, application_id: str) -> Application | None:
    """The application that Discord calls so, whichever account has it."""
    row = await db.fetch_one(FIND_BY_ID, application_id=application_id)
    return None if row is None else _application(row)


async def list_all(db: Database | Transaction) -> list[Application]:
    """Every account's: an installation has few."""
    return [_application(row) for row in await db.fetch_all(LIST)]


async def note_heard(tx: Transaction, application: Application, *, now: int) -> None:
    """Write down that something signed came (Unix milliseconds)."""
    await tx.execute(HEARD, account_id=application.account_id, at=now, noted_before=now - HEARD_EVERY_MS)


async def note_registered(
    tx: Transaction, application: Application, *, commands: str | None, replaces_url: bool, problem: str | None
) -> None:
    """Write down what Discord was told; nothing where the application got another token meanwhile."""
    await tx.execute(
        REGISTERED,
        account_id=application.account_id,
        bot_token=application.bot_token,
        commands=commands,
        replaces_url=replaces_url,
        problem=problem,
    )


async def note_problem(tx: Transaction, application: Application, problem: str | None) -> None:
    """Write down what keeps the bot from working; nothing where the application got another token meanwhile."""
    await tx.execute(SET_PROBLEM, account_id=application.account_id, bot_token=application.bot_token, problem=problem)


async def answer_once(tx: Transaction, interaction_id: str, *, now: int) -> bool:
    """Take an interaction for answered (Unix milliseconds). False for one that is already."""
    return await tx.execute(ANSWER_ONCE, id=interaction_id, at=now) == 1


async def prune_answered(tx: Transaction, *, before: int, most: int) -> int:
    """Forget up to `most` interactions that were answered before a time (Unix milliseconds); gives how many."""
    return await tx.execute(PRUNE_ANSWERED, before=before, most=most)
