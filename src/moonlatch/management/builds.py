"""Build endpoints: publish a text as a script's next build, check one that is being written, what is kept, serve another, yank one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import ConfigDict, Field

from moonlatch.builds.outcomes import Sound
from moonlatch.builds.protection import Asked
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.licensing.tracing import strength
from moonlatch.management.auth import CallerBehindBody
from moonlatch.management.backend import CurrentBackend, backend_of
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import (
    MAX_EXACT_INTEGER,
    Clean,
    Closed,
    Engine,
    Integral,
    ProfileName,
    TargetName,
)
from moonlatch.management.identity import Caller
from moonlatch.management.owned import OwnedScript
from moonlatch.management.paging import EmptyIsAbsent
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.rollout_fields import Steps, steps_of
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import FutureMs
from moonlatch.operations import builds as releases
from moonlatch.operations import publishing, scripts
from moonlatch.operations.refusals import Reason
from moonlatch.operations.scheduling import Audience
from moonlatch.storage import builds
from moonlatch.storage.builds import BuildInfo, Release

router = resource_router("scripts")

_PARAM_ERRORS = {"luraph_errors": [{"param": "script", "message": "line 3: too many local variables"}]}
_INVALID_SCRIPT = {
    "parser_output": "script:1: Unexpected '!='; did you mean '~='?",
    "hint": "This reads like GLua (Garry's Mod); Moonlatch takes Luau and Lua 5.1. Instead of `!=` (line 1) write `~=`.",
}
NOT_CHECKED = DocumentedError(0, Reason.NOT_CHECKED, 422, _PARAM_ERRORS)
UPDATE_REFUSALS = (
    ACCOUNT_EXPIRED,
    DocumentedError(1, Reason.MAX_OBFUSCATIONS, 403),
    DocumentedError(2, Reason.SCRIPT_INVALID, 422, _INVALID_SCRIPT),
    DocumentedError(3, Reason.NOT_PROTECTED, 422, _PARAM_ERRORS),
    DocumentedError(4, Reason.NOT_ENOUGH_FOR_LOADER, 403),
    DocumentedError(5, Reason.LOADER_NOT_PROTECTED, 422, _PARAM_ERRORS),
    DocumentedError(6, Reason.NO_BUILD_TIME, 403),
    DocumentedError(7, Reason.UPDATE_REQUIRED, 409),
    DocumentedError(8, Reason.MAX_CHANNELS, 403),
    DocumentedError(9, Reason.ROLLOUT_OPEN, 409, {"rollout": "ROLLOUT_ID"}),
    DocumentedError(10, Reason.MAX_SCHEDULED, 403),
)
NO_SUCH_BUILD = DocumentedError(1, Reason.NO_SUCH_BUILD, 409, {"build": 2})
BUILD_YANKED = DocumentedError(2, Reason.BUILD_YANKED, 409, {"build": 2})
BUILD_CURRENT = DocumentedError(3, Reason.BUILD_CURRENT, 409)
NO_SUCCESSOR = DocumentedError(3, Reason.NO_SUCCESSOR, 409)

# JSON writes the worst characters of a source file (two bytes in UTF-8) as six bytes.
_JSON_OVERHEAD = 3
_JSON_FRAME_BYTES = 64 * 1024


CHANNEL_PATTERN = "^[a-z0-9][a-z0-9_-]{0,31}$"
Label = Annotated[str, Field(min_length=1, max_length=100), Clean]
Notes = Annotated[str, Field(min_length=1, max_length=10_000), Clean]
ChannelName = Annotated[str, Field(pattern=CHANNEL_PATTERN)]
BuildNumber = Annotated[int, Field(ge=1, le=MAX_EXACT_INTEGER), Integral]


class CheckScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"script": "print('hello')"}]})

    script: Annotated[str, Field(min_length=1, description="the source code of the script"), Clean]
    profile: Annotated[ProfileName | None, Field(description="for this update, in place of the script's")] = None
    target: Annotated[TargetName | None, Field(description="for this update, in place of the script's")] = None
    engine: Annotated[Engine | None, Field(description="for this update, in place of the script's")] = None


class UpdateScript(CheckScript):
    model_config = ConfigDict(json_schema_extra={"examples": [{"script": "print('hello')", "label": "1.4.2"}]})

    label: Annotated[Label | None, Field(description="what people call the build, as `1.4.2`")] = None
    notes: Annotated[Notes | None, Field(description="what is new in it")] = None
    steps: Annotated[
        Steps | None, Field(description="give it to a part of the keys first, step by step; null: to all at once")
    ] = None
    publish_at: Annotated[
        FutureMs | None, Field(description="when it is published, in Unix milliseconds; null: now")
    ] = None


class RollBack(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"build": 2}]})

    build: Annotated[BuildNumber, Field(description="number of the build to serve")]


class YankBuild(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"successor": 2}]})

    successor: Annotated[
        BuildNumber | None, Field(description="number of the build to serve in its place where it is the current one")
    ] = None


Channel = Annotated[
    ChannelName | None,
    EmptyIsAbsent,
    Query(description="whose keys are given the build; without it, or with `stable`, it is the script's current one"),
]


class Marks(Reply):
    """How strong the marks of a build's copies are."""

    places: Annotated[int, Field(description="of a copy that can be either of two ways")]
    traces: Annotated[
        int,
        Field(
            description="customers who may put their copies together, and one is still found; 0: too few places for any"
        ),
    ]

    @classmethod
    def of(cls, places: int) -> Marks:
        return cls(places=places, traces=strength(places))


