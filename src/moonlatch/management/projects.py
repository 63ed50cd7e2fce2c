"""Project endpoints: settings, and execution counts of all their scripts."""

# ruff: noqa: FAST003 -- the ownership dependency takes the path's parameter
from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from moonlatch import crypto
from moonlatch.errors import not_found
from moonlatch.management.auth import CurrentCaller, OwnedProject, require_active
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.fields import Clean, ClearableUrl, Closed, Edit, Empty, Engine, Name, clean_text
from moonlatch.management.paging import PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import ProjectView, Success, by_month_and_day, days_shown
from moonlatch.management.times import CooldownMs
from moonlatch.storage import accounts, projects
from moonlatch.storage.interface import Transaction
from moonlatch.storage.projects import Project

router = APIRouter(tags=["projects"])

MAX_PROJECTS = Refusal(1, "max projects reached", 403)
CANNOT_EDIT_NOTHING = Refusal(1, "cannot edit nothing", 400)

MAX_LURAPH_OPTIONS = 100
LuraphOptionId = Annotated[str, Field(min_length=1, max_length=100), Clean]
MAX_LURAPH_SETTING = 1000


def _luraph_setting(value: Any) -> bool | str:
    """One check for both types: a union would tell what is wrong once for each of them."""
    match value:
        case bool():
            return value
        case str() if len(value) <= MAX_LURAPH_SETTING:
            return clean_text(value)
        case str():
            raise ValueError(f"must have at most {MAX_LURAPH_SETTING} characters")
        case _:
            raise ValueError("must be a string or a boolean")


LuraphSetting = Annotated[
    bool | str,
    PlainValidator(_luraph_setting),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "maxLength": MAX_LURAPH_SETTING}]}),
]


REQUIRE_FINGERPRINT = "refuse starts with a key whose host does not tell its device"


class NewProject(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "My game"}]})

    name: Name
    require_fingerprint: Annotated[bool, Field(description=REQUIRE_FINGERPRINT)] = True


class EditProject(Edit):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "My game", "fingerprint_reset_cooldown": 3_600_000, "execution_webhook": ""}]
        }
    )

    name: Name | None = None
    fingerprint_reset_cooldown: Annotated[CooldownMs | None, Field(description="milliseconds, whole seconds")] = None
    allow_fingerprint_resets: bool | None = None
    delete_expired_users: Annotated[
        bool | None, Field(description="remove users 15 minutes after their key expired")
    ] = None
    execution_webhook: Annotated[
        ClearableUrl | None, Field(description="http(s) URL; kept for you, this version calls none")
    ] = None
    information_webhook: Annotated[
        ClearableUrl | None, Field(description="http(s) URL; kept for you, this version calls none")
    ] = None
    blacklist_webhook: Annotated[
        ClearableUrl | None, Field(description="http(s) URL; kept for you, this version calls none")
    ] = None
    engine: Annotated[Engine | None, Field(description="what protects its scripts that name no other")] = None
    luraph_options: Annotated[
        dict[LuraphOptionId, LuraphSetting] | None,
        Field(max_length=MAX_LURAPH_OPTIONS, description="all options of its jobs with Luraph, by the service's ids"),
    ] = None
    require_fingerprint: Annotated[bool | None, Field(description=REQUIRE_FINGERPRINT)] = None


class ProjectReply(Success):
    project: ProjectView


class ProjectsReply(Success):
    projects: list[ProjectView]


class ProjectExecutionsReply(Success):
    executions: Annotated[
        dict[str, dict[str, int]],
        Field(examples=[{"total": {"01/01": 4}, "My script - SCRIPT_ID": {"01/01": 4}}]),
    ]


class ExecutorsReply(Success):
    executors: Annotated[dict[str, int], Field(examples=[{"Delta": 12}])]


