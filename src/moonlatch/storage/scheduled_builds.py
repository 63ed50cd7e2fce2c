"""Builds that are to be published later. Decides nothing."""

# ruff: noqa: S608 -- what is put into the statements is this module's own list of columns
from __future__ import annotations

import msgspec

from moonlatch.licensing.rollout import Step
from moonlatch.storage.columns import assigned, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction
from moonlatch.storage.rollouts import steps_of_text, text_of_steps


class ScheduledBuild(msgspec.Struct, frozen=True, kw_only=True):
    """When a build is to be published, and to whom: at once to a channel, or as a rollout by steps. `publish_at` in Unix milliseconds."""

    script_id: str
    build: int
    channel: str
    steps: tuple[Step, ...] | None = None
    publish_at: int


_COLUMNS = columns_of(ScheduledBuild)
_SET = columns_of(ScheduledBuild, without=("script_id", "build"))
_LISTED = listed(_COLUMNS)

PUT = Query(
    "scheduled_builds.put",
    f"insert into scheduled_builds ({_LISTED}) values ({placed(_COLUMNS)}) "
    f"on conflict (script_id, build) do update set {assigned(_SET)}",
)
REMOVE = Query(
    "scheduled_builds.remove", "delete from scheduled_builds where script_id = :script_id and build = :build"
)
TAKE_OFF = Query(
    "scheduled_builds.take_off",
    "delete from scheduled_builds where script_id = :script_id and build = :build and channel = :channel",
)
LIST = Query(
    "scheduled_builds.list",
    f"select {_LISTED} from scheduled_builds where script_id = :script_id order by publish_at, build",
)
DUE = Query(
    "scheduled_builds.due",
    "select d.script_id, d.build, p.account_id from scheduled_builds d join scripts s on s.id = d.script_id "
    "join projects p on p.id = s.project_id where d.publish_at <= :now order by d.publish_at, d.build limit :most",
)


async def put(tx: Transaction, scheduled: ScheduledBuild) -> None:
    """Write when a build is to be published, in place of what was written before."""
    steps = None if scheduled.steps is None else text_of_steps(scheduled.steps)
    await tx.execute(PUT, **(msgspec.structs.asdict(scheduled) | {"steps": steps}))


async def remove(tx: Transaction, script_id: str, build: int) -> bool:
    """Let a build be published at no time. False where it was not to be."""
    return await tx.execute(REMOVE, script_id=script_id, build=build) == 1


async def take_off(tx: Transaction, script_id: str, build: int, *, channel: str) -> None:
    """As `remove`, where it was to be published to that channel."""
    await tx.execute(TAKE_OFF, script_id=script_id, build=build, channel=channel)


async def list_of_script(db: Database | Transaction, script_id: str) -> list[ScheduledBuild]:
    """What is to be published of a script, the first of it first."""
    return [_scheduled(row) for row in await db.fetch_all(LIST, script_id=script_id)]


async def due(db: Database | Transaction, *, now: int, most: int) -> list[tuple[str, int, str]]:
    """Script, build and account of what is due, what waits longest first."""
    return [(row[0], int(row[1]), row[2]) for row in await db.fetch_all(DUE, now=now, most=most)]


def _scheduled(row: Row) -> ScheduledBuild:
    values = values_of(ScheduledBuild, row)
    values["steps"] = None if values["steps"] is None else steps_of_text(values["steps"])
    return ScheduledBuild(**values)
