"""Passkeys of members (public keys alone), and the challenges that wait for an answer. Verifies nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """One passkey. Times in Unix milliseconds; `public_key` in COSE form, `sign_count` as its device last told it."""

    id: str
    member_id: str
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    created_at: int
    last_used_at: int | None = None


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be answered until `expires_at` (Unix milliseconds), once; `member_id` None by whoever signs in."""

    id: str
    challenge: bytes
    member_id: str | None
    expires_at: int


_STORED = columns_of(Passkey)
_COLUMNS = listed(_STORED)
_BLOBS = blobs_of(Passkey)
LIST = Query("passkeys.list", f"select {_COLUMNS} from passkeys where member_id = :member_id order by created_at, id")
FIND = Query("passkeys.find", f"select {_COLUMNS} from passkeys where credential_id = :credential_id")
FIND_OWNED = Query("passkeys.find_owned", f"select {_COLUMNS} from passkeys where id = :id and member_id = :member_id")
COUNTS = Query(
    "passkeys.counts",
    "select p.member_id, count(*) from members m join passkeys p on p.member_id = m.id "
    "where m.account_id = :account_id group by p.member_id",
)
INSERT = Query(
    "passkeys.insert",
    f"insert into passkeys ({_COLUMNS}) values ({placed(_STORED)})",
)
NOTE_USE = Query("passkeys.note_use", "update passkeys set sign_count = :sign_count, last_used_at = :at where id = :id")
REMOVE = Query("passkeys.remove", "delete from passkeys where id = :id and member_id = :member_id returning name")
CLEAR = Query("passkeys.clear", "delete from passkeys where member_id = :member_id")
ADD_CHALLENGE = Query(
    "passkeys.add_challenge",
    "insert into passkey_challenges (id, challenge, member_id, expires_at) "
    "values (:id, :challenge, :member_id, :expires_at)",
)
TAKE_CHALLENGE = Query(
    "passkeys.take_challenge",
    "delete from passkey_challenges where id = :id returning id, challenge, member_id, expires_at",
)
_OF_NOBODY = "member_id is null and expires_at > :now"
_OF_MEMBER = "member_id = :member_id and expires_at > :now"
COUNT_OF_NOBODY = Query("passkeys.count_of_nobody", f"select count(*) from passkey_challenges where {_OF_NOBODY}")
COUNT_OF_MEMBER = Query("passkeys.count_of_member", f"select count(*) from passkey_challenges where {_OF_MEMBER}")
_OLDEST = "delete from passkey_challenges where id in (select id from passkey_challenges where {} order by expires_at limit :most)"
REMOVE_OLDEST_OF_NOBODY = Query("passkeys.remove_oldest_of_nobody", _OLDEST.format(_OF_NOBODY))
REMOVE_OLDEST_OF_MEMBER = Query("passkeys.remove_oldest_of_member", _OLDEST.format(_OF_MEMBER))
PRUNE_CHALLENGES = Query(
    "passkeys.prune_challenges",
    "delete from passkey_challenges where id in "
    "(select id from passkey_challenges where expires_at < :before order by expires_at limit :most)",
)


def _passkey(row: Row) -> Passkey:
    return Passkey(**values_of(Passkey, row, blobs=_BLOBS))


async def list_of_member(db: Database | Transaction, member_id: str) -> list[Passkey]:
    """A member's passkeys, oldest first."""
    return [_passkey(row) for row in await db.fetch_all(LIST, member_id=member_id)]


async def find(db: Database | Transaction, credential_id: bytes) -> Passkey | None:
    row = await db.fetch_one(FIND, credential_id=credential_id)
    return None if row is None else _passkey(row)


async def find_owned(db: Database | Transaction, passkey_id: str, member_id: str) -> Passkey | None:
    """The passkey if it is there and the member's; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=passkey_id, member_id=member_id)
    return None if row is None else _passkey(row)


async def counts(db: Database | Transaction, account_id: str) -> dict[str, int]:
    """How many passkeys an account's members have, by member; those without any are left out."""
    return {row[0]: row[1] for row in await db.fetch_all(COUNTS, account_id=account_id)}


async def insert(tx: Transaction, passkey: Passkey) -> None:
    """Raises UniqueViolation for one that is somebody's already."""
    await tx.execute(INSERT, **msgspec.structs.asdict(passkey))


async def note_use(tx: Transaction, passkey_id: str, *, sign_count: int, at: int) -> None:
    """Write down that it was used at a time (Unix milliseconds), and what its device counts."""
    await tx.execute(NOTE_USE, id=passkey_id, sign_count=sign_count, at=at)


async def remove(tx: Transaction, passkey_id: str, member_id: str) -> str | None:
    """Remove a passkey and give its name; None when the member has no such one."""
    row = await tx.fetch_one(REMOVE, id=passkey_id, member_id=member_id)
    return None if row is None else str(row[0])


async def clear(tx: Transaction, member_id: str) -> int:
    """Remove all of a member's; gives how many went."""
    return await tx.execute(CLEAR, member_id=member_id)


async def add_challenge(tx: Transaction, challenge: Challenge) -> None:
    await tx.execute(ADD_CHALLENGE, **msgspec.structs.asdict(challenge))


async def take_challenge(tx: Transaction, challenge_id: str) -> Challenge | None:
    """Give a challenge, which is gone then: it is answered once."""
    row = await tx.fetch_one(TAKE_CHALLENGE, id=challenge_id)
    if row is None:
        return None
    return Challenge(id=row[0], challenge=bytes(row[1]), member_id=row[2], expires_at=row[3])


async def make_room(tx: Transaction, member_id: str | None, *, most: int, now: int) -> None:
    """Remove the oldest challenges that wait at `now` (Unix milliseconds) for a member, or for whoever signs in, where there are `most`."""
    whose = {} if member_id is None else {"member_id": member_id}
    row = await tx.fetch_one(COUNT_OF_NOBODY if member_id is None else COUNT_OF_MEMBER, now=now, **whose)
    assert row is not None
    if row[0] >= most:
        remove = REMOVE_OLDEST_OF_NOBODY if member_id is None else REMOVE_OLDEST_OF_MEMBER
        await tx.execute(remove, now=now, most=row[0] - most + 1, **whose)


async def prune_challenges(tx: Transaction, *, before: int, most: int) -> int:
    """Remove challenges that expired before a time (Unix milliseconds), at most so many; gives how many went."""
    return await tx.execute(PRUNE_CHALLENGES, before=before, most=most)
