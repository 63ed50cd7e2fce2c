"""What can be done about a rollout: start, pause, resume, halt and finish it; and what time and other releases do to it."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.clock import MINUTE_MS
from moonlatch.licensing.comparison import FEWEST, SETTLED_MS, Halting, judge, looks_due, totals
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import (
    MAX_STEP_MINUTES,
    MAX_STEPS,
    OPEN,
    SERVING,
    STABLE,
    WHOLE,
    RolloutState,
    Step,
)
from moonlatch.operations.changing import Change, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.operations.scripts import require_servable, resource
from moonlatch.operations.scripts import version as script_version
from moonlatch.storage import builds, plans, rollout_starts, rollouts, scheduled_builds
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.rollouts import Rollout
from moonlatch.storage.scripts import Script

_COUNTED = frozenset({"looks"})
_ROLLING = frozenset({RolloutState.ROLLING})
_STOPPED = frozenset({RolloutState.PAUSED, RolloutState.HALTED})


def version(rollout: Rollout) -> str:
    """What a rollout is at: another one after every step and every change of how it stands."""
    return version_of(rollout, without=_COUNTED)


async def start(change: Change, script_id: str, number: int, steps: tuple[Step, ...]) -> Rollout:
    """Give a build that is kept to a part of the keys, and to more of them step by step.

    A rollout that was halted makes room. Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.
    """
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    script = await change.script(script_id)
    await change.require_active()
    change.expect(script_version(script))
    check_steps(steps)
    if script.build == 0:
        raise Refused(Reason.UPDATE_REQUIRED)
    await require_servable(change, script, number)
    await require_no_rollout(change.tx, script_id)
    return await begin(change, script, number, steps)


async def pause(change: Change, rollout_id: str) -> Rollout:
    """Stay at the step there is: whoever is given the build stays so. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _stand(change, rollout_id, RolloutState.PAUSED, EventKind.SCRIPT_ROLLOUT_PAUSED, _ROLLING)


async def halt(change: Change, rollout_id: str) -> Rollout:
    """Give the build to nobody, from the next start on. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _stand(change, rollout_id, RolloutState.HALTED, EventKind.SCRIPT_ROLLOUT_HALTED, SERVING)


async def resume(change: Change, rollout_id: str) -> Rollout:
    """Go on with the step there was, whose time begins anew. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _stand(change, rollout_id, RolloutState.ROLLING, EventKind.SCRIPT_ROLLOUT_RESUMED, _STOPPED)


async def finish(change: Change, rollout_id: str) -> Rollout:
    """Make the build the current one now. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    rollout, script = await _taken(change, rollout_id, SERVING)
    return await _finish(change, rollout, script)


async def advance(change: Change, rollout_id: str) -> Rollout | None:
    """Take the next step of a rollout that is due; the last one of all keys is followed by its end. None: it is not due any more.

    For a job: the passing of time asks nobody.
    """
    rollout = await rollouts.find(change.tx, rollout_id)
    if rollout is None or rollout.next_at is None or rollout.next_at > change.now:
        return None
    script = await change.script(rollout.script_id)
    if rollout.step + 1 == len(rollout.steps):
        return await _finish(change, rollout, script)
    return await _write(
        change,
        script,
        EventKind.SCRIPT_ROLLOUT_ADVANCED,
        before=rollout,
        after=_at_step(rollout, rollout.step + 1, now=change.now),
        basis_points=(rollout.basis_points, rollout.steps[rollout.step + 1].basis_points),
    )


async def compare(change: Change, rollout_id: str) -> Halting | None:
    """Take a look at a rollout's starts that is due: halt it where its build breaks more than the one it is to replace, and say why.

    For a job, as `advance`.
    """
    rollout = await rollouts.find(change.tx, rollout_id)
    if rollout is None or not rollout.is_compared:
        return None
    script = await change.script(rollout.script_id)
    steps = await rollout_starts.counted(change.tx, rollout.id, until=change.now - SETTLED_MS)
    seen = totals(steps)
    due = looks_due(seen.new.starts)
    if not script.report_errors or due <= rollout.looks or seen.control.starts < FEWEST:
        return None
    halting = judge(steps)
    if halting is None:
        await rollouts.save(change.tx, msgspec.structs.replace(rollout, looks=due))
        await plans.write(change.tx, script.id)
        return None
    because: dict[str, Any] = {
        "because": halting.reason,
        "p_value": float(f"{halting.p_value:.2g}"),
        "new": msgspec.structs.asdict(halting.new),
        "control": msgspec.structs.asdict(halting.control),
        "error": await rollout_starts.most_blamed(change.tx, rollout.id),
    }
    halted = msgspec.structs.replace(
        rollout,
        state=RolloutState.HALTED,
        next_at=None,
        looks=due,
        halted_because=msgspec.json.encode(because).decode(),
    )
    await _write(
        change,
        script,
        EventKind.SCRIPT_ROLLOUT_HALTED,
        before=rollout,
        after=halted,
        **{name: (None, value) for name, value in because.items() if value is not None},
    )
    return halting


async def require_no_rollout(db: Database | Transaction, script_id: str) -> None:
    """Raise Refused where a rollout of the script is rolling or paused; one that is halted makes room."""
    found = await rollouts.find_open(db, script_id)
    if found is not None and found.state in SERVING:
        raise Refused(Reason.ROLLOUT_OPEN, rollout=found.id)


def check_steps(steps: tuple[Step, ...]) -> None:
    """Raise Invalid for steps that make no rollout."""
    if not 1 <= len(steps) <= MAX_STEPS:
        raise Invalid("steps", f"must be 1 to {MAX_STEPS}")
    before = 0
    for step in steps:
        if not before < step.basis_points <= WHOLE:
            raise Invalid("steps", f"must give the build to more keys each, up to {WHOLE} basis points: 5 % are 500")
        if not 0 <= step.minutes <= MAX_STEP_MINUTES:
            raise Invalid("steps", f"must take 0 to {MAX_STEP_MINUTES} minutes each")
        before = step.basis_points


async def begin(change: Change, script: Script, number: int, steps: tuple[Step, ...]) -> Rollout:
    """Begin a rollout of a build that may be served, in the place of one that is open. Raises Refused for the current build."""
    if number == script.build:
        raise Refused(Reason.BUILD_CURRENT)
    await give_way(change, script)
    rollout = Rollout(
        id=crypto.new_id(),
        script_id=script.id,
        build=number,
        state=RolloutState.ROLLING,
        steps=steps,
        step=0,
        step_since=change.now,
        salt=crypto.new_id(),
        created_at=change.now,
        counted_since=change.now,
    )
    rollout = _at_step(rollout, 0, now=change.now)
    await rollouts.insert(change.tx, rollout)
    await scheduled_builds.take_off(change.tx, script.id, number, channel=STABLE)
    _tell(change, script, rollout, EventKind.SCRIPT_ROLLOUT_STARTED, {"basis_points": (0, rollout.basis_points)})
    await plans.write(change.tx, script.id)
    return rollout


async def serve(change: Change, script: Script, number: int) -> None:
    """Make a build the current one. A rollout is over by that, and the build is not to be published later."""
    await builds.serve(change.tx, script.id, number)
    await scheduled_builds.take_off(change.tx, script.id, number, channel=STABLE)
    await give_way(change, script, serving=number)


async def give_way(change: Change, script: Script, *, serving: int | None = None, of: int | None = None) -> None:
    """End the script's open rollout, if there is one: `serving` is the build that became current, `of` the only build it may be of."""
    rollout = await rollouts.find_open(change.tx, script.id)
    if rollout is None or of not in (None, rollout.build):
        return
    state, kind = RolloutState.SUPERSEDED, EventKind.SCRIPT_ROLLOUT_SUPERSEDED
    if rollout.build == serving:
        state, kind = RolloutState.FINISHED, EventKind.SCRIPT_ROLLOUT_FINISHED
    await _write(change, script, kind, before=rollout, after=_ended(rollout, state, now=change.now))


