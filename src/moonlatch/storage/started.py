"""Reads starts of scripts for those who want to hear of them. Writes nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.clock import HOUR_MS
from moonlatch.storage.interface import Database, Query
from moonlatch.storage.last_starts import MOST_CHARACTERS, MOST_LISTED, entries_of

MOST_STARTS = 20_000
"""Of one question; who has more in a minute reads counts elsewhere."""

MOST_KEYS = 5_000
_STARTS_OF_KEY = 5


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start. `at` in Unix milliseconds; without a user it was one without a key, or nobody knows any more whose."""

    project_id: str
    at: int
    script_id: str
    script: str
    executor: str | None
    user_id: str | None
    discord_id: str | None

    def shown(self) -> dict[str, Any]:
        """As it is handed over."""
        return {
            "at": self.at,
            "script_id": self.script_id,
            "script": self.script,
            "executor": self.executor,
            "user_id": self.user_id,
            "discord_id": self.discord_id,
        }


BETWEEN = Query(
    "started.between",
    """
    select s.project_id, x.started_at, s.id, s.name, x.executor, x.id
    from executions x join scripts s on s.id = x.script_id
    where x.stopped is null and x.started_at > :since and x.started_at <= :until and exists (
        select 1 from endpoints e where e.project_id = s.project_id and e.enabled and e.executions <> 'none'
            and e.executions_until = :since)
    order by x.started_at limit :most
    """,
)

# Of each key the last of the hour: more of them in a minute are told without whose they were.
OWNERS = Query(
    "started.owners",
    """
    select u.id, u.discord_id, substr(k.last_starts, case when length(k.last_starts) > :most_characters
        then length(k.last_starts) - :most_characters + 1 else 1 end)
    from key_hours k join users u on u.id = k.user_id
    where k.hour >= :first and k.hour <= :last and k.last_starts <> '' and exists (
        select 1 from endpoints e where e.project_id = u.project_id and e.enabled and e.executions = 'each'
            and e.executions_until = :since)
    limit :most
    """,
)


async def starts_between(db: Database, *, asked_since: int, until: int) -> list[Start]:
    """Starts behind the one time and up to the other, of projects with an endpoint that heard of them up to the first."""
    rows = await db.search(BETWEEN, since=asked_since, until=until, most=MOST_STARTS)
    owners: dict[str, tuple[str, str | None]] = {}
    if rows:
        named = await db.search(
            OWNERS,
            first=rows[0][1] // HOUR_MS,
            last=until // HOUR_MS,
            since=asked_since,
            most_characters=_STARTS_OF_KEY * MOST_CHARACTERS // MOST_LISTED,
            most=MOST_KEYS,
        )
        for user_id, discord_id, text in named:
            for start_id, _, _ in entries_of(text):
                owners[start_id] = user_id, discord_id
    nobody = None, None
    return [
        Start(
            project_id=row[0],
            at=row[1],
            script_id=row[2],
            script=row[3],
            executor=row[4],
            user_id=owners.get(row[5], nobody)[0],
            discord_id=owners.get(row[5], nobody)[1],
        )
        for row in rows
    ]
