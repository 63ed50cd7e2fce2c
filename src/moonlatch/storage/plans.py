"""Writes what a start has to know of a script's channels, pins and rollout into the script's own row, after every change of one."""

from __future__ import annotations

from moonlatch.crypto import new_id
from moonlatch.licensing.rollout import Plan, Share, text_of
from moonlatch.storage.interface import Database, Query, Transaction
from moonlatch.storage.rollouts import find_open

CHANNELS = Query("plans.channels", "select name, build from channels where script_id = :script_id order by name")
HAS_PINS = Query("plans.has_pins", "select 1 from pins where script_id = :script_id limit 1")
SET = Query("plans.set", "update scripts set plan = :plan where id = :script_id")


async def channels_of(db: Database | Transaction, script_id: str) -> dict[str, int]:
    """The build of each channel but `stable`, by its name."""
    return {name: int(build) for name, build in await db.fetch_all(CHANNELS, script_id=script_id)}


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