async def _stand(
    change: Change,
    rollout_id: str,
    state: RolloutState,
    kind: EventKind,
    before: frozenset[RolloutState],
) -> Rollout:
    rollout, script = await _taken(change, rollout_id, before)
    changed = msgspec.structs.replace(rollout, state=state, next_at=None)
    if state is RolloutState.ROLLING:
        changed = _at_step(changed, rollout.step, now=change.now)
    if rollout.state is RolloutState.HALTED:
        # Whoever goes on knows what was; only what comes is held against the build.
        await rollout_starts.forget(change.tx, rollout.id)
        changed = msgspec.structs.replace(changed, looks=0, counted_since=change.now, halted_because=None)
    return await _write(change, script, kind, before=rollout, after=changed)


async def _taken(change: Change, rollout_id: str, states: frozenset[RolloutState]) -> tuple[Rollout, Script]:
    """A rollout of the account that the actor reaches, which stands in one of these ways, and its script."""
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    found = await rollouts.find_owned(change.tx, rollout_id, change.actor.account_id)
    if found is None or not change.actor.reaches(found[1]):
        raise NotFound("rollout")
    rollout = found[0]
    await change.require_active()
    change.expect(version(rollout))
    if rollout.state not in states:
        raise Refused(Reason.ROLLOUT_STATE, state=rollout.state)
    return rollout, await change.script(rollout.script_id)


async def _finish(change: Change, rollout: Rollout, script: Script) -> Rollout:
    await builds.serve(change.tx, script.id, rollout.build)
    return await _write(
        change,
        script,
        EventKind.SCRIPT_ROLLOUT_FINISHED,
        before=rollout,
        after=_ended(rollout, RolloutState.FINISHED, now=change.now),
        build=(script.build, rollout.build),
    )


def _at_step(rollout: Rollout, step: int, *, now: int) -> Rollout:
    is_last = step + 1 == len(rollout.steps)
    stays = is_last and rollout.steps[step].basis_points < WHOLE
    return msgspec.structs.replace(
        rollout,
        step=step,
        step_since=now,
        next_at=None if stays else now + rollout.steps[step].minutes * MINUTE_MS,
    )


def _ended(rollout: Rollout, state: RolloutState, *, now: int) -> Rollout:
    assert state not in OPEN
    return msgspec.structs.replace(rollout, state=state, next_at=None, ended_at=now)


async def _write(
    change: Change,
    script: Script,
    kind: EventKind,
    *,
    before: Rollout,
    after: Rollout,
    **changes: tuple[Any, Any],
) -> Rollout:
    await rollouts.save(change.tx, after)
    await plans.write(change.tx, script.id)
    state = {} if before.state is after.state else {"state": (before.state, after.state)}
    _tell(change, script, after, kind, {**state, **changes})
    return after


def _tell(
    change: Change, script: Script, rollout: Rollout, kind: EventKind, changes: dict[str, tuple[Any, Any]]
) -> None:
    """Leave an event, and have the running copies told."""
    what = {"rollout": (None, rollout.id), "build": (None, rollout.build)}
    change.record(kind, resource(script), project_id=script.project_id, changes=what | changes)
    change.tell(lambda live: live.script_changed(script.id))
