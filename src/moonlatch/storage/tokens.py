"""API tokens: only their SHA-256 is kept. Says nothing about whether a token is still good; the caller judges its times."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.licensing.roles import Permission
from moonlatch.storage.columns import blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction

_KNOWN = frozenset(str(permission) for permission in Permission)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One API token. Times in Unix milliseconds; `ip_allow` lists networks in CIDR form, empty allows every address.

    `permissions` and `projects` None are all there are, those to come included. `prefix` is how the secret begins.
    `member_id` names whose it is: it may do no more than they may; None where no member made it.
    """

    id: str
    account_id: str
    name: str
    hash: bytes
    ip_allow: tuple[str, ...] = ()
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    permissions: tuple[Permission, ...] | None = None
    projects: tuple[str, ...] | None = None
    prefix: str = ""
    last_used_at: int | None = None
    last_used_from: str | None = None
    member_id: str | None = None


_STORED = columns_of(Token)
_COLUMNS = listed(_STORED)
_BLOBS = blobs_of(Token)
_LISTS = ("ip_allow", "permissions", "projects")

FIND_BY_HASH = Query("tokens.find_by_hash", f"select {_COLUMNS} from tokens where hash = :hash")
FIND_OWNED = Query("tokens.find_owned", f"select {_COLUMNS} from tokens where id = :id and account_id = :account_id")
LIST = Query(
    "tokens.list",
    f"select {_COLUMNS} from tokens where account_id = :account_id order by created_at, id",
)
COUNT_USABLE = Query(
    "tokens.count_usable",
    "select count(*) from tokens where account_id = :account_id and revoked_at is null "
    "and (expires_at is null or expires_at > :now)",
)
INSERT = Query("tokens.insert", f"insert into tokens ({_COLUMNS}) values ({placed(_STORED)})")
REVOKE = Query(
    "tokens.revoke",
    "update tokens set revoked_at = coalesce(revoked_at, :now) where id = :id and account_id = :account_id",
)
LIST_OF_MEMBER = Query(
    "tokens.list_of_member",
    f"select {_COLUMNS} from tokens where member_id = :member_id and revoked_at is null order by created_at, id",
)
NOTE_USE = Query(
    "tokens.note_use",
    "update tokens set last_used_at = :at, last_used_from = :address where id = :id "
    "and (last_used_at is null or last_used_at < :at)",
)


def _token(row: Row) -> Token:
    values = values_of(Token, row, blobs=_BLOBS)
    values["ip_allow"] = msgspec.json.decode(values["ip_allow"], type=tuple[str, ...])
    if values["permissions"] is not None:
        named = msgspec.json.decode(values["permissions"], type=list[str])
        # One that a newer program knew is not a right here.
        values["permissions"] = tuple(Permission(name) for name in named if name in _KNOWN)
    if values["projects"] is not None:
        values["projects"] = msgspec.json.decode(values["projects"], type=tuple[str, ...])
    return Token(**values)


async def find_by_hash(db: Database | Transaction, token_hash: bytes) -> Token | None:
    row = await db.fetch_one(FIND_BY_HASH, hash=token_hash)
    return None if row is None else _token(row)


async def find_owned(db: Database | Transaction, token_id: str, account_id: str) -> Token | None:
    """The token if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=token_id, account_id=account_id)
    return None if row is None else _token(row)


async def list_of_account(db: Database | Transaction, account_id: str) -> list[Token]:
    """An account's tokens, oldest first, with those that expired or were revoked."""
    return [_token(row) for row in await db.fetch_all(LIST, account_id=account_id)]


async def list_of_member(db: Database | Transaction, member_id: str) -> list[Token]:
    """A member's tokens that were not revoked, oldest first."""
    return [_token(row) for row in await db.fetch_all(LIST_OF_MEMBER, member_id=member_id)]


async def count_usable(db: Database | Transaction, account_id: str, *, now: int) -> int:
    """How many of an account's tokens are neither expired nor revoked."""
    row = await db.fetch_one(COUNT_USABLE, account_id=account_id, now=now)
    assert row is not None
    return int(row[0])


async def insert(tx: Transaction, token: Token) -> None:
    values = msgspec.structs.asdict(token)
    for name in _LISTS:
        if values[name] is not None:
            values[name] = msgspec.json.encode(values[name]).decode()
    await tx.execute(INSERT, **values)


async def revoke(tx: Transaction, token_id: str, account_id: str, *, now: int) -> bool:
    """Revoke a token; the first time of several counts. False when the account has no such token."""
    return await tx.execute(REVOKE, id=token_id, account_id=account_id, now=now) == 1


async def note_use(tx: Transaction, token_id: str, *, at: int, address: str) -> None:
    """Write down that a token was used at a time (Unix milliseconds), unless a later use is known."""
    await tx.execute(NOTE_USE, id=token_id, at=at, address=address)
