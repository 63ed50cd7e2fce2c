"""Server variables. Values come and go sealed; this module could not open them."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from moonlatch.storage.columns import assigned, blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """What scripts of a project ask the server for by name: the project's own, or that of one script or one key.

    `value` is JSON text of `value_bytes` bytes, sealed for the variable's id. A copy keeps what it was told for `cache_seconds`.
    `revision` counts how often it was set. Times in Unix milliseconds.
    """

    id: str
    account_id: str
    project_id: str
    script_id: str | None = None
    user_id: str | None = None
    name: str
    value: bytes
    value_bytes: int
    cache_seconds: int
    revision: int = 1
    created_at: int
    updated_at: int


_BLOBS = blobs_of(Variable)
COLUMNS = columns_of(Variable)
_COLUMNS = listed(COLUMNS)
_SETTINGS = ("value", "value_bytes", "cache_seconds", "revision", "updated_at")
_OWNERS = ((":script_id", "''"), ("''", ":user_id"), ("''", "''"))
"""A script, a key, and neither, which is the project."""


def _of(script: str, user: str) -> str:
    """As `variables_by_owner` has it."""
    return f"project_id = :project_id and coalesce(script_id, '') = {script} and coalesce(user_id, '') = {user}"


INSERT = Query("variables.insert", f"insert into variables ({_COLUMNS}) values ({placed(COLUMNS)})")
SAVE = Query("variables.save", f"update variables set {assigned(_SETTINGS)} where id = :id")
REMOVE = Query("variables.remove", "delete from variables where id = :id")
FIND_OWNED = Query(
    "variables.find_owned", f"select {_COLUMNS} from variables where id = :id and account_id = :account_id"
)
LIST = Query("variables.list", f"select {_COLUMNS} from variables where {_of(':script_id', ':user_id')} order by name")
NAMED = Query(
    "variables.named",
    " union all ".join(
        f"select {_COLUMNS} from variables where {_of(script, user)} and name = :name" for script, user in _OWNERS
    ),
)


def _variable_of(row: Row) -> Variable:
    return Variable(**values_of(Variable, row, blobs=_BLOBS))


async def insert(tx: Transaction, variable: Variable) -> None:
    """Raises UniqueViolation where its owner has one of that name."""
    await tx.execute(INSERT, **{name: getattr(variable, name) for name in COLUMNS})


async def save(tx: Transaction, variable: Variable) -> None:
    await tx.execute(SAVE, **{name: getattr(variable, name) for name in ("id", *_SETTINGS)})


async def remove(tx: Transaction, variable_id: str) -> None:
    await tx.execute(REMOVE, id=variable_id)


async def find_owned(db: Database | Transaction, variable_id: str, account_id: str) -> Variable | None:
    """The variable if it is there and belongs to the account."""
    row = await db.fetch_one(FIND_OWNED, id=variable_id, account_id=account_id)
    return None if row is None else _variable_of(row)


async def list_of(
    db: Database | Transaction, project_id: str, *, script_id: str | None, user_id: str | None
) -> list[Variable]:
    """Those of one script or one key, by name; of neither: the project's own."""
    rows = await db.fetch_all(LIST, project_id=project_id, script_id=script_id or "", user_id=user_id or "")
    return [_variable_of(row) for row in rows]


async def named(
    db: Database | Transaction, project_id: str, name: str, *, script_id: str, user_id: str | None
) -> Sequence[Variable]:
    """Those of that name which a script, a key and the project have; the project's may come twice."""
    rows = await db.fetch_all(NAMED, project_id=project_id, name=name, script_id=script_id, user_id=user_id or "")
    return [_variable_of(row) for row in rows]
