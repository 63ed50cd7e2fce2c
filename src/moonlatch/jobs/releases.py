"""Takes the steps of rollouts, compares their starts, and publishes scheduled builds when they are due. Each is one transaction that looks again: any number of
processes may do so at once, and be killed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from moonlatch.jobs.periodic import TakesTurn, run_periodically
from moonlatch.licensing.comparison import SETTLED_MS, looks_due
from moonlatch.operations import rollouts as rollout_operations
from moonlatch.operations import scheduling
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.operations.refusals import NotFound
from moonlatch.storage import rollout_starts, rollouts, scheduled_builds

EVERY_SECONDS = 5.0
MOST = 500
"""Of each that are looked at in one run; those that wait longest come first."""

_JOB = "releases"

logger = logging.getLogger(__name__)


async def watch_releases(world: World, takes_turn: TakesTurn | None = None) -> None:
    """Do what is due every few seconds until cancelled."""
    await run_periodically(
        "releasing what is due", lambda: release_due(world), every_seconds=EVERY_SECONDS, takes_turn=takes_turn
    )


async def release_due(world: World) -> int:
    """Publish every build, halt every rollout that breaks starts and take every step that is due now; gives how many were. Raises StorageError where nothing can be read.

    One that fails is logged and keeps none of the others.
    """
    done, now = 0, world.clock()
    for script_id, number, account_id in await scheduled_builds.due(world.database, now=now, most=MOST):
        done += await _done(world, account_id, _publication(script_id, number))
    for rollout_id, account_id in await rollouts.compared(world.database, most=MOST):
        if await _has_starts_for_a_look(world, rollout_id, now=now):
            done += await _done(world, account_id, _comparison(rollout_id))
    for rollout_id, account_id in await rollouts.due(world.database, now=now, most=MOST):
        done += await _done(world, account_id, _step(rollout_id))
    return done


def _publication(script_id: str, number: int) -> Callable[[Change], Awaitable[bool]]:
    return lambda change: scheduling.publish_due(change, script_id, number)


async def _has_starts_for_a_look(world: World, rollout_id: str, *, now: int) -> bool:
    rollout = await rollouts.find(world.database, rollout_id)
    settled = await rollout_starts.number(world.database, rollout_id, is_new=True, until=now - SETTLED_MS)
    return rollout is not None and looks_due(settled) > rollout.looks


def _comparison(rollout_id: str) -> Callable[[Change], Awaitable[bool]]:
    async def look(change: Change) -> bool:
        return await rollout_operations.compare(change, rollout_id) is not None

    return look


def _step(rollout_id: str) -> Callable[[Change], Awaitable[bool]]:
    async def step(change: Change) -> bool:
        return await rollout_operations.advance(change, rollout_id) is not None

    return step


async def _done(world: World, account_id: str, operation: Callable[[Change], Awaitable[bool]]) -> bool:
    actor = Actor(account_id=account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)
    try:
        return await perform(world, actor, operation)
    except NotFound:
        return False  # its script was removed meanwhile
    except Exception:
        logger.exception("a release that was due failed; it is tried again")
        return False
