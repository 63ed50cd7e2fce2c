"""Rollout endpoints: give a build to a part of the keys, step by step, and stop that."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import ConfigDict, Field

from moonlatch.licensing.comparison import FEWEST, SETTLED_MS, Arm, next_look, totals
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import OPEN, WHOLE, RolloutState
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import BUILD_CURRENT, BUILD_YANKED, NO_SUCH_BUILD, BuildNumber
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, Empty
from moonlatch.management.owned import OwnedRollout, OwnedScript
from moonlatch.management.paging import PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.rollout_fields import EXAMPLE_STEPS, StepFields, Steps, steps_of
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import rollouts as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import rollout_starts, rollouts, scripts
from moonlatch.storage.rollouts import Rollout

router = resource_router("scripts")

ROLLOUT_OPEN = DocumentedError(4, Reason.ROLLOUT_OPEN, 409, {"rollout": "ROLLOUT_ID"})
UPDATE_REQUIRED = DocumentedError(5, Reason.UPDATE_REQUIRED, 409)
ROLLOUT_STATE = DocumentedError(1, Reason.ROLLOUT_STATE, 409, {"state": RolloutState.HALTED})


class StartRollout(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"build": 4, "steps": EXAMPLE_STEPS}]})

    build: Annotated[BuildNumber, Field(description="number of the build")]
    steps: Annotated[Steps, Field(description="each gives the build to more keys than the one before")]


class ResumeRollout(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"confirm": True}]})

    confirm: Annotated[Literal[True], Field(description="true: the build is to be given to people again")]


class StartsView(Reply):
    """Starts that are compared: the first of each key or device, two minutes after it at the earliest."""

    model_config = example(starts=130, errors=2, silent=4)

    starts: int
    errors: int = Field(description="those that told of an error within the first minute")
    silent: int = Field(description="those of which nothing was heard")

    @classmethod
    def of(cls, arm: Arm) -> StartsView:
        return cls(starts=arm.starts, errors=arm.errors, silent=arm.silent)


class HaltedBecause(Reply):
    """The numbers that halted a rollout by itself."""

    model_config = example(
        because="errors",
        p_value=0.000071,
        new={"starts": 200, "errors": 21, "silent": 6},
        control={"starts": 602, "errors": 7, "silent": 15},
        error="ERROR_ID",
    )

    because: str = Field(
        description="`errors`: starts that told of one; `failures`: those, and starts of which nothing was heard"
    )
    p_value: float = Field(description="how likely such a difference is between builds that are alike")
    new: StartsView
    control: StartsView
    error: str | None = Field(description="id of the error that most starts with the new build had first")


class RolloutView(Reply):
    """A build on its way to everybody. Times in Unix milliseconds."""

    model_config = example(
        id="ROLLOUT_ID",
        script_id="SCRIPT_ID",
        build=4,
        state="rolling",
        steps=EXAMPLE_STEPS,
        step=0,
        basis_points=500,
        step_since=1_770_624_500_000,
        next_at=1_770_628_100_000,
        created_at=1_770_624_500_000,
        ended_at=None,
        halted_because=None,
    )

    id: str
    script_id: str
    build: int
    state: str = Field(description="`rolling`, `paused`, `halted`, `finished` or `superseded`")
    steps: list[StepFields]
    step: int = Field(description="which of them, from 0")
    basis_points: int = Field(description="the part of keys that is given the build now")
    step_since: int
    next_at: int | None = Field(description="when the next step is taken, or it is finished; null: not by itself")
    created_at: int
    ended_at: int | None
    halted_because: HaltedBecause | None = Field(description="why it was halted by itself; null where it was not")

    @classmethod
    def of(cls, rollout: Rollout) -> RolloutView:
        return cls(
            id=rollout.id,
            script_id=rollout.script_id,
            build=rollout.build,
            state=rollout.state,
            steps=[StepFields(basis_points=step.basis_points, minutes=step.minutes) for step in rollout.steps],
            step=rollout.step,
            basis_points=rollout.given_basis_points,
            step_since=rollout.step_since,
            next_at=rollout.next_at,
            created_at=rollout.created_at,
            ended_at=rollout.ended_at,
            halted_because=None
            if rollout.halted_because is None
            else HaltedBecause.model_validate_json(rollout.halted_because),
        )


class RolloutReply(Success):
    rollout: RolloutView


class ComparisonView(Reply):
    """What a rollout goes by besides the time of its steps: whether its build breaks more starts than the one it is to replace."""

    model_config = example(
        by="starts",
        reason=None,
        new={"starts": 130, "errors": 2, "silent": 4},
        control={"starts": 391, "errors": 5, "silent": 11},
        looks=2,
        next_look=200,
    )

    by: str = Field(
        description="`starts`: it is halted by itself where its build breaks more; `time`: its steps go by their minutes alone"
    )
    reason: str | None = Field(description="why it goes by time alone")
    new: StartsView
    control: StartsView = Field(description="of the build it is to replace, at the same steps")
    looks: int = Field(description="how often they were compared")
    next_look: int | None = Field(
        description="at how many starts of the new build they are compared next; null after the last"
    )


class OneRolloutReply(RolloutReply):
    comparison: ComparisonView | None = Field(description="null for one that is over")


class RolloutsReply(Success):
    rollouts: list[RolloutView]


@router.get(
    "/scripts/{script_id}/rollouts", summary="List a script's rollouts", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_rollouts(
    script: OwnedScript, page: Annotated[PageQuery, Query()], backend: CurrentBackend
) -> RolloutsReply:
    """A page of rollouts, newest first. At most one is open: `rolling`, `paused` or `halted`."""
    found = await rollouts.list_of_script(backend.database, script.id, offset=page.offset, limit=page.size)
    return RolloutsReply(rollouts=[RolloutView.of(rollout) for rollout in found])


@router.post(
    "/scripts/{script_id}/rollouts",
    summary="Start a rollout",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, BUILD_CURRENT, ROLLOUT_OPEN, UPDATE_REQUIRED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def start_rollout(
    script: OwnedScript, wanted: Annotated[StartRollout, Depends(JsonBody(StartRollout))], call: CurrentCall
) -> RolloutReply:
    """From the next start on, a part of the keys is given the build, and more of them step by step; after a last step of all it is current."""
    return await call.change(
        lambda change: operations.start(change, script.id, wanted.build, steps_of(wanted.steps) or ()),
        _shown,
        version=operations.version,
    )


@router.get("/rollouts/{rollout_id}", summary="Get a rollout", openapi_extra=needs(Permission.SCRIPTS_READ))
async def get_rollout(rollout: OwnedRollout, call: CurrentReading) -> OneRolloutReply:
    """How far it is, and how starts with its build compare with others."""
    call.tag(operations.version(rollout))
    return OneRolloutReply(rollout=RolloutView.of(rollout), comparison=await _comparison(call, rollout))


async def _comparison(call: CurrentReading, rollout: Rollout) -> ComparisonView | None:
    script = await scripts.find(call.backend.database, rollout.script_id)
    if script is None or rollout.state not in OPEN:
        return None
    until = call.backend.world.clock() - SETTLED_MS
    seen = totals(await rollout_starts.counted(call.backend.database, rollout.id, until=until))
    reason = None
    if not script.report_errors:
        reason = "the script does not report errors: `report_errors` is off"
    elif min(seen.new.starts, seen.control.starts) < FEWEST:
        reason = f"fewer than {FEWEST} starts with either build are known so far"
    elif rollout.basis_points == WHOLE:
        reason = "everybody is given the build: there is nothing to compare it with"
    return ComparisonView(
        by="starts" if reason is None else "time",
        reason=reason,
        new=StartsView.of(seen.new),
        control=StartsView.of(seen.control),
        looks=rollout.looks,
        next_look=next_look(rollout.looks),
    )


@router.post(
    "/rollouts/{rollout_id}/pause",
    summary="Pause a rollout",
    responses=refusing(ACCOUNT_EXPIRED, ROLLOUT_STATE),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def pause_rollout(
    rollout: OwnedRollout, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> RolloutReply:
    """Whoever is given the build stays so, and nobody else is."""
    return await call.change(lambda change: operations.pause(change, rollout.id), _shown, version=operations.version)


@router.post(
    "/rollouts/{rollout_id}/resume",
    summary="Resume a rollout",
    responses=refusing(ACCOUNT_EXPIRED, ROLLOUT_STATE),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def resume_rollout(
    rollout: OwnedRollout, _sure: Annotated[ResumeRollout, Depends(JsonBody(ResumeRollout))], call: CurrentCall
) -> RolloutReply:
    """One that was paused or halted goes on at its step, whose time begins anew."""
    return await call.change(lambda change: operations.resume(change, rollout.id), _shown, version=operations.version)


@router.post(
    "/rollouts/{rollout_id}/finish",
    summary="Finish a rollout",
    responses=refusing(ACCOUNT_EXPIRED, ROLLOUT_STATE),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def finish_rollout(
    rollout: OwnedRollout, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> RolloutReply:
    """Its build becomes the current one now."""
    return await call.change(lambda change: operations.finish(change, rollout.id), _shown, version=operations.version)


@router.post(
    "/rollouts/{rollout_id}/halt",
    summary="Halt a rollout",
    responses=refusing(ACCOUNT_EXPIRED, ROLLOUT_STATE),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def halt_rollout(
    rollout: OwnedRollout, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> RolloutReply:
    """From the next start on everybody is given the current build again; with `kick_outdated`, copies of the other are stopped."""
    return await call.change(lambda change: operations.halt(change, rollout.id), _shown, version=operations.version)


def _shown(rollout: Rollout) -> RolloutReply:
    return RolloutReply(rollout=RolloutView.of(rollout))
