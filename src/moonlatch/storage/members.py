"""Members of accounts, and the one-time links by which they choose a password. Says nothing about what anybody may do."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.licensing.roles import Role
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One person of an account. Times in Unix milliseconds; `projects` None is all of the account's.

    `joined_at` is None until they took their invitation. `totp_secret` is sealed; while `totp_enabled` is false it waits
    for its first code. `totp_step` is the time step of the last code that was taken.
    """

    id: str
    account_id: str
    name: str
    sign_in_name: str
    role: Role
    projects: tuple[str, ...] | None
    password_hash: str | None = None
    totp_secret: bytes | None = None
    totp_enabled: bool = False
    totp_step: int = 0
    joined_at: int | None = None
    disabled_at: int | None = None
    invited_by: str
    created_at: int
    signed_in_at: int | None = None

    @property
    def is_active(self) -> bool:
        """Return whether they may sign in and act."""
        return self.state == "active"

    @property
    def state(self) -> str:
        """How far they are a member: `invited`, `active` or `disabled`."""
        if self.disabled_at is not None:
            return "disabled"
        return "invited" if self.joined_at is None else "active"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link of a member. Times in Unix milliseconds."""

    member_id: str
    hash: bytes
    created_at: int
    expires_at: int


COLUMNS = ", ".join(Member.__struct_fields__)
_OF = ", ".join(f"m.{name}" for name in Member.__struct_fields__)
FIND_OWNED = Query("members.find_owned", f"select {COLUMNS} from members where id = :id and account_id = :account_id")
FIND = Query("members.find", f"select {COLUMNS} from members where id = :id")
FIND_BY_NAME = Query("members.find_by_name", f"select {COLUMNS} from members where sign_in_name = :sign_in_name")
FIND_BY_LINK = Query(
    "members.find_by_link",
    f"select {_OF} from member_links l join members m on m.id = l.member_id where l.hash = :hash and l.expires_at > :now",
)
LIST = Query(
    "members.list",
    f"select {COLUMNS} from members where account_id = :account_id order by created_at, id",
)
INSERT = Query(
    "members.insert",
    f"insert into members ({COLUMNS}) values ({', '.join(':' + name for name in Member.__struct_fields__)})",
)
SAVE = Query(
    "members.save",
    f"update members set {', '.join(f'{name} = :{name}' for name in Member.__struct_fields__ if name != 'id')} "
    "where id = :id",
)
NOTE_SIGN_IN = Query(
    "members.note_sign_in",
    "update members set signed_in_at = :at, password_hash = :password_hash where id = :id",
)
# What a code is good for once: of two calls with the same one, the second finds its step taken.
TAKE_TOTP_STEP = Query(
    "members.take_totp_step", "update members set totp_step = :step where id = :id and totp_step < :step"
)
REMOVE = Query("members.remove", "delete from members where id = :id")
PUT_LINK = Query(
    "members.put_link",
    "insert into member_links (member_id, hash, created_at, expires_at) values (:member_id, :hash, :created_at, :expires_at) "
    "on conflict (member_id) do update set hash = excluded.hash, created_at = excluded.created_at, "
    "expires_at = excluded.expires_at",
)
REMOVE_LINK = Query("members.remove_link", "delete from member_links where member_id = :member_id")
LINK_ENDS = Query(
    "members.link_ends",
    "select l.member_id, l.expires_at from members m join member_links l on l.member_id = m.id "
    "where m.account_id = :account_id and l.expires_at > :now",
)
PRUNE_LINKS = Query(
    "members.prune_links",
    "delete from member_links where member_id in "
    "(select member_id from member_links where expires_at < :before order by expires_at limit :most)",
)


def member_of(row: Sequence[Any]) -> Member:
    """The member of a row's columns, in the order of `COLUMNS`."""
    values: dict[str, Any] = dict(zip(Member.__struct_fields__, row, strict=True))
    values["role"] = Role(values["role"])
    values["totp_enabled"] = bool(values["totp_enabled"])
    if values["projects"] is not None:
        values["projects"] = msgspec.json.decode(values["projects"], type=tuple[str, ...])
    if values["totp_secret"] is not None:
        values["totp_secret"] = bytes(values["totp_secret"])
    return Member(**values)


