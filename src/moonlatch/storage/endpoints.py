"""Webhook endpoints. URLs and secrets come and go sealed; this module could not open them."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.storage.columns import assigned, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's events are handed over to. Times in Unix milliseconds.

    `events` None is every kind. `field` is the setting of the project that it stands for. `executions_until` is up to when
    starts were handed over. `failing_since` is the first of the failures since which nothing arrived.
    """

    id: str
    account_id: str
    project_id: str
    name: str
    field: str | None = None
    kind: str
    url: bytes = b""
    shown_url: str
    events: tuple[str, ...] | None = None
    executions: str = "none"
    executions_until: int
    secret: bytes = b""
    previous_secret: bytes | None = None
    previous_until: int | None = None
    enabled: bool = True
    disabled_because: str | None = None
    failing_since: int | None = None
    created_at: int


class Unkept(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a project for which there is no endpoint yet."""

    project_id: str
    field: str
    url: str


_FLAGS = flags_of(Endpoint)
COLUMNS = columns_of(Endpoint)
_COLUMNS = listed(COLUMNS)
_SETTINGS = columns_of(Endpoint, without=("id", "account_id", "project_id", "field", "created_at"))

INSERT = Query("endpoints.insert", f"insert into endpoints ({_COLUMNS}) values ({placed(COLUMNS)})")
SAVE = Query("endpoints.save", f"update endpoints set {assigned(_SETTINGS)} where id = :id")
REMOVE = Query("endpoints.remove", "delete from endpoints where id = :id")
FIND_OWNED = Query(
    "endpoints.find_owned", f"select {_COLUMNS} from endpoints where id = :id and account_id = :account_id"
)
FIND_OF_FIELD = Query(
    "endpoints.find_of_field", f"select {_COLUMNS} from endpoints where project_id = :project_id and field = :field"
)
LIST = Query(
    "endpoints.list", f"select {_COLUMNS} from endpoints where project_id = :project_id order by created_at, id"
)
TELLING_STARTS = Query(
    "endpoints.telling_starts",
    f"select {_COLUMNS} from endpoints where enabled and executions <> 'none' and executions_until < :until "
    "order by executions_until limit :most",
)
TOLD_STARTS = Query(
    "endpoints.told_starts",
    "update endpoints set executions_until = :until where id = :id and executions_until = :since",
)
FAILING = Query(
    "endpoints.failing", "update endpoints set failing_since = :since where id = :id and failing_since is null"
)
WORKING = Query(
    "endpoints.working", "update endpoints set failing_since = null where id = :id and failing_since is not null"
)
UNKEPT = Query(
    "endpoints.unkept",
    " union all ".join(
        f"select p.id, '{field}', p.{field} from projects p where p.{field} is not null and p.{field} <> '' "
        f"and not exists (select 1 from endpoints e where e.project_id = p.id and e.field = '{field}')"
        for field in ("execution_webhook", "information_webhook", "blacklist_webhook")
    ),
)


def endpoint_of(row: Row) -> Endpoint:
    """The endpoint of a row with `COLUMNS`."""
    values = values_of(Endpoint, row, flags=_FLAGS)
    if values["events"] is not None:
        values["events"] = msgspec.json.decode(values["events"], type=tuple[str, ...])
    for name in ("url", "secret", "previous_secret"):
        if values[name] is not None:
            values[name] = bytes(values[name])
    return Endpoint(**values)


def _stored(endpoint: Endpoint) -> dict[str, Any]:
    values = {name: getattr(endpoint, name) for name in COLUMNS}
    if endpoint.events is not None:
        values["events"] = msgspec.json.encode(endpoint.events).decode()
    return values


async def insert(tx: Transaction, endpoint: Endpoint) -> None:
    await tx.execute(INSERT, **_stored(endpoint))


async def save(tx: Transaction, endpoint: Endpoint) -> None:
    stored = _stored(endpoint)
    await tx.execute(SAVE, **{name: stored[name] for name in ("id", *_SETTINGS)})


async def remove(tx: Transaction, endpoint_id: str) -> None:
    """Remove an endpoint with its deliveries."""
    await tx.execute(REMOVE, id=endpoint_id)


async def find_owned(db: Database | Transaction, endpoint_id: str, account_id: str) -> Endpoint | None:
    """The endpoint if it is there and belongs to the account."""
    row = await db.fetch_one(FIND_OWNED, id=endpoint_id, account_id=account_id)
    return None if row is None else endpoint_of(row)


async def find_of_field(tx: Transaction, project_id: str, field: str) -> Endpoint | None:
    row = await tx.fetch_one(FIND_OF_FIELD, project_id=project_id, field=field)
    return None if row is None else endpoint_of(row)


async def list_of_project(db: Database | Transaction, project_id: str) -> list[Endpoint]:
    """A project's endpoints, oldest first."""
    return [endpoint_of(row) for row in await db.fetch_all(LIST, project_id=project_id)]


async def telling_starts(db: Database | Transaction, *, until: int, most: int) -> list[Endpoint]:
    """Endpoints that ask for starts and heard of none since before `until` (Unix milliseconds)."""
    return [endpoint_of(row) for row in await db.fetch_all(TELLING_STARTS, until=until, most=most)]


async def told_starts(tx: Transaction, endpoint: Endpoint, *, until: int) -> bool:
    """Write down up to when starts were handed over. False where somebody else did meanwhile."""
    return await tx.execute(TOLD_STARTS, id=endpoint.id, since=endpoint.executions_until, until=until) == 1


async def note_failing(tx: Transaction, endpoint_id: str, *, since: int) -> None:
    await tx.execute(FAILING, id=endpoint_id, since=since)


async def note_working(tx: Transaction, endpoint_id: str) -> None:
    await tx.execute(WORKING, id=endpoint_id)


async def unkept_settings(db: Database | Transaction) -> list[Unkept]:
    """Webhooks that were written into projects' settings before there were endpoints."""
    return [Unkept(project_id=row[0], field=row[1], url=row[2]) for row in await db.fetch_all(UNKEPT)]
