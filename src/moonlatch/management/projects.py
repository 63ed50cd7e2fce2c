"""Project endpoints: settings, and execution counts of all their scripts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from moonlatch.clock import DAY_MS
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.sharing import RULES, Consequence
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import (
    Clean,
    ClearableCount,
    ClearableHours,
    ClearableLimit,
    ClearableUrl,
    Closed,
    Edit,
    Empty,
    Engine,
    Integral,
    MaxDevices,
    Name,
    OneOf,
    clean_text,
)
from moonlatch.management.owned import OwnedProject
from moonlatch.management.paging import PageQuery, QueryInteger
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import DAYS_SHOWN, ProjectView, Reply, Success, by_month_and_day, days_shown, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import CooldownMs
from moonlatch.operations import projects as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import projects
from moonlatch.storage.projects import Project
from moonlatch.storage.user_history import RefusedWith, refusals_by_code

router = resource_router("projects")

MAX_PROJECTS = DocumentedError(1, Reason.MAX_PROJECTS, 403)
CANNOT_EDIT_NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)

REFUSAL_DAYS = 7
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


class EditRule(Edit):
    """A rule about shared keys."""

    limit: Annotated[ClearableLimit, Field(description='what is still in order; `""`: anything is')] = None
    action: Annotated[
        Annotated[str, OneOf(Consequence)] | None, Field(description="what follows when it is broken")
    ] = None


class EditSharing(Edit):
    """What is taken for a shared key."""

    devices: EditRule | None = None
    networks_a_day: EditRule | None = None
    starts_an_hour: EditRule | None = None
    seconds_between_devices: EditRule | None = None
    starts_without_fingerprint: EditRule | None = None
    hooked_starts: EditRule | None = None
    hold_hours: Annotated[ClearableHours, Field(description='how long a key is held; `""`: until it is released')] = (
        None
    )

    def changes(self) -> dict[str, Any]:
        """As for every edit, of each rule."""
        found = {
            name: value.changes() if isinstance(value, EditRule) else value for name, value in super().changes().items()
        }
        for name in RULES:
            if "action" in found.get(name, {}):
                found[name]["action"] = Consequence(found[name]["action"])
        return found


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
        bool | None,
        Field(
            description="remove users 15 minutes after their key expired, was set to have expired, or this was turned on"
        ),
    ] = None
    execution_webhook: Annotated[
        ClearableUrl | None, Field(description="http(s) URL that hears of each start, in batches")
    ] = None
    information_webhook: Annotated[
        ClearableUrl | None,
        Field(description="http(s) URL that hears of changes of the project, its scripts and users"),
    ] = None
    blacklist_webhook: Annotated[
        ClearableUrl | None, Field(description="http(s) URL that hears of blacklisting and its end")
    ] = None
    engine: Annotated[Engine | None, Field(description="what protects its scripts that name no other")] = None
    luraph_options: Annotated[
        dict[LuraphOptionId, LuraphSetting] | None,
        Field(max_length=MAX_LURAPH_OPTIONS, description="all options of its jobs with Luraph, by the service's ids"),
    ] = None
    require_fingerprint: Annotated[bool | None, Field(description=REQUIRE_FINGERPRINT)] = None
    max_instances: Annotated[
        ClearableCount, Field(description="copies that each key without a `max_instances` of its own may run at once")
    ] = None
    max_devices: Annotated[
        MaxDevices | None, Field(description="devices that each key without a `max_devices` of its own is bound to")
    ] = None
    sharing: Annotated[
        EditSharing | None, Field(description="what is taken for a shared key; of it, what is to change")
    ] = None

    def changes(self) -> dict[str, Any]:
        """As for every edit, of each rule about shared keys too."""
        changes = super().changes()
        if self.sharing is not None:
            changes["sharing"] = self.sharing.changes()
            if not changes["sharing"]:
                del changes["sharing"]
        return changes


class ProjectReply(Success):
    project: ProjectView


class ProjectsReply(Success):
    projects: list[ProjectView]


class ProjectExecutionsReply(Success):
    executions: Annotated[
        dict[str, dict[str, int]],
        Field(examples=[{"total": {"01/01": 4}, "My script - SCRIPT_ID": {"01/01": 4}}]),
    ]


Days = Annotated[int, Field(ge=1, le=DAYS_SHOWN), Integral]


class RefusalQuery(Closed):
    days: Annotated[Days, QueryInteger, Field(description="how far back, default 7")] = REFUSAL_DAYS


class RefusedWithView(Reply):
    """How often keys were refused with a code."""

    model_config = example(code="FINGERPRINT_MISMATCH", times=14, users=3, last_at=1_770_624_500_000)

    code: str = Field(description="as customers' programs were told it")
    times: int
    users: int = Field(description="how many keys")
    last_at: int = Field(description="Unix milliseconds")

    @classmethod
    def of(cls, refused: RefusedWith) -> RefusedWithView:
        return cls(code=refused.code, times=refused.times, users=refused.users, last_at=refused.last_at)


class ProjectRefusalsReply(Success):
    since: Annotated[
        int,
        Field(
            description="Unix milliseconds; later than asked for where there were very many",
            examples=[1_770_019_700_000],
        ),
    ]
    refusals: list[RefusedWithView]


class ExecutorsReply(Success):
    executors: Annotated[dict[str, int], Field(examples=[{"Delta": 12}])]


@router.get("/projects", summary="List projects", openapi_extra=needs(Permission.PROJECTS_READ))
async def list_projects(
    caller: CurrentCaller, page: Annotated[PageQuery, Query()], backend: CurrentBackend
) -> ProjectsReply:
    """A page of the account's projects, oldest first."""
    found = await projects.list_of_account(
        backend.database, caller.account.id, only=caller.actor.projects, offset=page.offset, limit=page.size
    )
    return ProjectsReply(projects=[ProjectView.of(project) for project in found])


