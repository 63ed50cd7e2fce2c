"""Scripts: their settings, which build and loader they serve, and their execution counters."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import assigned, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One script of a project. `build` 0 means never updated; `loader` is the id of the loader being served.

    `place_seconds` is how long a copy that does not beat takes its place, 0 for one lease; `offline_days` are those for which copies start
    without the server, 0 for none; `report_errors`: copies tell of errors; `mark_copies`: each key has
    copies of its own; `profile`, `target` and `engine` say how it is protected; None leaves that to its project or the server.
    """

    id: str
    project_id: str
    name: str
    free_for_all: bool = False
    use_heartbeat: bool = True
    kick_outdated: bool = False
    require_sessions: bool = False
    place_seconds: int = 0
    offline_days: int = 0
    report_errors: bool = False
    mark_copies: bool = False
    enabled: bool = False
    total_executions: int = 0
    build: int = 0
    loader: str | None = None
    created_at: int
    profile: str | None = None
    target: str | None = None
    engine: str | None = None


_COLUMNS = columns_of(Script)
_SETTINGS = columns_of(Script, without=("id", "project_id", "total_executions", "build", "loader", "created_at"))
_FLAGS = flags_of(Script)
_LISTED = listed(_COLUMNS)

FIND = Query("scripts.find", f"select {_LISTED} from scripts where id = :id")
FIND_OWNED = Query(
    "scripts.find_owned",
    f"select {listed(_COLUMNS, of='s')} "
    "from scripts s join projects p on p.id = s.project_id where s.id = :id and p.account_id = :account_id",
    shared=True,  # by a message to many sessions
)
LIST = Query(
    "scripts.list",
    f"select {_LISTED} from scripts where project_id = :project_id order by created_at, id limit :limit offset :offset",
)
INSERT = Query("scripts.insert", f"insert into scripts ({_LISTED}) values ({placed(_COLUMNS)})")
SAVE_SETTINGS = Query("scripts.save_settings", f"update scripts set {assigned(_SETTINGS)} where id = :id")
REMOVE = Query("scripts.remove", "delete from scripts where id = :id")
KEEP_EXECUTIONS = Query(
    "scripts.keep_executions",
    "update projects set executions_of_removed_scripts = executions_of_removed_scripts + "
    "(select total_executions from scripts where id = :id) "
    "where id = (select project_id from scripts where id = :id)",
)
EXECUTIONS_BY_DAY = Query(
    "scripts.executions_by_day",
    "select day, sum(executions) from execution_days where script_id = :id and day >= :since group by day",
)


def _script(row: Row) -> Script:
    return Script(**values_of(Script, row, flags=_FLAGS))


async def find(db: Database | Transaction, script_id: str) -> Script | None:
    row = await db.fetch_one(FIND, id=script_id)
    return None if row is None else _script(row)


async def find_owned(db: Database | Transaction, script_id: str, account_id: str) -> Script | None:
    """The script if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=script_id, account_id=account_id)
    return None if row is None else _script(row)


async def list_of_project(db: Database | Transaction, project_id: str, *, offset: int, limit: int) -> list[Script]:
    """A page of a project's scripts, oldest first."""
    return [_script(row) for row in await db.fetch_all(LIST, project_id=project_id, offset=offset, limit=limit)]


async def insert(tx: Transaction, script: Script) -> None:
    await tx.execute(INSERT, **msgspec.structs.asdict(script))


async def save_settings(tx: Transaction, script: Script) -> bool:
    """Write what a developer may change; build, loader and counters are left alone. False when the script is gone."""
    values = {name: getattr(script, name) for name in ("id", *_SETTINGS)}
    return await tx.execute(SAVE_SETTINGS, **values) == 1


async def remove(tx: Transaction, script_id: str) -> bool:
    """Remove the script with its builds and loaders; its executions stay counted in the project's total."""
    await tx.execute(KEEP_EXECUTIONS, id=script_id)
    return await tx.execute(REMOVE, id=script_id) == 1


async def executions_by_day(db: Database | Transaction, script_id: str, *, since: str) -> dict[str, int]:
    """Executions per UTC day (`YYYY-MM-DD`) from `since` on; days without any are missing."""
    rows = await db.fetch_all(EXECUTIONS_BY_DAY, id=script_id, since=since)
    return {day: int(executions) for day, executions in rows}
