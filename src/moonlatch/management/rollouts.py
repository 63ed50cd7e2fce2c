"""Rollout endpoints: give a build to a part of the keys, step by step, and stop that."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import RolloutState
from moonlatch.management.auth import OwnedRollout, OwnedScript
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import BUILD_CURRENT, BUILD_YANKED, NO_SUCH_BUILD, BuildNumber
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, Empty
from moonlatch.management.paging import PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.rollout_fields import EXAMPLE_STEPS, StepFields, Steps, steps_of
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import rollouts as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import rollouts
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
        )


class RolloutReply(Success):
    rollout: RolloutView


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
async def get_rollout(rollout: OwnedRollout, call: CurrentReading) -> RolloutReply:
    """How far it is."""
    call.tag(operations.version(rollout))
    return _shown(rollout)


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
