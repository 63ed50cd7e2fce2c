"""Removes what is kept for a time only. How long that is, and how much goes at once, is the caller's to decide."""

from __future__ import annotations

from moonlatch.storage.interface import Query, Transaction

# The condition is the index's, word for word, or the engines would not use it.
PRUNE_EXECUTIONS = Query(
    "retention.prune_executions",
    """
    delete from executions where id in (
        select id from executions where stopped is null and started_at < :before order by started_at limit :most
    )
    """,
)


async def prune_executions(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` executions that started before a time (Unix milliseconds), the oldest first; gives how many.

    Those that were stopped for good stay: their copies hold tokens without an end, and the row is what refuses them.
    """
    return await tx.execute(PRUNE_EXECUTIONS, before=before, most=most)