@router.post(
    "/projects",
    summary="Create a project",
    responses=refusing(ACCOUNT_EXPIRED, MAX_PROJECTS),
    openapi_extra=needs(Permission.PROJECTS_WRITE),
)
async def create_project(call: CurrentCall, new: Annotated[NewProject, Depends(JsonBody(NewProject))]) -> ProjectReply:
    """A project holds scripts, and the users who may run them."""
    return await call.change(
        lambda change: operations.create(change, name=new.name, require_fingerprint=new.require_fingerprint),
        _shown,
        version=operations.version,
    )


@router.get("/projects/{project_id}", summary="Get a project", openapi_extra=needs(Permission.PROJECTS_READ))
async def get_project(project: OwnedProject, call: CurrentReading) -> ProjectReply:
    """Settings, and how often its scripts were executed, those removed since included."""
    call.tag(operations.version(project))
    return _shown(project)


@router.post(
    "/projects/{project_id}/edit",
    summary="Edit a project",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.PROJECTS_WRITE, is_conditional=True),
)
async def edit_project(
    project: OwnedProject, edit: Annotated[EditProject, Depends(JsonBody(EditProject))], call: CurrentCall
) -> ProjectReply:
    """Fields left out or null stay as they are; `""` removes a webhook, or the limit of copies."""
    return await call.change(
        lambda change: operations.edit(change, project.id, edit.changes()), _shown, version=operations.version
    )


@router.post(
    "/projects/{project_id}/remove",
    summary="Remove a project",
    openapi_extra=needs(Permission.PROJECTS_WRITE, is_conditional=True),
)
async def remove_project(
    project: OwnedProject, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Removes its scripts, users and counters too, and closes every session at once."""
    return await call.change(lambda change: operations.remove(change, project.id), lambda _: Success())


@router.get(
    "/projects/{project_id}/executions",
    summary="Get a project's executions",
    openapi_extra=needs(Permission.PROJECTS_READ),
)
async def get_project_executions(project: OwnedProject, backend: CurrentBackend) -> ProjectExecutionsReply:
    """Executions of the last 30 UTC days: in all (`total`, removed scripts included) and per script (`NAME - ID`)."""
    days = days_shown(backend.clock())
    scripts, total = await projects.executions_by_script(backend.database, project.id, since=days[0])
    executions = {"total": by_month_and_day(days, total)}
    for script in scripts:
        executions[f"{script.name} - {script.script_id}"] = by_month_and_day(days, script.days)
    return ProjectExecutionsReply(executions=executions)


@router.get(
    "/projects/{project_id}/executors",
    summary="Get a project's executors",
    openapi_extra=needs(Permission.PROJECTS_READ),
)
async def get_executors(project: OwnedProject, backend: CurrentBackend) -> ExecutorsReply:
    """Which host programs its scripts were executed in, in the last 30 UTC days, the most used first."""
    since = days_shown(backend.clock())[0]
    return ExecutorsReply(executors=await projects.executors(backend.database, project.id, since=since))


@router.get(
    "/projects/{project_id}/refusals",
    summary="Get a project's refusals",
    openapi_extra=needs(Permission.PROJECTS_READ),
)
async def get_project_refusals(
    project: OwnedProject, query: Annotated[RefusalQuery, Query()], backend: CurrentBackend
) -> ProjectRefusalsReply:
    """With which codes its keys were refused, the most frequent first: of each key its last 20 count."""
    since, found = await refusals_by_code(backend.database, project.id, after=backend.clock() - query.days * DAY_MS)
    return ProjectRefusalsReply(since=since, refusals=[RefusedWithView.of(each) for each in found])


def _shown(project: Project) -> ProjectReply:
    return ProjectReply(project=ProjectView.of(project))
