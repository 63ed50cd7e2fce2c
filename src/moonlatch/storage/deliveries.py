"""Deliveries to webhook endpoints: the outbox, who has claimed what of it, and the log of attempts.

A trigger writes a delivery with each event, in the event's own transaction.
"""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.storage.columns import columns_of, listed
from moonlatch.storage.endpoints import COLUMNS as ENDPOINT_COLUMNS
from moonlatch.storage.endpoints import Endpoint, endpoint_of
from moonlatch.storage.events import Event, event_of
from moonlatch.storage.interface import Database, Query, Row, Transaction

_AFTER_ALL = "g"  # ids begin with hexadecimal digits


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an endpoint is to get, or got. Times in Unix milliseconds; `next_at` None: delivered, or given up.

    `step` is its place in the schedule, which a replay begins anew; `attempts` counts all of them.
    """

    id: str
    endpoint_id: str
    event_id: str | None = None
    kind: str
    body: str | None = None
    created_at: int
    next_at: int | None = None
    claimed_by: str | None = None
    step: int = 0
    attempts: int = 0
    delivered_at: int | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A delivery that a worker is to make, with its event where there is one that is still kept."""

    delivery: Delivery
    event: Event | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. `error` says why there was no answer, `answer` is the beginning of one."""

    number: int
    at: int
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt: `next_at` None ends the delivery."""

    delivery_id: str
    claimed_by: str
    at: int
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None
    next_at: int | None
    step: int
    delivered_at: int | None


_DELIVERY = columns_of(Delivery)
_ATTEMPT = columns_of(Attempt)
_EVENT = columns_of(Event)

# From endpoint to endpoint through the index of what waits, so that one with a hundred thousand costs what one with one does.
WAITING = Query(
    "deliveries.waiting",
    f"""
    with recursive waiting (endpoint_id) as (
        select min(endpoint_id) from deliveries where next_at is not null
        union all
        select (select min(d.endpoint_id) from deliveries d where d.next_at is not null and d.endpoint_id > w.endpoint_id)
        from waiting w where w.endpoint_id is not null
    )
    select {listed(ENDPOINT_COLUMNS, of="e")} from waiting w join endpoints e on e.id = w.endpoint_id
    where exists (select 1 from deliveries d where d.endpoint_id = e.id and d.next_at <= :now)
    """,
)
CLAIM = Query(
    "deliveries.claim",
    """
    update deliveries set next_at = :until, claimed_by = :claimed_by where id in (
        select d.id from deliveries d where d.endpoint_id = :endpoint_id and d.next_at <= :now
        order by d.next_at limit :most /*postgres for update skip locked */)
    """,
)
CLAIMED = Query(
    "deliveries.claimed",
    f"select {listed(_DELIVERY, of='d')}, {listed(_EVENT, of='e')} from deliveries d left join events e on e.id = d.event_id "
    "where d.endpoint_id = :endpoint_id and d.next_at = :until and d.claimed_by = :claimed_by",
)
RELEASE = Query(
    "deliveries.release",
    "update deliveries set next_at = :next_at, claimed_by = null where id = :id and claimed_by = :claimed_by",
)
RELEASE_ALL = Query(
    "deliveries.release_all",
    "update deliveries set next_at = :now, claimed_by = null where next_at is not null and claimed_by is not null",
)
NOTE = Query(
    "deliveries.note",
    """
    insert into delivery_attempts (delivery_id, number, at, milliseconds, status, error, answer)
    select d.id, d.attempts + 1, cast(:at as bigint), cast(:milliseconds as bigint), cast(:status as bigint),
        cast(:error as text), cast(:answer as text)
    from deliveries d where d.id = :id and d.claimed_by = :claimed_by
    on conflict (delivery_id, number) do nothing
    """,
)
END = Query(
    "deliveries.end",
    "update deliveries set attempts = attempts + 1, next_at = :next_at, step = :step, delivered_at = :delivered_at, "
    "claimed_by = null where id = :id and claimed_by = :claimed_by",
)
INSERT = Query(
    "deliveries.insert",
    "insert into deliveries (id, endpoint_id, kind, body, created_at, next_at) "
    "values (:id, :endpoint_id, :kind, :body, :created_at, :created_at)",
)
COUNT_WAITING = Query(
    "deliveries.count_waiting",
    "select count(*) from (select 1 from deliveries where endpoint_id = :endpoint_id and next_at is not null limit :most) w",
)
GIVE_UP = Query(
    "deliveries.give_up",
    "update deliveries set next_at = null, claimed_by = null where endpoint_id = :endpoint_id and next_at is not null",
)
FIND_OWNED = Query(
    "deliveries.find_owned",
    f"select {listed(_DELIVERY, of='d')} from deliveries d join endpoints e on e.id = d.endpoint_id "
    "where d.id = :id and e.account_id = :account_id",
)
_PAGE = f"select {listed(_DELIVERY)} from deliveries where endpoint_id = :endpoint_id and id < :before"
LISTS = {
    "": Query("deliveries.list", f"{_PAGE} order by id desc limit :limit"),
    "waiting": Query("deliveries.list_waiting", f"{_PAGE} and next_at is not null order by id desc limit :limit"),
    "delivered": Query(
        "deliveries.list_delivered",
        f"{_PAGE} and next_at is null and delivered_at is not null order by id desc limit :limit",
    ),
    "failed": Query(
        "deliveries.list_failed", f"{_PAGE} and next_at is null and delivered_at is null order by id desc limit :limit"
    ),
}
ATTEMPTS = Query(
    "deliveries.attempts",
    f"select {listed(_ATTEMPT)} from delivery_attempts where delivery_id = :id order by number desc limit :limit",
)
REPLAY = Query(
    "deliveries.replay",
    "update deliveries set next_at = :now, step = 0, delivered_at = null "
    "where id = :id and endpoint_id = :endpoint_id and claimed_by is null",
)
REPLAY_FAILED = Query(
    "deliveries.replay_failed",
    "update deliveries set next_at = :now, step = 0 where id in (select d.id from deliveries d "
    "where d.endpoint_id = :endpoint_id and d.id >= :first and d.next_at is null and d.delivered_at is null "
    "order by d.id limit :most)",
)
PRUNE = Query(
    "deliveries.prune",
    "delete from deliveries where id in (select d.id from deliveries d where d.next_at is null and d.created_at < :before "
    "order by d.created_at limit :most)",
)


