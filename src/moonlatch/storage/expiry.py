"""Users whose time is over, in projects that want them gone. When that is, is the caller's to decide."""

from __future__ import annotations

from moonlatch.storage import removed_users, users
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.users import User

# The cross join makes SQLite go through the projects first, of which there are few, and find each one's users by the
# index; otherwise it goes through every key that has an expiry at all.
REMOVE = Query(
    "expiry.remove",
    f"""
    delete from users where id in (
        select users.id from projects cross join users
        where projects.delete_expired_users and projects.delete_expired_users_since <= :expired_by
            and users.project_id = projects.id and users.key_expires <= :expired_by
            and users.expiry_set_at <= :expired_by and not users.blacklisted
        limit :most
    )
    returning {users.COLUMNS}
    """,  # noqa: S608 -- the store's own list of columns
)


async def remove_expired(tx: Transaction, *, expired_by: int, now: int, most: int) -> list[User]:
    """Remove up to `most` users whose time was over by `expired_by`, keep them as removed at `now`; gives them.

    Over it is when `key_expires` had come, had been set, and the project wanted such users gone, all of it by then: an
    expiry that is set to long ago, by mistake or not, is not a reason to remove somebody at once. Times are Unix milliseconds.

    Blacklisted users stay: with them would go the bar on their device, and a ban would end with the key's time.
    """
    rows = await tx.fetch_all(REMOVE, expired_by=expired_by, most=most)
    removed = [users.from_row(row) for row in rows]
    await removed_users.keep(tx, removed, now=now, by="expiry")
    return removed
