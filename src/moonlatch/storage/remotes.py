"""Remotes: what scripts reach through the server by name. Where they lead, their endpoint has."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import assigned, columns_of, listed, placed, values_of
from moonlatch.storage.endpoints import COLUMNS as ENDPOINT_COLUMNS
from moonlatch.storage.endpoints import Endpoint, endpoint_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A server webhook or a server function of a project, or of one of its scripts.

    `template` is JSON text. `per_key` and `per_instance` are calls in a minute. `revision` counts how often it was set. Times in
    Unix milliseconds.
    """

    id: str
    account_id: str
    project_id: str
    script_id: str | None = None
    endpoint_id: str
    kind: str
    name: str
    template: str | None = None
    per_key: int
    per_instance: int
    timeout_seconds: int
    revision: int = 1
    created_at: int
    updated_at: int


COLUMNS = columns_of(Remote)
_COLUMNS = listed(COLUMNS)
_SETTINGS = (
    *("endpoint_id", "kind", "template", "per_key", "per_instance", "timeout_seconds", "revision", "updated_at"),
)

INSERT = Query("remotes.insert", f"insert into remotes ({_COLUMNS}) values ({placed(COLUMNS)})")
SAVE = Query("remotes.save", f"update remotes set {assigned(_SETTINGS)} where id = :id")
REMOVE = Query("remotes.remove", "delete from remotes where id = :id")
FIND_OWNED = Query("remotes.find_owned", f"select {_COLUMNS} from remotes where id = :id and account_id = :account_id")
LIST = Query(
    "remotes.list",
    f"select {_COLUMNS} from remotes where project_id = :project_id and coalesce(script_id, '') = :script_id order by name",
)
CALLED = Query(
    "remotes.called",
    f"select {listed(COLUMNS, of='r')}, {listed(ENDPOINT_COLUMNS, of='e')} "
    "from remotes r join endpoints e on e.id = r.endpoint_id "
    "where r.project_id = :project_id and coalesce(r.script_id, '') in ('', :script_id) and r.name = :name "
    "order by coalesce(r.script_id, '') desc limit 1",
)


def _remote_of(row: Row) -> Remote:
    return Remote(**values_of(Remote, row))


async def insert(tx: Transaction, remote: Remote) -> None:
    """Raises UniqueViolation where its owner has one of that name."""
    await tx.execute(INSERT, **{name: getattr(remote, name) for name in COLUMNS})


async def save(tx: Transaction, remote: Remote) -> None:
    await tx.execute(SAVE, **{name: getattr(remote, name) for name in ("id", *_SETTINGS)})


async def remove(tx: Transaction, remote_id: str) -> None:
    await tx.execute(REMOVE, id=remote_id)


async def find_owned(db: Database | Transaction, remote_id: str, account_id: str) -> Remote | None:
    """The remote if it is there and belongs to the account."""
    row = await db.fetch_one(FIND_OWNED, id=remote_id, account_id=account_id)
    return None if row is None else _remote_of(row)


async def list_of(db: Database | Transaction, project_id: str, *, script_id: str | None) -> list[Remote]:
    """Those of one script, by name; of none: the project's own."""
    return [_remote_of(row) for row in await db.fetch_all(LIST, project_id=project_id, script_id=script_id or "")]


async def called(db: Database, project_id: str, name: str, *, script_id: str) -> tuple[Remote, Endpoint] | None:
    """What a script reaches under a name, its own before the project's, and where that leads."""
    row = await db.fetch_one(CALLED, project_id=project_id, script_id=script_id, name=name)
    if row is None:
        return None
    values = list(row)
    return _remote_of(values[: len(COLUMNS)]), endpoint_of(values[len(COLUMNS) :])