@router.get("/projects", summary="List projects")
async def list_projects(
    caller: CurrentCaller, page: Annotated[PageQuery, Query()], backend: CurrentBackend
) -> ProjectsReply:
    """A page of the account's projects, oldest first."""
    found = await projects.list_of_account(backend.database, caller.account.id, offset=page.offset, limit=page.size)
    return ProjectsReply(projects=[ProjectView.of(project) for project in found])


@router.post("/projects", summary="Create a project", responses=refusing(ACCOUNT_EXPIRED, MAX_PROJECTS))
async def create_project(
    caller: CurrentCaller, new: Annotated[NewProject, Depends(JsonBody(NewProject))], backend: CurrentBackend
) -> ProjectReply:
    """A project holds scripts, and the users who may run them."""
    require_active(caller, backend)
    project = Project(
        id=crypto.new_id(),
        account_id=caller.account.id,
        name=new.name,
        created_at=backend.clock(),
        require_fingerprint=new.require_fingerprint,
    )

    async def create(tx: Transaction) -> None:
        most = caller.tier.projects
        if most is not None and (await accounts.usage(tx, caller.account.id)).projects >= most:
            raise MAX_PROJECTS.error()
        await projects.insert(tx, project)

    await backend.database.run(create)
    return ProjectReply(project=ProjectView.of(project))


@router.get("/projects/{project_id}", summary="Get a project")
async def get_project(project: OwnedProject) -> ProjectReply:
    """Settings, and how often its scripts were executed, those removed since included."""
    return ProjectReply(project=ProjectView.of(project))


@router.post(
    "/projects/{project_id}/edit",
    summary="Edit a project",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING),
)
async def edit_project(
    project: OwnedProject,
    edit: Annotated[EditProject, Depends(JsonBody(EditProject))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> ProjectReply:
    """Fields left out or null stay as they are; `""` removes a webhook."""
    require_active(caller, backend)
    changes = edit.changes()
    if not changes:
        raise CANNOT_EDIT_NOTHING.error()

    async def save(tx: Transaction) -> Project:
        current = await projects.find_owned(tx, project.id, caller.account.id)
        if current is None:
            raise not_found("project")
        changed = msgspec.structs.replace(current, **changes)
        await projects.save(tx, changed)
        return changed

    changed = await backend.database.run(save)
    await backend.live.project_changed(project.id)
    return ProjectReply(project=ProjectView.of(changed))


@router.post("/projects/{project_id}/remove", summary="Remove a project")
async def remove_project(
    project: OwnedProject, _body: Annotated[Empty, Depends(JsonBody(Empty))], backend: CurrentBackend
) -> Success:
    """Removes its scripts, users and counters too, and closes every session at once."""

    async def remove(tx: Transaction) -> None:
        if not await projects.remove(tx, project.id):
            raise not_found("project")

    await backend.database.run(remove)
    await backend.live.project_changed(project.id)
    return Success()


@router.get("/projects/{project_id}/executions", summary="Get a project's executions")
async def get_project_executions(project: OwnedProject, backend: CurrentBackend) -> ProjectExecutionsReply:
    """Executions of the last 30 UTC days: in all (`total`, removed scripts included) and per script (`NAME - ID`)."""
    days = days_shown(backend.clock())
    total = await projects.executions_by_day(backend.database, project.id, since=days[0])
    executions = {"total": by_month_and_day(days, total)}
    for script in await projects.executions_by_script(backend.database, project.id, since=days[0]):
        executions[f"{script.name} - {script.script_id}"] = by_month_and_day(days, script.days)
    return ProjectExecutionsReply(executions=executions)


@router.get("/projects/{project_id}/executors", summary="Get a project's executors")
async def get_executors(project: OwnedProject, backend: CurrentBackend) -> ExecutorsReply:
    """Which host programs its scripts were executed in, in the last 30 UTC days, the most used first."""
    since = days_shown(backend.clock())[0]
    return ExecutorsReply(executors=await projects.executors(backend.database, project.id, since=since))
