"""What a project keeps out: devices and networks of blacklisted keys. They come and go with the blacklisting (`storage/users.py`), or are lifted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from moonlatch.storage.interface import Database, Query, Transaction

LIST = Query(
    "bars.list",
    """
    select kind, fingerprint, user_id, expires_at from bars
    where project_id = :project_id and (expires_at is null or expires_at > :now)
    order by fingerprint, user_id limit :limit offset :offset
    """,
)
LIFT = Query("bars.lift", "delete from bars where project_id = :project_id and fingerprint = :hash")


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A device or network (a keyed hash) that is kept out with a user's key; `expires_at` in Unix milliseconds, None: for good."""

    kind: Literal["device", "network"]
    hash: bytes
    user_id: str
    expires_at: int | None


async def list_of_project(db: Database, project_id: str, *, now: int, offset: int, limit: int) -> list[Bar]:
    """A page of the bars that stand, in an order of their own; one that came with several keys is there once for each."""
    rows = await db.fetch_all(LIST, project_id=project_id, now=now, offset=offset, limit=limit)
    return [
        Bar(kind=kind, hash=bytes(found), user_id=user_id, expires_at=expires) for kind, found, user_id, expires in rows
    ]


async def lift(tx: Transaction, project_id: str, hashes: Sequence[bytes]) -> list[bytes]:
    """Let devices and networks in again, with whichever keys they were barred; gives those that were."""
    lifted = await tx.execute_each(LIFT, [(project_id, each) for each in hashes])
    return [each for each, rows in zip(hashes, lifted, strict=True) if rows]
