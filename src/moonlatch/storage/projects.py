"""Projects: their settings, and the execution counts of all their scripts together."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from moonlatch.clock import DAY_MS
from moonlatch.licensing.sharing import SharingRules
from moonlatch.storage.columns import assigned, columns_of, flags_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """One project of an account. Times and the cooldown in (Unix) milliseconds; `total_executions` is only read.

    `engine` protects the scripts that name no other; `luraph_options` are those of its jobs with that service, by id.
    `require_fingerprint` refuses starts whose host does not tell which device it runs on; `max_instances` holds for keys without their own.
    So does `max_devices`. `sharing` is what is taken for a shared key.
    """

    id: str
    account_id: str
    name: str
    fingerprint_reset_cooldown: int = DAY_MS
    allow_fingerprint_resets: bool = True
    delete_expired_users: bool = False
    execution_webhook: str | None = None
    information_webhook: str | None = None
    blacklist_webhook: str | None = None
    created_at: int
    engine: str = "embedded"
    luraph_options: dict[str, str | bool] = {}
    require_fingerprint: bool = True
    max_instances: int | None = None
    sharing: SharingRules = SharingRules()
    max_devices: int = 1
    total_executions: int = 0


class ScriptDays(msgspec.Struct, kw_only=True):
    """One script's executions per UTC day; days without any are missing."""

    script_id: str
    name: str
    days: dict[str, int]


_STORED = columns_of(Project, without=("total_executions",))
_SETTINGS = columns_of(Project, without=("id", "account_id", "created_at", "total_executions"))
_FLAGS = flags_of(Project)
_COLUMNS = (
    f"{listed(_STORED)}, executions_of_removed_scripts + "
    "coalesce((select sum(s.total_executions) from scripts s where s.project_id = projects.id), 0)"
)

FIND = Query("projects.find", f"select {_COLUMNS} from projects where id = :id")
FIND_OWNED = Query(
    "projects.find_owned", f"select {_COLUMNS} from projects where id = :id and account_id = :account_id"
)
LIST = Query(
    "projects.list",
    f"select {_COLUMNS} from projects where account_id = :account_id "
    "order by created_at, id limit :limit offset :offset",
)
LIST_SOME = Query(
    "projects.list_some",
    f"select {_COLUMNS} from projects where account_id = :account_id "
    "and cast(:ids as text) like '%\"' || id || '\"%' order by created_at, id limit :limit offset :offset",
)
INSERT = Query("projects.insert", f"insert into projects ({listed(_STORED)}) values ({placed(_STORED)})")
SAVE = Query(
    "projects.save",
    f"update projects set {assigned(_SETTINGS)}, "
    "delete_expired_users_since = case when :delete_expired_users and not delete_expired_users then :now "
    "else delete_expired_users_since end where id = :id",
)
REMOVE = Query("projects.remove", "delete from projects where id = :id")
EXECUTIONS_BY_DAY = Query(
    "projects.executions_by_day",
    "select day, sum(executions) from execution_days where project_id = :id and day >= :since group by day",
)
EXECUTIONS_BY_SCRIPT = Query(
    "projects.executions_by_script",
    "select d.script_id, d.day, sum(d.executions) from execution_days d "
    "where d.script_id in (select id from scripts where project_id = :id) and d.day >= :since group by d.script_id, d.day",
)
# Most projects never had a script removed that was ever executed: in those nothing is looked through.
EXECUTIONS_OF_REMOVED_SCRIPTS = Query(
    "projects.executions_of_removed_scripts",
    """
    select d.day, sum(d.executions) from execution_days d
    where d.project_id = (select id from projects where id = :id and executions_of_removed_scripts > 0)
        and d.day >= :since and d.script_id not in (select id from scripts where project_id = :id)
    group by d.day
    """,
)
SCRIPT_NAMES = Query(
    "projects.script_names", "select id, name from scripts where project_id = :id order by created_at, id"
)
# Those of the scripts that are there lie beside each other; of those that were removed see above.
EXECUTORS = Query(
    "projects.executors",
    """
    select counted.executor, sum(counted.executions) from (
        select d.executor, d.executions from execution_days d
        where d.script_id in (select id from scripts where project_id = :id) and d.day >= :since
        union all
        select d.executor, d.executions from execution_days d
        where d.project_id = (select id from projects where id = :id and executions_of_removed_scripts > 0)
            and d.day >= :since and d.script_id not in (select id from scripts where project_id = :id)
    ) counted
    group by counted.executor order by 2 desc, counted.executor
    """,
)


