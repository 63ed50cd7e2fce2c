"""Writes what a start has to know of a script's channels, pins and rollout into the script's own row, after every change of one."""

from __future__ import annotations

from moonlatch.crypto import new_id
from moonlatch.licensing.rollout import Plan, Share, text_of
from moonlatch.storage.interface import Database, Query, Transaction
from moonlatch.storage.rollouts import find_open

CHANNELS = Query("plans.channels", "select name, build from channels where script_id = :script_id order by name")
HAS_PINS = Query(
    "plans.has_pins",
    "select 1 where exists (select 1 from pins where script_id = :script_id) or exists (select 1 from scripts s "
    "join discord_links l on l.project_id = s.project_id where s.id = :script_id and l.channels <> '{}')",
)
OF_PROJECT = Query("plans.of_project", "select id from scripts where project_id = :project_id order by id")
SET = Query("plans.set", "update scripts set plan = :plan where id = :script_id")


async def channels_of(db: Database | Transaction, script_id: str) -> dict[str, int]:
    """The build of each channel but `stable`, by its name."""
    return {name: int(build) for name, build in await db.fetch_all(CHANNELS, script_id=script_id)}


async def write_of_project(tx: Transaction, project_id: str) -> None:
    """Write the plans of all of a project's scripts anew."""
    for row in await tx.fetch_all(OF_PROJECT, project_id=project_id):
        await write(tx, row[0])


async def write(tx: Transaction, script_id: str) -> None:
    """Write a script's plan anew; a script that serves everybody its current build has none."""
    has_pins = await tx.fetch_one(HAS_PINS, script_id=script_id) is not None
    rollout = await find_open(tx, script_id)
    share = None
    if rollout is not None and rollout.given_basis_points:
        share = Share(
            build=rollout.build,
            basis_points=rollout.given_basis_points,
            salt=rollout.salt,
            id=rollout.id,
            is_compared=rollout.is_compared,
        )
    plan = None
    if has_pins or share is not None:
        channels = await channels_of(tx, script_id)
        plan = text_of(Plan(channels=channels, has_pins=has_pins, rollout=share, version=new_id()))
    await tx.execute(SET, script_id=script_id, plan=plan)
