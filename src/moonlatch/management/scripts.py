"""Script endpoints: settings, counters, updates and open sessions."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.builds.protection import Asked
from moonlatch.errors import not_found
from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import LiveCounts, SessionFilter
from moonlatch.management.auth import CallerBehindBody, OwnedProject, OwnedScript
from moonlatch.management.backend import CurrentBackend, backend_of
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import (
    MAX_EXACT_INTEGER,
    Clean,
    ClearableEngine,
    ClearableProfile,
    ClearableTarget,
    Closed,
    Edit,
    Empty,
    Engine,
    Name,
    ProfileName,
    TargetName,
)
from moonlatch.management.identity import Caller
from moonlatch.management.paging import EmptyIsAbsent, PageBody, PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import (
    Reply,
    ScriptView,
    SessionView,
    Success,
    by_month_and_day,
    days_shown,
    example,
)
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import scripts as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import builds, scripts, users

router = resource_router("scripts")

CANNOT_EDIT_NOTHING = Refusal(1, Reason.NOTHING_TO_EDIT, 400)
NO_FREE_FOR_ALL = Refusal(2, Reason.NO_FREE_FOR_ALL, 403)
MAX_SCRIPTS = Refusal(1, Reason.MAX_SCRIPTS, 403)
UPDATE_REQUIRED = Refusal(1, Reason.UPDATE_REQUIRED, 409)
MUST_FILTER = Refusal(0, "must filter something", 400)

_PARAM_ERRORS = {"luraph_errors": [{"param": "script", "message": "line 3: too many local variables"}]}
_INVALID_SCRIPT = {
    "parser_output": "script:1: Unexpected '!='; did you mean '~='?",
    "hint": "This reads like GLua (Garry's Mod); Moonlatch takes Luau and Lua 5.1. Instead of `!=` (line 1) write `~=`.",
}
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


_PROFILE = "how much is done to it; the server's setting without one"
_TARGET = "the language of its builds; wherever its source runs without one"
_ENGINE = "what protects it; the project's without one"


class NewScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "My script"}]})

    name: Name
    free_for_all: bool = False
    use_heartbeat: bool = True
    kick_outdated: bool = False
    require_sessions: bool = False
    profile: Annotated[ProfileName | None, Field(description=_PROFILE)] = None
    target: Annotated[TargetName | None, Field(description=_TARGET)] = None
    engine: Annotated[Engine | None, Field(description=_ENGINE)] = None


class EditScript(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "My script", "kick_outdated": True}]})

    name: Annotated[Name | None, Field(description="name for the script")] = None
    free_for_all: Annotated[bool | None, Field(description="allow users to execute without a key")] = None
    use_heartbeat: Annotated[bool | None, Field(description="continue to check users after initial verification")] = (
        None
    )
    kick_outdated: Annotated[bool | None, Field(description="kick users using an old version of the script")] = None
    require_sessions: Annotated[bool | None, Field(description="prevent users without WebSockets from using it")] = None
    profile: Annotated[ClearableProfile | None, Field(description=_PROFILE)] = None
    target: Annotated[ClearableTarget | None, Field(description=_TARGET)] = None
    engine: Annotated[ClearableEngine | None, Field(description=_ENGINE)] = None


class UpdateScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"script": "print('hello')"}]})

    script: Annotated[str, Field(min_length=1, description="the source code of the script"), Clean]
    profile: Annotated[ProfileName | None, Field(description="for this update, in place of the script's")] = None
    target: Annotated[TargetName | None, Field(description="for this update, in place of the script's")] = None
    engine: Annotated[Engine | None, Field(description="for this update, in place of the script's")] = None


class ToggleScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"state": True}]})

    state: Annotated[bool, Field(description="script enabled state")]


def _decimal_id(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,16}", text) or int(text) > MAX_EXACT_INTEGER:
        raise ValueError("must be the decimal digits of an integer up to 2^53")
    return text


Exact = Annotated[str, Field(max_length=128), Clean]
DecimalId = Annotated[str, Field(json_schema_extra={"pattern": "^[0-9]{1,16}$"}), AfterValidator(_decimal_id)]


class SessionQuery(PageQuery):
    key: Annotated[
        Exact | None, EmptyIsAbsent, Field(description="user key the session must have, or the user's id")
    ] = None
    roblox_id: Annotated[DecimalId | None, EmptyIsAbsent, Field(description="Roblox id of the session")] = None
    place_id: Annotated[DecimalId | None, EmptyIsAbsent, Field(description="place id the session must be in")] = None
    job_id: Annotated[Exact | None, EmptyIsAbsent, Field(description="job id the session must be in")] = None

    def conditions(self, user_id: str | None) -> SessionFilter:
        """With the id of the user whose key was given."""
        return SessionFilter(
            user_id=user_id,
            roblox_id=None if self.roblox_id is None else int(self.roblox_id),
            place_id=None if self.place_id is None else int(self.place_id),
            job_id=self.job_id,
        )


class ScriptReply(Success):
    script: ScriptView


class ScriptsReply(Success):
    scripts: list[ScriptView]


class ExecutionsReply(Success):
    executions: Annotated[dict[str, int], Field(examples=[{"01/01": 0, "01/02": 17}])]


class UpdateReply(Success):
    build: Annotated[int, Field(description="the number of the build now being served", examples=[3])]
    warnings: Annotated[list[str], Field(description="what the author should know, with its line", examples=[[]])]


class SessionsReply(Success):
    sessions: list[SessionView]


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


@router.get("/scripts/{script_id}", summary="Get a script", openapi_extra=needs(Permission.SCRIPTS_READ))
async def get_script(script: OwnedScript, call: CurrentReading, backend: CurrentBackend) -> ScriptReply:
    """Settings, counters, and how many copies are running now."""
    call.tag(operations.version(script))
    return ScriptReply(script=ScriptView.of(script, await backend.live.counts(script.id)))


@router.get(
    "/scripts/{script_id}/executions", summary="Get a script's executions", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def get_executions(script: OwnedScript, backend: CurrentBackend) -> ExecutionsReply:
    """Executions of the last 30 UTC days including today, oldest first; days without any are 0."""
    days = days_shown(backend.clock())
    counted = await scripts.executions_by_day(backend.database, script.id, since=days[0])
    return ExecutionsReply(executions=by_month_and_day(days, counted))


@router.get(
    "/projects/{project_id}/scripts", summary="List a project's scripts", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_scripts(
    project: OwnedProject, page: Annotated[PageQuery, Query()], backend: CurrentBackend
) -> ScriptsReply:
    """A page of scripts, oldest first."""
    found = await scripts.list_of_project(backend.database, project.id, offset=page.offset, limit=page.size)
    return ScriptsReply(scripts=[ScriptView.of(each, await backend.live.counts(each.id)) for each in found])


@router.post(
    "/projects/{project_id}/scripts",
    summary="Create a script",
    responses=refusing(ACCOUNT_EXPIRED, MAX_SCRIPTS, NO_FREE_FOR_ALL),
    openapi_extra=needs(Permission.SCRIPTS_WRITE),
)
async def create_script(
    project: OwnedProject, new: Annotated[NewScript, Depends(JsonBody(NewScript))], call: CurrentCall
) -> ScriptReply:
    """The new script is disabled until its first successful update."""
    settings = new.model_dump(exclude={"name"})
    return await call.change(
        lambda change: operations.create(change, project.id, name=new.name, settings=settings),
        lambda script: ScriptReply(script=ScriptView.of(script, LiveCounts(sessions=0, instances=0))),
        version=operations.version,
    )


@router.post(
    "/scripts/{script_id}/edit",
    summary="Edit a script",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING, NO_FREE_FOR_ALL),
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def edit_script(
    script: OwnedScript, edit: Annotated[EditScript, Depends(JsonBody(EditScript))], call: CurrentCall
) -> Success:
    """Fields left out or null stay as they are; `""` leaves profile, target or engine to the server and the project again."""
    return await call.change(
        lambda change: operations.edit(change, script.id, edit.changes()), _done, version=operations.version
    )


@router.post(
    "/scripts/{script_id}/remove",
    summary="Remove a script",
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def remove_script(
    script: OwnedScript, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Its sessions are closed at once, its loader answers that it is not there, its executions stay counted."""
    return await call.change(lambda change: operations.remove(change, script.id), _done)


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
    "/scripts/{script_id}/toggle",
    summary="Toggle a script",
    responses=refusing(ACCOUNT_EXPIRED, UPDATE_REQUIRED),
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def toggle_script(
    script: OwnedScript, toggle: Annotated[ToggleScript, Depends(JsonBody(ToggleScript))], call: CurrentCall
) -> Success:
    """Off: no new executions, and running instances are stopped. On needs a build that can still be served."""
    return await call.change(
        lambda change: operations.toggle(change, script.id, enabled=toggle.state), _done, version=operations.version
    )


