"""Build endpoints: publish a text as a script's next build, check one that is being written, and what is kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import ConfigDict, Field

from moonlatch.builds.outcomes import Sound
from moonlatch.builds.protection import Asked
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import CallerBehindBody, OwnedScript
from moonlatch.management.backend import CurrentBackend, backend_of
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Clean, Closed, Engine, ProfileName, TargetName
from moonlatch.management.identity import Caller
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import scripts as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import builds

router = resource_router("scripts")

_PARAM_ERRORS = {"luraph_errors": [{"param": "script", "message": "line 3: too many local variables"}]}
_INVALID_SCRIPT = {
    "parser_output": "script:1: Unexpected '!='; did you mean '~='?",
    "hint": "This reads like GLua (Garry's Mod); Moonlatch takes Luau and Lua 5.1. Instead of `!=` (line 1) write `~=`.",
}
NOT_CHECKED = Refusal(0, Reason.NOT_CHECKED, 422, _PARAM_ERRORS)
UPDATE_REFUSALS = (
    ACCOUNT_EXPIRED,
    Refusal(1, Reason.MAX_OBFUSCATIONS, 403),
    Refusal(2, Reason.SCRIPT_INVALID, 422, _INVALID_SCRIPT),
    Refusal(3, Reason.NOT_PROTECTED, 422, _PARAM_ERRORS),
    Refusal(4, Reason.NOT_ENOUGH_FOR_LOADER, 403),
    Refusal(5, Reason.LOADER_NOT_PROTECTED, 422, _PARAM_ERRORS),
    Refusal(6, Reason.NO_BUILD_TIME, 403),
)

# JSON writes the worst characters of a source file (two bytes in UTF-8) as six bytes.
_JSON_OVERHEAD = 3
_JSON_FRAME_BYTES = 64 * 1024


class UpdateScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"script": "print('hello')"}]})

    script: Annotated[str, Field(min_length=1, description="the source code of the script"), Clean]
    profile: Annotated[ProfileName | None, Field(description="for this update, in place of the script's")] = None
    target: Annotated[TargetName | None, Field(description="for this update, in place of the script's")] = None
    engine: Annotated[Engine | None, Field(description="for this update, in place of the script's")] = None


class UpdateReply(Success):
    build: Annotated[int, Field(description="the number of the build now being served", examples=[3])]
    warnings: Annotated[list[str], Field(description="what the author should know, with its line", examples=[[]])]


class CheckReply(Success):
    """What an update with the text would answer, as far as that is found without protecting it."""

    valid: Annotated[bool, Field(examples=[False])]
    parser_output: Annotated[
        str | None,
        Field(
            description="what Luau would print for it, a line for each fault; null for a valid one",
            examples=["script:1: Unexpected '!='; did you mean '~='?"],
        ),
    ]
    hint: Annotated[
        str | None,
        Field(description="why it is refused as a whole, where that is known beyond the faults", examples=[None]),
    ]
    warnings: Annotated[list[str], Field(description="what the author should know, with its line", examples=[[]])]


class BuildView(Reply):
    """A kept build, and what it was made with. Sizes in bytes."""

    model_config = example(
        number=3,
        profile="standard",
        target=None,
        engine="embedded",
        source_bytes=5_120,
        payload_bytes=14_336,
        created_at=1_770_624_500_000,
        current=True,
    )

    number: int
    profile: str
    target: str | None = Field(description="null: none was asked for")
    engine: str
    source_bytes: int
    payload_bytes: int
    created_at: int
    current: bool


class BuildsReply(Success):
    builds: list[BuildView]


def _source_limit(request: Request) -> int:
    caller: Caller = request.state.identity
    return min(backend_of(request).max_body_bytes, caller.tier.script_bytes * _JSON_OVERHEAD + _JSON_FRAME_BYTES)


@router.post(
    "/scripts/{script_id}/update",
    summary="Update a script",
    responses=refusing(*UPDATE_REFUSALS),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def update_script(
    script: OwnedScript,
    update: Annotated[UpdateScript, Depends(JsonBody(UpdateScript, limit=_source_limit))],
    call: CurrentCall,
) -> UpdateReply:
    """Check, protect and publish a new build, all or nothing: after an error the previous build is still served."""
    asked = Asked(profile=update.profile, target=update.target, engine=update.engine)
    return await call.carry_out(
        lambda intent: operations.publish(call.world, call.actor, script, update.script, asked=asked, intent=intent),
        lambda published: UpdateReply(build=published.build, warnings=list(published.warnings)),
    )


@router.post(
    "/scripts/{script_id}/check",
    summary="Check a script",
    responses=refusing(NOT_CHECKED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH),
)
async def check_script(
    script: OwnedScript,
    draft: Annotated[UpdateScript, Depends(JsonBody(UpdateScript))],
    caller: CallerBehindBody,
    backend: CurrentBackend,
) -> CheckReply:
    """What an update with this text would be refused for or warned of: at most 512 KiB, without protecting it, at no cost."""
    asked = Asked(profile=draft.profile, target=draft.target, engine=draft.engine)
    found = await operations.look_through(backend.world, caller.actor, script, draft.script, asked=asked)
    if isinstance(found, Sound):
        return CheckReply(valid=True, parser_output=None, hint=None, warnings=found.warnings)
    return CheckReply(valid=False, parser_output=found.parser_output, hint=found.hint or None, warnings=[])


@router.get(
    "/scripts/{script_id}/builds", summary="List a script's builds", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_builds(script: OwnedScript, backend: CurrentBackend) -> BuildsReply:
    """The builds that are kept, newest first."""
    return BuildsReply(
        builds=[
            BuildView(
                number=build.number,
                profile=build.protection.profile,
                target=build.protection.target,
                engine=build.protection.engine,
                source_bytes=build.source_bytes,
                payload_bytes=build.payload_bytes,
                created_at=build.created_at,
                current=build.number == script.build,
            )
            for build in await builds.list_of_script(backend.database, script.id)
        ]
    )
