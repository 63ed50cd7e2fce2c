"""Loader endpoints: give a script's loader a new secret."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Closed, Integral
from moonlatch.management.owned import OwnedScript
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import loaders
from moonlatch.operations.refusals import Reason

router = resource_router("scripts")

_PARAM_ERRORS = {"luraph_errors": [{"param": "script", "message": "the script took longer than the 60 s it may take"}]}
ROTATION_REFUSALS = (
    ACCOUNT_EXPIRED,
    DocumentedError(1, Reason.UPDATE_REQUIRED, 409),
    DocumentedError(2, Reason.MAX_OBFUSCATIONS, 403),
    DocumentedError(3, Reason.LOADER_NOT_PROTECTED, 422, _PARAM_ERRORS),
    DocumentedError(4, Reason.NO_BUILD_TIME, 403),
)


class RotateLoader(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"grace": 0}]})

    grace: Annotated[
        int,
        Field(
            ge=0, le=loaders.MAX_GRACE_MS, description="milliseconds for which earlier loaders still start the script"
        ),
        Integral,
    ] = loaders.GRACE_MS


class RotationReply(Success):
    previous_valid_until: Annotated[
        int, Field(description="until when earlier loaders start the script", examples=[1_770_710_900_000])
    ]


@router.post(
    "/scripts/{script_id}/rotate_loader",
    summary="Give a script's loader a new secret",
    responses=refusing(*ROTATION_REFUSALS),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def rotate_loader(
    script: OwnedScript, rotation: Annotated[RotateLoader, Depends(JsonBody(RotateLoader))], call: CurrentCall
) -> RotationReply:
    """The loader's address stays the same; copies that run go on; a loader somebody kept stops starting the script after the grace."""
    return await call.carry_out(
        lambda intent: loaders.rotate(call.world, call.actor, script, grace_ms=rotation.grace, intent=intent),
        lambda rotated: RotationReply(previous_valid_until=rotated.previous_valid_until),
    )