def _delivery(row: Row) -> Delivery:
    return Delivery(**dict(zip(_DELIVERY, row, strict=False)))


def _claimed(row: Row) -> Claimed:
    values = list(row)
    event = values[len(_DELIVERY) :]
    return Claimed(_delivery(row), None if event[0] is None else event_of(event))


async def waiting_endpoints(db: Database, *, now: int) -> list[Endpoint]:
    """Endpoints to which something is due."""
    return [endpoint_of(row) for row in await db.fetch_all(WAITING, now=now)]


async def claim(
    tx: Transaction, endpoint_id: str, *, claimed_by: str, now: int, until: int, most: int
) -> list[Claimed]:
    """Claim up to `most` that are due, until a time; nobody else gets them before. `claimed_by` is used for this claim alone."""
    if not await tx.execute(CLAIM, endpoint_id=endpoint_id, claimed_by=claimed_by, now=now, until=until, most=most):
        return []
    rows = await tx.fetch_all(CLAIMED, endpoint_id=endpoint_id, claimed_by=claimed_by, until=until)
    return [_claimed(row) for row in rows]


async def release(tx: Transaction, claimed: Sequence[Delivery], *, next_at: int) -> None:
    """Give back what was claimed and not tried."""
    await tx.execute_each(RELEASE, [(next_at, each.id, each.claimed_by) for each in claimed])


async def release_all(tx: Transaction, *, now: int) -> int:
    """Give back what anybody has claimed. Only for a process that knows that it is the only one."""
    return await tx.execute(RELEASE_ALL, now=now)


async def end(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
    """Write down what came of attempts. What somebody else has claimed since stays theirs."""
    await tx.execute_each(
        NOTE,
        [
            (each.at, each.milliseconds, each.status, each.error, each.answer, each.delivery_id, each.claimed_by)
            for each in outcomes
        ],
    )
    await tx.execute_each(
        END,
        [(each.next_at, each.step, each.delivered_at, each.delivery_id, each.claimed_by) for each in outcomes],
    )


async def insert(tx: Transaction, delivery: Delivery) -> None:
    """Have something delivered that is no event."""
    await tx.execute(
        INSERT,
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        kind=delivery.kind,
        body=delivery.body,
        created_at=delivery.created_at,
    )


async def count_waiting(tx: Transaction, endpoint_id: str, *, most: int) -> int:
    """How many wait for an endpoint; of more than `most`, so many."""
    row = await tx.fetch_one(COUNT_WAITING, endpoint_id=endpoint_id, most=most)
    return 0 if row is None else int(row[0])


async def give_up(tx: Transaction, endpoint_id: str) -> int:
    """End everything that waits for an endpoint; gives their number."""
    return await tx.execute(GIVE_UP, endpoint_id=endpoint_id)


async def find_owned(db: Database | Transaction, delivery_id: str, account_id: str) -> Delivery | None:
    """The delivery if it is there and goes to an endpoint of the account."""
    row = await db.fetch_one(FIND_OWNED, id=delivery_id, account_id=account_id)
    return None if row is None else _delivery(row)


async def list_of_endpoint(
    db: Database, endpoint_id: str, *, state: str, before_id: str | None, limit: int
) -> list[Delivery]:
    """A page of an endpoint's deliveries, the newest first; `state` is one of `LISTS`."""
    rows = await db.fetch_all(LISTS[state], endpoint_id=endpoint_id, before=before_id or _AFTER_ALL, limit=limit)
    return [_delivery(row) for row in rows]


async def attempts(db: Database, delivery_id: str, *, limit: int) -> list[Attempt]:
    """The last attempts, the newest first."""
    rows = await db.fetch_all(ATTEMPTS, id=delivery_id, limit=limit)
    return [Attempt(**dict(zip(_ATTEMPT, row, strict=True))) for row in rows]


async def replay(tx: Transaction, endpoint_id: str, delivery_ids: Sequence[str], *, now: int) -> int:
    """Have these tried again now; gives how many. One that is just being tried goes on as it does."""
    return sum(await tx.execute_each(REPLAY, [(now, each, endpoint_id) for each in delivery_ids]))


async def replay_failed(tx: Transaction, endpoint_id: str, *, first_id: str, now: int, most: int) -> int:
    """Have those that were given up tried again now, from the id `first_id` on; gives how many."""
    return await tx.execute(REPLAY_FAILED, endpoint_id=endpoint_id, first=first_id, now=now, most=most)


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove ended deliveries of before a time (Unix milliseconds) with their attempts, at most so many; gives how many went."""
    return await tx.execute(PRUNE, before=before, most=most)