class ReadableView(Reply):
    """A function whose speed was kept: whoever reads the build's operations finds its statements."""

    line: int
    name: Annotated[str, Field(description="empty for a function without a name")]
    part: Annotated[
        str,
        Field(
            description="`all` of a function that loops probably call, the `loops` of another one, or a `native` one",
        ),
    ]


class UpdateReply(Success):
    build: Annotated[int, Field(description="the number of the new build", examples=[3])]
    rollout: Annotated[str | None, Field(description="id of the rollout that it began", examples=[None])]
    source_bytes: Annotated[int, Field(examples=[5_120])]
    source_lines: Annotated[int, Field(examples=[180])]
    payload_bytes: Annotated[int, Field(description="size of the protected text", examples=[14_336])]
    marks: Annotated[
        Marks | None,
        Field(description="null for a build whose copies are the same", examples=[{"places": 1_408, "traces": 3}]),
    ]
    readable: Annotated[
        list[ReadableView],
        Field(
            description="of a build for a machine (`maximum`), at most 500",
            examples=[[{"line": 12, "name": "Grid:step", "part": "all"}]],
        ),
    ]
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


class PublisherView(Reply):
    """Who published a build, named as the actor of its event."""

    kind: str
    id: str
    name: str


class BuildView(Reply):
    """A kept build, and what it was made with. Sizes in bytes."""

    model_config = example(
        number=3,
        label="1.4.2",
        notes="Faster, and it no longer forgets its window.",
        state="published",
        profile="standard",
        target=None,
        engine="embedded",
        source_bytes=5_120,
        source_lines=180,
        payload_bytes=14_336,
        source_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        payload_sha256="60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
        published_by={"kind": "token", "id": "TOKEN_ID", "name": "bot"},
        created_at=1_770_624_500_000,
        yanked_at=None,
        current=True,
    )

    number: int
    label: str | None
    notes: str | None
    state: str = Field(description="`published`, or `yanked`: never served again")
    profile: str
    target: str | None = Field(description="null: none was asked for")
    engine: str
    source_bytes: int
    source_lines: int | None
    payload_bytes: int
    source_sha256: str | None = Field(
        description="of the source's UTF-8, in hex; null for builds from before it was kept"
    )
    payload_sha256: str | None = Field(description="of the protected text")
    published_by: PublisherView | None
    created_at: int
    yanked_at: int | None
    current: bool

    @classmethod
    def of(cls, build: BuildInfo, *, current: int) -> BuildView:
        """A build of a script whose build `current` is."""
        publisher = build.publisher
        return cls(
            number=build.number,
            label=build.release.label,
            notes=build.release.notes,
            state="published" if build.yanked_at is None else "yanked",
            profile=build.protection.profile,
            target=build.protection.target,
            engine=build.protection.engine,
            source_bytes=build.source_bytes,
            source_lines=build.source_lines,
            payload_bytes=build.payload_bytes,
            source_sha256=None if build.source_hash is None else build.source_hash.hex(),
            payload_sha256=None if build.payload_hash is None else build.payload_hash.hex(),
            published_by=None
            if publisher is None
            else PublisherView(kind=publisher.kind, id=publisher.id, name=publisher.name),
            created_at=build.created_at,
            yanked_at=build.yanked_at,
            current=build.number == current,
        )


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
    channel: Channel = None,
) -> UpdateReply:
    """Check, protect and publish a new build, all or nothing: after an error the previous build is still served."""
    asked = Asked(profile=update.profile, target=update.target, engine=update.engine)
    release = Release(label=update.label, notes=update.notes)
    audience = Audience(channel=channel or STABLE, steps=steps_of(update.steps), publish_at=update.publish_at)
    return await call.carry_out(
        lambda intent: publishing.publish(
            call.world,
            call.actor,
            script,
            update.script,
            asked=asked,
            release=release,
            audience=audience,
            intent=intent,
        ),
        lambda published: UpdateReply(
            build=published.build,
            rollout=published.rollout,
            source_bytes=published.source_bytes,
            source_lines=published.source_lines,
            payload_bytes=published.payload_bytes,
            marks=None if published.places is None else Marks.of(published.places),
            warnings=list(published.warnings),
            readable=[ReadableView(line=one.line, name=one.name, part=one.part) for one in published.readable],
        ),
    )


