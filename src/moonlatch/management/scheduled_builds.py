"""Endpoints of builds that are to be published later."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import BUILD_CURRENT, BUILD_YANKED, NO_SUCH_BUILD, ChannelName
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import MAX_EXACT_INTEGER, Closed, Empty
from moonlatch.management.owned import OwnedScript
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.rollout_fields import StepFields, Steps, steps_of
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import FutureMs
from moonlatch.operations import scheduling as operations
from moonlatch.operations import scripts
from moonlatch.operations.refusals import Reason
from moonlatch.storage import scheduled_builds
from moonlatch.storage.scheduled_builds import ScheduledBuild

router = resource_router("scripts")

MAX_SCHEDULED = DocumentedError(4, Reason.MAX_SCHEDULED, 403)
UPDATE_REQUIRED = DocumentedError(5, Reason.UPDATE_REQUIRED, 409)
NOT_SCHEDULED = DocumentedError(1, Reason.NOT_SCHEDULED, 409)

Number = Annotated[int, Path(ge=1, le=MAX_EXACT_INTEGER, description="the build's number")]


class ScheduleBuild(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"publish_at": 4_102_444_800_000}]})

    publish_at: Annotated[FutureMs, Field(description="when it is published, in Unix milliseconds")]
    channel: Annotated[
        ChannelName | None, Field(description="whose keys are given it; null, or `stable`: it becomes the current one")
    ] = None
    steps: Annotated[
        Steps | None, Field(description="give it to a part of the keys first, step by step; null: to all at once")
    ] = None


class ScheduledBuildView(Reply):
    """A build that is to be published later. Times in Unix milliseconds."""

    model_config = example(build=4, channel="stable", steps=None, publish_at=1_770_624_500_000)

    build: int
    channel: str
    steps: list[StepFields] | None = Field(description="of the rollout that begins then; null: none does")
    publish_at: int

    @classmethod
    def of(cls, scheduled: ScheduledBuild) -> ScheduledBuildView:
        steps = scheduled.steps
        return cls(
            build=scheduled.build,
            channel=scheduled.channel,
            steps=None
            if steps is None
            else [StepFields(basis_points=step.basis_points, minutes=step.minutes) for step in steps],
            publish_at=scheduled.publish_at,
        )


class ScheduledBuildsReply(Success):
    scheduled: list[ScheduledBuildView]


@router.get(
    "/scripts/{script_id}/scheduled", summary="List scheduled builds", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_scheduled(script: OwnedScript, backend: CurrentBackend) -> ScheduledBuildsReply:
    """What is to be published of the script, the first of it first."""
    found = await scheduled_builds.list_of_script(backend.database, script.id)
    return ScheduledBuildsReply(scheduled=[ScheduledBuildView.of(one) for one in found])


@router.post(
    "/scripts/{script_id}/builds/{number}/schedule",
    summary="Schedule a build",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, BUILD_CURRENT, MAX_SCHEDULED, UPDATE_REQUIRED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def schedule_build(
    script: OwnedScript,
    number: Number,
    wanted: Annotated[ScheduleBuild, Depends(JsonBody(ScheduleBuild))],
    call: CurrentCall,
) -> Success:
    """A build that is kept is published then, within seconds. One that is scheduled already is moved."""
    audience = operations.Audience(
        channel=wanted.channel or STABLE, steps=steps_of(wanted.steps), publish_at=wanted.publish_at
    )
    return await call.change(lambda change: operations.schedule(change, script.id, number, audience), _done)


@router.post(
    "/scripts/{script_id}/builds/{number}/unschedule",
    summary="Take a build off its schedule",
    responses=refusing(ACCOUNT_EXPIRED, NOT_SCHEDULED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def unschedule_build(
    script: OwnedScript,
    number: Number,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    call: CurrentCall,
) -> Success:
    """It stays as it is, and is published at no time."""
    return await call.change(
        lambda change: operations.unschedule(change, script.id, number), _done, version=scripts.version
    )


def _done(_: object) -> Success:
    return Success()