def _member(row: Row | None) -> Member | None:
    return None if row is None else member_of(tuple(row))


def _stored(member: Member) -> dict[str, Any]:
    values = msgspec.structs.asdict(member)
    values["role"] = str(member.role)
    if member.projects is not None:
        values["projects"] = msgspec.json.encode(member.projects).decode()
    return values


async def find(db: Database | Transaction, member_id: str) -> Member | None:
    return _member(await db.fetch_one(FIND, id=member_id))


async def find_owned(db: Database | Transaction, member_id: str, account_id: str) -> Member | None:
    """The member if it is there and belongs to the account; the two refusals cannot be told apart."""
    return _member(await db.fetch_one(FIND_OWNED, id=member_id, account_id=account_id))


async def find_by_name(db: Database | Transaction, sign_in_name: str) -> Member | None:
    """The member who signs in with this name, in its one spelling."""
    return _member(await db.fetch_one(FIND_BY_NAME, sign_in_name=sign_in_name))


async def find_by_link(db: Database | Transaction, link_hash: bytes, *, now: int) -> Member | None:
    """Whose link it is; None when it was used, revoked, or has expired at `now` (Unix milliseconds)."""
    return _member(await db.fetch_one(FIND_BY_LINK, hash=link_hash, now=now))


async def list_of_account(db: Database | Transaction, account_id: str) -> list[Member]:
    """An account's members, oldest first, with those who were only invited and those who are disabled."""
    return [member_of(tuple(row)) for row in await db.fetch_all(LIST, account_id=account_id)]


async def insert(tx: Transaction, member: Member) -> None:
    """Raises UniqueViolation when the sign-in name is taken."""
    await tx.execute(INSERT, **_stored(member))


async def save(tx: Transaction, member: Member) -> None:
    """Write a member as they are now. Raises UniqueViolation when the sign-in name is taken."""
    await tx.execute(SAVE, **_stored(member))


async def note_sign_in(tx: Transaction, member_id: str, *, at: int, password_hash: str | None) -> None:
    """Write down when a member signed in (Unix milliseconds), and the hash of their password, which may be a better one now."""
    await tx.execute(NOTE_SIGN_IN, id=member_id, at=at, password_hash=password_hash)


async def take_totp_step(tx: Transaction, member_id: str, step: int) -> bool:
    """Note that the code of a time step was used. False where it, or a later one, was used before."""
    return await tx.execute(TAKE_TOTP_STEP, id=member_id, step=step) == 1


async def remove(tx: Transaction, member_id: str) -> None:
    """Remove a member with their sessions, passkeys, recovery codes and link."""
    await tx.execute(REMOVE, id=member_id)


async def put_link(tx: Transaction, link: Link) -> None:
    """Give a member a link in place of the one before."""
    await tx.execute(PUT_LINK, **msgspec.structs.asdict(link))


async def remove_link(tx: Transaction, member_id: str) -> bool:
    """False where there was none."""
    return await tx.execute(REMOVE_LINK, member_id=member_id) == 1


async def link_ends(db: Database | Transaction, account_id: str, *, now: int) -> dict[str, int]:
    """Until when (Unix milliseconds) the links of an account's members are good, by member."""
    return {row[0]: row[1] for row in await db.fetch_all(LINK_ENDS, account_id=account_id, now=now)}


async def prune_links(tx: Transaction, *, before: int, most: int) -> int:
    """Remove links that expired before a time (Unix milliseconds), at most so many; gives how many went."""
    return await tx.execute(PRUNE_LINKS, before=before, most=most)