def _project(row: Row) -> Project:
    values = values_of(Project, row, flags=_FLAGS)
    values["luraph_options"] = msgspec.json.decode(values["luraph_options"], type=dict[str, str | bool])
    values["sharing"] = msgspec.json.decode(values["sharing"], type=SharingRules)
    values["total_executions"] = int(values["total_executions"])
    return Project(**values)


def _stored(project: Project) -> dict[str, Any]:
    values = {name: getattr(project, name) for name in _STORED}
    for name in ("luraph_options", "sharing"):
        values[name] = msgspec.json.encode(values[name]).decode()
    return values


async def find(db: Database | Transaction, project_id: str) -> Project | None:
    row = await db.fetch_one(FIND, id=project_id)
    return None if row is None else _project(row)


async def find_owned(db: Database | Transaction, project_id: str, account_id: str) -> Project | None:
    """The project if it is there and belongs to the account; the two refusals cannot be told apart."""
    row = await db.fetch_one(FIND_OWNED, id=project_id, account_id=account_id)
    return None if row is None else _project(row)


async def list_of_account(
    db: Database | Transaction, account_id: str, *, only: Collection[str] | None = None, offset: int, limit: int
) -> list[Project]:
    """A page of an account's projects, oldest first; `only` those of these ids, where they are given."""
    page = {"account_id": account_id, "offset": offset, "limit": limit}
    if only is None:
        rows = await db.fetch_all(LIST, **page)
    else:
        rows = await db.fetch_all(LIST_SOME, ids=msgspec.json.encode(sorted(only)).decode(), **page)
    return [_project(row) for row in rows]


async def insert(tx: Transaction, project: Project) -> None:
    await tx.execute(INSERT, **_stored(project))


async def save(tx: Transaction, project: Project, *, now: int) -> bool:
    """Write what a developer may change, at `now` (Unix milliseconds). False when the project is gone."""
    stored = _stored(project)
    return await tx.execute(SAVE, **{name: stored[name] for name in ("id", *_SETTINGS)}, now=now) == 1


async def remove(tx: Transaction, project_id: str) -> bool:
    """Remove the project with its scripts, users and counters."""
    return await tx.execute(REMOVE, id=project_id) == 1


async def executions_by_day(db: Database, project_id: str, *, since: str) -> dict[str, int]:
    """Executions per UTC day (`YYYY-MM-DD`) of all scripts, removed ones too; days without any are missing.

    Raises Unavailable as `Database.search` does.
    """
    rows = await db.search(EXECUTIONS_BY_DAY, id=project_id, since=since)
    return {day: int(executions) for day, executions in rows}


async def executions_by_script(db: Database, project_id: str, *, since: str) -> tuple[list[ScriptDays], dict[str, int]]:
    """Executions per script and UTC day, oldest script first, and per day of all of them and of those removed since.

    A script without any has no days. Raises Unavailable as `Database.search` does.
    """
    names = await db.fetch_all(SCRIPT_NAMES, id=project_id)
    by_script, of_removed = await asyncio.gather(
        db.search(EXECUTIONS_BY_SCRIPT, id=project_id, since=since),
        db.search(EXECUTIONS_OF_REMOVED_SCRIPTS, id=project_id, since=since),
    )
    total = Counter({day: int(executions) for day, executions in of_removed})
    days: dict[str, dict[str, int]] = {script_id: {} for script_id, _ in names}
    for script_id, day, executions in by_script:
        total[day] += int(executions)
        if script_id in days:  # or it has come since
            days[script_id][day] = int(executions)
    return [ScriptDays(script_id=script_id, name=name, days=days[script_id]) for script_id, name in names], total


async def executors(db: Database, project_id: str, *, since: str) -> dict[str, int]:
    """Executions per executor since a UTC day, the most used first. Raises Unavailable as `Database.search` does."""
    rows = await db.search(EXECUTORS, id=project_id, since=since)
    return {executor: int(executions) for executor, executions in rows}