@router.post(
    "/scripts/{script_id}/sessions", summary="List a script's sessions", openapi_extra=needs(Permission.SESSIONS_READ)
)
async def list_sessions(
    script: OwnedScript,
    page: Annotated[PageBody, Depends(JsonBody(PageBody))],
    caller: CallerBehindBody,
    call: CurrentCall,
    backend: CurrentBackend,
) -> SessionsReply:
    """A page of open sessions, oldest first, so that pages stay stable while new ones join."""
    if not caller.actor.reaches(script.project_id):
        raise not_found("script")
    found = await backend.live.sessions(script.id, SessionFilter(), page.offset, page.size)
    return SessionsReply(sessions=await call.sessions(script.project_id, found))


@router.get(
    "/scripts/{script_id}/sessions/filter",
    summary="Filter a script's sessions",
    responses=refusing(MUST_FILTER),
    openapi_extra=needs(Permission.SESSIONS_READ),
)
async def filter_sessions(
    script: OwnedScript, query: Annotated[SessionQuery, Query()], call: CurrentReading, backend: CurrentBackend
) -> SessionsReply:
    """Open sessions that meet every given condition exactly, oldest first."""
    user = None
    if query.key is not None:
        user = await users.find_named(backend.database, backend.keyring, query.key, call.caller.account.id)
        if user is None:
            return SessionsReply(sessions=[])
    conditions = query.conditions(None if user is None else user.id)
    if conditions == SessionFilter():
        raise MUST_FILTER.error()
    found = await backend.live.sessions(script.id, conditions, query.offset, query.size)
    return SessionsReply(sessions=await call.sessions(script.project_id, found))


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


def _done(_: object) -> Success:
    return Success()
