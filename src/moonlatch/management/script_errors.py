"""Errors that a script's copies told of: which, where in the source, how often, and what is thought of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import Field

from moonlatch.clock import HOUR_MS
from moonlatch.errors import invalid_field
from moonlatch.licensing.crashes import ErrorState, spot_of
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import NO_SUCH_BUILD
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import MAX_EXACT_INTEGER, Clean, Empty, OneOf
from moonlatch.management.owned import OwnedError, OwnedScript
from moonlatch.management.paging import EmptyIsAbsent, PageQuery, QueryInteger
from moonlatch.management.refusals import refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import errors as operations
from moonlatch.operations.explaining import located, map_of
from moonlatch.storage import builds, error_groups
from moonlatch.storage.error_groups import ErrorGroup

router = resource_router("errors")

SHOWN_HOURS = 7 * 24
STATES = tuple(state.value for state in ErrorState)


class ErrorQuery(PageQuery):
    """Which errors, and which part of the list."""

    state: Annotated[
        str | None, EmptyIsAbsent, OneOf(STATES), Field(description="how they stand; without it, however they do")
    ] = None
    build: Annotated[
        Annotated[int, Field(ge=1, le=MAX_EXACT_INTEGER)] | None,
        EmptyIsAbsent,
        QueryInteger,
        Field(description="those of one build"),
    ] = None


class ErrorView(Reply):
    """Errors that are one: of one build, in one place, with one message but for numbers and the like. Times in Unix milliseconds."""

    model_config = example(
        id="ERROR_ID",
        script_id="SCRIPT_ID",
        build=4,
        kind="main",
        message="attempt to index nil with 'Humanoid'",
        place="57",
        file=None,
        line=212,
        function="follow",
        state="open",
        resolved_build=None,
        instances=37,
        keys=21,
        executors={"Delta": 30, "Xeno": 7},
        first_seen=1_770_624_500_000,
        last_seen=1_770_628_100_000,
        regressed_at=None,
    )

    id: str
    script_id: str
    build: int
    kind: str = Field(description="`main`, `thread`, `handler`, or `reported`: by the script itself")
    message: str
    place: str = Field(description="line of the protected text; empty where the host told none")
    file: str | None = Field(description="of a script that was made of several")
    line: int | None = Field(
        description="of the source; null where the build has no map, or it does not know the place"
    )
    function: str | None = Field(description="the source's function around the line; null in none that has a name")
    state: str = Field(description="`open`, `resolved` or `ignored`, in all builds")
    resolved_build: int | None = Field(description="the newest build that had it when it was resolved")
    instances: int = Field(description="copies that had it")
    keys: int = Field(description="different keys that had it, or devices where there was no key")
    executors: dict[str, int] = Field(description="copies by the program they ran in")
    first_seen: int
    last_seen: int
    regressed_at: int | None = Field(description="when it was opened again because a newer build had it")

    @classmethod
    def of(cls, group: ErrorGroup) -> ErrorView:
        return cls(**{name: getattr(group, name) for name in cls.model_fields})


class ScriptErrorsReply(Success):
    errors: list[ErrorView]


class ScriptErrorReply(Success):
    error: ErrorView


class OneScriptErrorReply(ScriptErrorReply):
    builds: list[ErrorView] = Field(
        description="the same error in all builds that had it, newest first; this one is among them"
    )
    hours: dict[str, int] = Field(
        description="copies that had it in the last seven days, by the hour, as its beginning in Unix milliseconds",
        examples=[{"1770624000000": 12}],
    )


class PlaceView(Reply):
    """A place in the source of a build."""

    model_config = example(file=None, line=212, function="follow")

    file: str | None
    line: int
    function: str | None


class ExplainReply(Success):
    mapped: bool = Field(
        examples=[True],
        description="the build has a map: those from before maps were kept, those of other engines, and those of scripts over 256 KB under maximum, have none",
    )
    place: PlaceView | None = Field(description="null where the map does not know the place")


@router.get(
    "/scripts/{script_id}/errors", summary="List a script's errors", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_errors(
    script: OwnedScript, query: Annotated[ErrorQuery, Query()], backend: CurrentBackend
) -> ScriptErrorsReply:
    """A page of them, the one that was seen last first."""
    found = await error_groups.list_of_script(
        backend.database, script.id, state=query.state, build=query.build, offset=query.offset, limit=query.size
    )
    return ScriptErrorsReply(errors=[ErrorView.of(group) for group in found])


@router.get("/errors/{error_id}", summary="Get an error", openapi_extra=needs(Permission.SCRIPTS_READ))
async def get_error(error: OwnedError, call: CurrentReading) -> OneScriptErrorReply:
    """Where it is in the source, how often it was seen, and which other builds had it."""
    call.tag(operations.version(error))
    database, now = call.backend.database, call.backend.world.clock()
    hours = await error_groups.hours(database, error.id, since=now // HOUR_MS - SHOWN_HOURS)
    return OneScriptErrorReply(
        error=ErrorView.of(error),
        builds=[ErrorView.of(each) for each in await error_groups.of_kin(database, error.script_id, error.kin)],
        hours={str(hour * HOUR_MS): instances for hour, instances in hours.items()},
    )


@router.post(
    "/errors/{error_id}/resolve",
    summary="Resolve an error",
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def resolve_error(
    error: OwnedError, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> ScriptErrorReply:
    """It is mended, in all builds: the builds that had it are old. A newer one that has it opens it again, with an event."""
    return await call.change(lambda change: operations.resolve(change, error.id), _shown, version=operations.version)


@router.post(
    "/errors/{error_id}/ignore",
    summary="Ignore an error",
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def ignore_error(
    error: OwnedError, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> ScriptErrorReply:
    """It is counted on, and no event tells of it, whichever build has it."""
    return await call.change(lambda change: operations.ignore(change, error.id), _shown, version=operations.version)


@router.post(
    "/errors/{error_id}/reopen",
    summary="Open an error again",
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def reopen_error(
    error: OwnedError, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> ScriptErrorReply:
    """One that was resolved or ignored counts again, in all builds."""
    return await call.change(lambda change: operations.reopen(change, error.id), _shown, version=operations.version)


@router.get(
    "/scripts/{script_id}/builds/{number}/explain",
    summary="Find the source's line of a place in a build",
    responses=refusing(NO_SUCH_BUILD),
    openapi_extra=needs(Permission.SCRIPTS_READ),
)
async def explain_place(
    script: OwnedScript,
    number: Annotated[int, Path(ge=1, le=MAX_EXACT_INTEGER, description="the build's number")],
    place: Annotated[
        str,
        Clean,
        Query(
            min_length=1,
            max_length=2_000,
            description="a line of the build (`57`), or what a customer's console shows (`My script:57: ...`)",
        ),
    ],
    backend: CurrentBackend,
) -> ExplainReply:
    """From what a customer's console shows to the line of the source."""
    if await builds.find(backend.database, script.id, number) is None:
        raise NO_SUCH_BUILD.error(build=number)
    spot = spot_of(place)
    if spot is None:
        raise invalid_field("place", "names no line")
    found = await map_of(backend.database, backend.keyring, script.id, number)
    source = located(found, spot)
    return ExplainReply(
        mapped=found is not None,
        place=None if source is None else PlaceView(file=source.file, line=source.line, function=source.function),
    )


def _shown(group: ErrorGroup) -> ScriptErrorReply:
    return ScriptErrorReply(error=ErrorView.of(group))
