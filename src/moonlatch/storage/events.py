"""Events: who did what, when. Append-only: triggers refuse to change a row, or to remove one before its time."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.storage.columns import columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `at` in Unix milliseconds; ids are in the order of time.

    `changes` has `[old, new]` for each field that changed, with secrets masked. `resource_label` is what a person calls the
    resource; it is null, and `changes` empty, for what was erased since.
    """

    id: str
    account_id: str
    project_id: str | None
    at: int
    kind: str
    actor_kind: str
    actor_id: str
    actor_name: str
    address: str | None
    request_id: str | None
    resource_kind: str
    resource_id: str
    resource_label: str | None
    changes: dict[str, tuple[Any, Any]] = {}


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions, combined with AND; None means any. Times in Unix milliseconds, `until` exclusive."""

    project_id: str | None = None
    kind: str | None = None
    resource_id: str | None = None
    actor_id: str | None = None
    since: int | None = None
    until: int | None = None


_AFTER_ALL = "g"  # ids begin with hexadecimal digits
_COLUMNS = listed(columns_of(Event))
INSERT = Query("events.insert", f"insert into events ({_COLUMNS}) values ({placed(columns_of(Event))})")
_PAGE = "order by id desc limit :limit"
_FITTING = (
    f"select {_COLUMNS} from events where account_id = :account_id and id < :before and id >= :first "
    "and (cast(:project_id as text) is null or project_id = :project_id) "
    "and (cast(:kind as text) is null or kind = :kind) "
    "and (cast(:resource_id as text) is null or resource_id = :resource_id) "
    "and (cast(:actor_id as text) is null or actor_id = :actor_id) "
)
LIST = Query("events.list", f"{_FITTING} {_PAGE}")
# Each goes along the index of the condition that leaves the fewest; the others are looked at on the way.
LIST_OF_RESOURCE = Query("events.list_of_resource", f"{_FITTING} and resource_id = :resource_id {_PAGE}")
LIST_OF_ACTOR = Query("events.list_of_actor", f"{_FITTING} and actor_id = :actor_id {_PAGE}")
LIST_OF_KIND = Query("events.list_of_kind", f"{_FITTING} and kind = :kind {_PAGE}")
LIST_OF_PROJECT = Query("events.list_of_project", f"{_FITTING} and project_id = :project_id {_PAGE}")
ERASE = Query(
    "events.erase",
    "update events set resource_label = null, changes = '{}' where resource_id = :resource_id",
)
ERASE_USERS = Query(
    "events.erase_users",
    "update events set resource_label = null, changes = '{}' where project_id = :project_id and resource_kind = 'user'",
)
ERASE_ACCOUNT = Query(
    "events.erase_account",
    "update events set resource_label = null, changes = '{}' where account_id = :account_id",
)
ALLOW_PRUNING = Query(
    "events.allow_pruning",
    "insert into event_retention (id, before) values (1, :before) "
    "on conflict (id) do update set before = excluded.before where event_retention.before < excluded.before",
)
PRUNE = Query(
    "events.prune",
    "delete from events where id in (select id from events where id < :before_id order by id limit :most)",
)


def event_of(row: Row) -> Event:
    """The event of a row with the columns of `Event`."""
    values = values_of(Event, row, flags=())
    values["changes"] = msgspec.json.decode(values["changes"], type=dict[str, tuple[Any, Any]])
    return Event(**values)


def _stored(event: Event) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(event)
    return (*values[:-1], msgspec.json.encode(event.changes).decode())


async def append(tx: Transaction, events: Sequence[Event]) -> None:
    """Write events, in the transaction of what they tell."""
    await tx.execute_each(INSERT, [_stored(event) for event in events])


async def list_of_account(
    db: Database | Transaction, account_id: str, where: EventFilter, *, before_id: str | None, limit: int
) -> list[Event]:
    """A page of an account's events, the newest first, behind the event `before_id` where one is given."""
    before = _AFTER_ALL if where.until is None else first_id_at(where.until)
    if before_id is not None:
        before = min(before, before_id)
    first = "" if where.since is None else first_id_at(where.since)
    if where.resource_id is not None:
        query = LIST_OF_RESOURCE
    elif where.actor_id is not None:
        query = LIST_OF_ACTOR
    elif where.kind is not None:
        query = LIST_OF_KIND
    elif where.project_id is not None:
        query = LIST_OF_PROJECT
    else:
        query = LIST
    rows = await db.fetch_all(
        query,
        account_id=account_id,
        before=before,
        first=first,
        limit=limit,
        project_id=where.project_id,
        kind=where.kind,
        resource_id=where.resource_id,
        actor_id=where.actor_id,
    )
    return [event_of(row) for row in rows]


async def erase(tx: Transaction, resource_ids: Sequence[str]) -> None:
    """Take from resources' events what identifies them; that something was done, and by whom, stays."""
    await tx.execute_each(ERASE, [(each,) for each in resource_ids])


async def erase_users(tx: Transaction, project_id: str) -> int:
    """As `erase`, for every user of a project."""
    return await tx.execute(ERASE_USERS, project_id=project_id)


async def erase_account(tx: Transaction, account_id: str) -> int:
    """As `erase`, for everything of an account."""
    return await tx.execute(ERASE_ACCOUNT, account_id=account_id)


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove events of before a time (Unix milliseconds), at most so many; gives how many went."""
    await tx.execute(ALLOW_PRUNING, before=before)
    return await tx.execute(PRUNE, before_id=first_id_at(before), most=most)


def first_id_at(at_ms: int) -> str:
    """What sorts before every event of a time (Unix milliseconds) and behind every earlier one."""
    return f"{at_ms:012x}"