@router.post(
    "/scripts/{script_id}/check",
    summary="Check a script",
    responses=refusing(NOT_CHECKED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH),
)
async def check_script(
    script: OwnedScript,
    draft: Annotated[CheckScript, Depends(JsonBody(CheckScript))],
    caller: CallerBehindBody,
    backend: CurrentBackend,
) -> CheckReply:
    """What an update with this text would be refused for or warned of: at most 512 KiB, without protecting it, at no cost."""
    asked = Asked(profile=draft.profile, target=draft.target, engine=draft.engine)
    found = await publishing.look_through(backend.world, caller.actor, script, draft.script, asked=asked)
    if isinstance(found, Sound):
        return CheckReply(valid=True, parser_output=None, hint=None, warnings=found.warnings)
    return CheckReply(valid=False, parser_output=found.parser_output, hint=found.hint or None, warnings=[])


@router.get(
    "/scripts/{script_id}/builds", summary="List a script's builds", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_builds(script: OwnedScript, backend: CurrentBackend) -> BuildsReply:
    """The builds that are kept, newest first."""
    found = await builds.list_of_script(backend.database, script.id)
    return BuildsReply(builds=[BuildView.of(build, current=script.build) for build in found])


@router.post(
    "/scripts/{script_id}/rollback",
    summary="Serve another build of a script",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, BUILD_CURRENT),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def roll_back(
    script: OwnedScript, wanted: Annotated[RollBack, Depends(JsonBody(RollBack))], call: CurrentCall
) -> Success:
    """From the next start on, at no cost: any kept build, earlier or later. With `kick_outdated` others are stopped, as by an update."""
    return await call.change(
        lambda change: releases.roll_back(change, script.id, wanted.build), _done, version=scripts.version
    )


@router.post(
    "/scripts/{script_id}/builds/{number}/yank",
    summary="Yank a build",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, NO_SUCCESSOR),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def yank_build(
    script: OwnedScript,
    number: Annotated[int, Path(ge=1, le=MAX_EXACT_INTEGER, description="the build's number")],
    how: Annotated[YankBuild, Depends(JsonBody(YankBuild))],
    call: CurrentCall,
) -> Success:
    """It is never served again, and that is for good. The current build needs a successor to be named."""
    return await call.change(
        lambda change: releases.yank(change, script.id, number, successor=how.successor),
        _done,
        version=scripts.version,
    )


def _done(_: object) -> Success:
    return Success()
