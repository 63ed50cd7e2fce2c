"""Script endpoints: settings, counters, updates and open sessions."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.errors import not_found
from moonlatch.licensing.lease import MAX_OFFLINE_DAYS
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.verdict import MAX_PLACE_SECONDS
from moonlatch.live.interface import LiveCounts, SessionFilter
from moonlatch.management.auth import CallerBehindBody
from moonlatch.management.backend import CurrentBackend
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
    Integral,
    Name,
    ProfileName,
    TargetName,
)
from moonlatch.management.owned import OwnedProject, OwnedScript
from moonlatch.management.paging import EmptyIsAbsent, PageBody, PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import (
    ScriptView,
    SessionView,
    Success,
    by_month_and_day,
    days_shown,
)
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import scripts as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import scripts, users

router = resource_router("scripts")

CANNOT_EDIT_NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)
NO_FREE_FOR_ALL = DocumentedError(2, Reason.NO_FREE_FOR_ALL, 403)
MAX_SCRIPTS = DocumentedError(1, Reason.MAX_SCRIPTS, 403)
UPDATE_REQUIRED = DocumentedError(1, Reason.UPDATE_REQUIRED, 409)
MUST_FILTER = DocumentedError(0, "must filter something", 400)

_PROFILE = "how much is done to it; the server's setting without one"
_TARGET = "the language of its builds; wherever its source runs without one"
_OFFLINE = "days for which it starts without the server, from the next loader on; 0: none"
_MARKS = "each key has copies of its own, from the next update on, so that a leaked one names it"
_REPORTS = "copies tell of errors, from the next loader on"
_PLACE = (
    "seconds for which each start takes a place of its key's `max_instances`, where nothing else tells whether it still runs: "
    "without `use_heartbeat`; 0: as long as one with heartbeats may be silent"
)
_ENGINE = "what protects it; the project's without one"


OfflineDays = Annotated[int, Field(ge=0, le=MAX_OFFLINE_DAYS), Integral]
PlaceSeconds = Annotated[int, Field(ge=0, le=MAX_PLACE_SECONDS), Integral]


class NewScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "My script"}]})

    name: Name
    free_for_all: bool = False
    use_heartbeat: bool = True
    kick_outdated: bool = False
    require_sessions: bool = False
    place_seconds: Annotated[PlaceSeconds, Field(description=_PLACE)] = 0
    offline_days: Annotated[OfflineDays, Field(description=_OFFLINE)] = 0
    report_errors: Annotated[bool, Field(description=_REPORTS)] = False
    mark_copies: Annotated[bool, Field(description=_MARKS)] = False
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
    place_seconds: Annotated[PlaceSeconds | None, Field(description=_PLACE)] = None
    offline_days: Annotated[OfflineDays | None, Field(description=_OFFLINE)] = None
    report_errors: Annotated[bool | None, Field(description=_REPORTS)] = None
    mark_copies: Annotated[bool | None, Field(description=_MARKS)] = None
    profile: Annotated[ClearableProfile | None, Field(description=_PROFILE)] = None
    target: Annotated[ClearableTarget | None, Field(description=_TARGET)] = None
    engine: Annotated[ClearableEngine | None, Field(description=_ENGINE)] = None


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


class SessionsReply(Success):
    sessions: list[SessionView]


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


def _done(_: object) -> Success:
    return Success()
