"""Sign-in sessions of members: only the SHA-256 of what the browser holds is kept. The caller judges how long one is good."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction
from moonlatch.storage.members import Member, member_of


class MemberSession(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that is signed in. Times in Unix milliseconds; `created_at` is when its member proved who they are."""

    id: str
    member_id: str
    hash: bytes
    created_at: int
    last_used_at: int
    address: str
    user_agent: str


_FIELDS = columns_of(MemberSession)
_COLUMNS = listed(_FIELDS)
_BLOBS = blobs_of(MemberSession)
_OF_SESSION, _OF_MEMBER = listed(_FIELDS, of="s"), listed(columns_of(Member), of="m")
FIND_BY_HASH = Query(
    "member_sessions.find_by_hash",
    f"select {_OF_SESSION}, {_OF_MEMBER} from member_sessions s join members m on m.id = s.member_id where s.hash = :hash",
)
FIND_MEMBER = Query(
    "member_sessions.find_member",
    f"select {_OF_MEMBER} from member_sessions s join members m on m.id = s.member_id where s.id = :id",
)
LIST = Query(
    "member_sessions.list",
    f"select {_COLUMNS} from member_sessions where member_id = :member_id order by created_at, id",
)
FIND_OWNED = Query(
    "member_sessions.find_owned",
    f"select {_COLUMNS} from member_sessions where id = :id and member_id = :member_id",
)
INSERT = Query("member_sessions.insert", f"insert into member_sessions ({_COLUMNS}) values ({placed(_FIELDS)})")
NOTE_USE = Query(
    "member_sessions.note_use",
    "update member_sessions set last_used_at = :at, address = :address where id = :id and last_used_at < :at",
)
REMOVE = Query("member_sessions.remove", "delete from member_sessions where id = :id and member_id = :member_id")
REMOVE_BY_HASH = Query(
    "member_sessions.remove_by_hash", "delete from member_sessions where hash = :hash and member_id = :member_id"
)
REMOVE_ALL = Query(
    "member_sessions.remove_all", "delete from member_sessions where member_id = :member_id and id <> :except_id"
)
REMOVE_OLDEST = Query(
    "member_sessions.remove_oldest",
    "delete from member_sessions where id in (select id from member_sessions where member_id = :member_id "
    "order by created_at desc, id limit :most offset :keep)",
)
PRUNE_UNUSED = Query(
    "member_sessions.prune_unused",
    "delete from member_sessions where id in "
    "(select id from member_sessions where last_used_at < :before order by last_used_at limit :most)",
)
PRUNE_OLD = Query(
    "member_sessions.prune_old",
    "delete from member_sessions where id in "
    "(select id from member_sessions where created_at < :before order by created_at limit :most)",
)
_REMOVED_AT_ONCE = 100


def _session(row: Row) -> MemberSession:
    return MemberSession(**values_of(MemberSession, row, blobs=_BLOBS))


async def find_by_hash(db: Database | Transaction, session_hash: bytes) -> tuple[MemberSession, Member] | None:
    """A session with its member."""
    row = await db.fetch_one(FIND_BY_HASH, hash=session_hash)
    if row is None:
        return None
    values = tuple(row)
    return _session(values[: len(_FIELDS)]), member_of(values[len(_FIELDS) :])


async def find_member(db: Database | Transaction, session_id: str) -> Member | None:
    """Whose session it is; None when it has ended."""
    row = await db.fetch_one(FIND_MEMBER, id=session_id)
    return None if row is None else member_of(tuple(row))


async def list_of_member(db: Database | Transaction, member_id: str) -> list[MemberSession]:
    """A member's sessions, oldest first."""
    return [_session(row) for row in await db.fetch_all(LIST, member_id=member_id)]


async def find_owned(db: Database | Transaction, session_id: str, member_id: str) -> MemberSession | None:
    """The session if it is there and the member's; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=session_id, member_id=member_id)
    return None if row is None else _session(row)


async def insert(tx: Transaction, session: MemberSession, *, keep: int) -> None:
    """Add a session; of more than `keep` of its member's the oldest end."""
    await tx.execute(INSERT, **msgspec.structs.asdict(session))
    await tx.execute(REMOVE_OLDEST, member_id=session.member_id, most=_REMOVED_AT_ONCE, keep=keep)


async def note_use(tx: Transaction, session_id: str, *, at: int, address: str) -> None:
    """Write down that a session was used at a time (Unix milliseconds), unless a later use is known."""
    await tx.execute(NOTE_USE, id=session_id, at=at, address=address)


async def remove(tx: Transaction, session_id: str, member_id: str) -> bool:
    """End a session. False when the member has no such one."""
    return await tx.execute(REMOVE, id=session_id, member_id=member_id) == 1


async def remove_by_hash(tx: Transaction, session_hash: bytes, member_id: str) -> bool:
    """As `remove`, for the session of what a browser holds."""
    return await tx.execute(REMOVE_BY_HASH, hash=session_hash, member_id=member_id) == 1


async def remove_all(tx: Transaction, member_id: str, *, except_id: str = "") -> int:
    """End a member's sessions, but for one; gives how many ended."""
    return await tx.execute(REMOVE_ALL, member_id=member_id, except_id=except_id)


async def prune_unused(tx: Transaction, *, before: int, most: int) -> int:
    """Remove sessions that were last used before a time (Unix milliseconds), at most so many; gives how many went."""
    return await tx.execute(PRUNE_UNUSED, before=before, most=most)


async def prune_old(tx: Transaction, *, before: int, most: int) -> int:
    """As `prune_unused`, for sessions that began before a time."""
    return await tx.execute(PRUNE_OLD, before=before, most=most)
