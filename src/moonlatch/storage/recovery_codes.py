"""Recovery codes: what a member signs in with whose device with the one-time codes is gone. Only hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.storage.interface import Query, Transaction

INSERT = Query("recovery_codes.insert", "insert into recovery_codes (member_id, hash) values (:member_id, :hash)")
TAKE = Query("recovery_codes.take", "delete from recovery_codes where member_id = :member_id and hash = :hash")
CLEAR = Query("recovery_codes.clear", "delete from recovery_codes where member_id = :member_id")


async def replace(tx: Transaction, member_id: str, hashes: Sequence[bytes]) -> None:
    """Give a member these in place of those before."""
    await tx.execute(CLEAR, member_id=member_id)
    await tx.execute_each(INSERT, [(member_id, each) for each in hashes])


async def take(tx: Transaction, member_id: str, code_hash: bytes) -> bool:
    """Use one up. False where the member has no such one, or used it before."""
    return await tx.execute(TAKE, member_id=member_id, hash=code_hash) == 1
