"""Removes what is kept for a time only, when that is over: detail of executions and refusals, events, answers, removed users. Daily counters and totals stay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from moonlatch.clock import DAY_MS, Clock
from moonlatch.jobs.periodic import run_periodically
from moonlatch.licensing.key import RESTORABLE_DAYS
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.storage import (
    ad_attempts,
    deliveries,
    discord_applications,
    error_groups,
    events,
    idempotency,
    key_signals,
    key_uses,
    member_sessions,
    members,
    passkeys,
    removed_users,
    user_history,
)
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.retention import prune_executions

EVERY_SECONDS = 3600.0
BATCH = 500
"""Rows per transaction: a few milliseconds, so that starts do not wait for a long removal."""

PAUSE_SECONDS = 0.02
"""Between two batches: others write most of the time even while a year of executions goes."""

Prune = Callable[[Transaction, int, int], Awaitable[int]]
"""Removes rows from before a time (Unix milliseconds), at most so many; gives how many went."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that is kept for some days."""

    name: str
    days: float
    prune: Prune


def detail_kept(days: int) -> list[Kept]:
    """What is kept of single starts and refusals, and of where keys were used."""
    return [
        Kept("executions", days, lambda tx, before, most: prune_executions(tx, before=before, most=most)),
        Kept("refusals", days, lambda tx, before, most: user_history.prune_refusals(tx, before=before, most=most)),
        Kept("places of keys", days, lambda tx, before, most: key_uses.prune_uses(tx, before=before, most=most)),
        Kept("signals of keys", days, lambda tx, before, most: key_signals.prune(tx, before=before, most=most)),
        Kept("hours of keys", days, lambda tx, before, most: key_uses.prune_hours(tx, before=before, most=most)),
    ]


def events_kept(days: int) -> Kept:
    return Kept("events", days, lambda tx, before, most: events.prune(tx, before=before, most=most))


ANSWERS_KEPT = Kept("answers", 1, lambda tx, before, most: idempotency.prune(tx, before=before, most=most))
"""To calls with an idempotency key."""

INTERACTIONS_KEPT = Kept(
    "interactions", 1, lambda tx, before, most: discord_applications.prune_answered(tx, before=before, most=most)
)
"""From Discord: their signatures are too old long before."""

DELIVERIES_KEPT = Kept("deliveries", 30, lambda tx, before, most: deliveries.prune(tx, before=before, most=most))
"""With the attempts of each; those that wait stay."""

REMOVED_USERS_KEPT = Kept(
    "removed users", RESTORABLE_DAYS, lambda tx, before, most: removed_users.prune(tx, before=before, most=most)
)
"""So that they can be brought back."""

ERRORS_KEPT = (
    Kept("errors", 90, lambda tx, before, most: error_groups.prune(tx, before=before, most=most)),
    Kept("who had errors", 30, lambda tx, before, most: error_groups.prune_witnesses(tx, before=before, most=most)),
)
"""After they were last seen; that one is resolved says so long that it comes back."""

VISITS_KEPT = (
    Kept("attempts at checkpoints", 30, lambda tx, before, most: ad_attempts.prune(tx, before=before, most=most)),
    Kept("proofs of providers", 30, lambda tx, before, most: ad_attempts.prune_proofs(tx, before=before, most=most)),
    Kept(
        "earned keys that are gone", 2, lambda tx, before, most: ad_attempts.prune_grants(tx, before=before, most=most)
    ),
)
"""Of visitors; what their daily limits count is of one day."""


def sign_ins_kept(rules: SignInRules) -> list[Kept]:
    """What members sign in by, as long as it is good: sessions, one-time links, challenges."""
    return [
        Kept(
            "unused sessions",
            rules.idle_ms / DAY_MS,
            lambda tx, before, most: member_sessions.prune_unused(tx, before=before, most=most),
        ),
        Kept(
            "old sessions",
            rules.absolute_ms / DAY_MS,
            lambda tx, before, most: member_sessions.prune_old(tx, before=before, most=most),
        ),
        Kept("links", 0, lambda tx, before, most: members.prune_links(tx, before=before, most=most)),
        Kept("challenges", 0, lambda tx, before, most: passkeys.prune_challenges(tx, before=before, most=most)),
    ]


async def watch_retention(database: Database, clock: Clock, kept: Sequence[Kept]) -> None:
    """Remove what has become old every hour until cancelled. Any number of processes may do so at once."""

    async def remove() -> None:
        for each in kept:
            await remove_old(database, each, now=clock())

    await run_periodically("removing what is old", remove, every_seconds=EVERY_SECONDS)


async def remove_old(database: Database, kept: Kept, *, now: int, pause_seconds: float = PAUSE_SECONDS) -> int:
    """Remove everything that was kept for its days at `now` (Unix milliseconds), in batches; gives how many went.

    Raises StorageError when the database fails; batches that were committed before stay removed.
    """
    total, before = 0, now - int(kept.days * DAY_MS)
    while True:
        removed = await database.run(lambda tx: kept.prune(tx, before, BATCH))
        total += removed
        if removed < BATCH:
            return total
        await asyncio.sleep(pause_seconds)
