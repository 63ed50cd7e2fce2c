"""Users whose time is over, in projects that want them gone. When that is, is the caller's to decide."""

from __future__ import annotations

from moonlatch.storage.interface import Query, Transaction

# The cross join makes SQLite go through the projects first, of which there are few, and find each one's users by the
# index; otherwise it goes through every key that has an expiry at all.
REMOVE = Query(
    "expiry.remove",
    """
    delete from users where key in (
        select users.key from projects cross join users
        where projects.delete_expired_users and users.project_id = projects.id and users.key_expires <= :expired_by
            and not users.blacklisted
        limit :most
    )
    returning key
    """,
)


async def remove_expired(tx: Transaction, *, expired_by: int, most: int) -> list[str]:
    """Remove up to `most` users whose `key_expires` is not after `expired_by` (Unix milliseconds); gives their keys.

    Blacklisted users stay: with them would go the bar on their device, and a ban would end with the key's time.
    """
    return [row["key"] for row in await tx.fetch_all(REMOVE, expired_by=expired_by, most=most)]
