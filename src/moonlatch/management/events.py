"""Event endpoints: who did what, when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from moonlatch.errors import forbidden
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.fields import Clean, Closed, OneOf
from moonlatch.management.owned import OwnedProject, OwnedUser
from moonlatch.management.paging import DEFAULT_LIMIT, EmptyIsAbsent, QueryInteger, Size
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import MsOrDigits
from moonlatch.operations.context import Actor
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import events
from moonlatch.storage.events import Event, EventFilter

router = resource_router("events")

EXPORTED_AT_ONCE = 100
"""Events that are read in one turn of the loop."""

NDJSON = "application/x-ndjson"
_EXPORT: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}}

_Id = Annotated[str, Field(max_length=64), Clean]


class ResourceEventQuery(Closed):
    """Which events of one resource."""

    kind: Annotated[Annotated[str, OneOf(EventKind)] | None, EmptyIsAbsent, Field(description="kind of event")] = None
    actor: Annotated[_Id | None, EmptyIsAbsent, Field(description="id of the token or member who did it")] = None
    since: Annotated[MsOrDigits | None, EmptyIsAbsent, Field(description="Unix milliseconds, inclusive")] = None
    until: Annotated[MsOrDigits | None, EmptyIsAbsent, Field(description="Unix milliseconds, exclusive")] = None
    cursor: Annotated[_Id | None, EmptyIsAbsent, Field(description="`next` of the page before")] = None
    limit: Annotated[Size, QueryInteger, Field(description="how many, default 50")] = DEFAULT_LIMIT
    format: Annotated[
        Annotated[str, OneOf(("json", "ndjson"))],
        Field(description="`ndjson`: all of them, one JSON object a line, without pages"),
    ] = "json"

    def of_resource(self, resource_id: str | None, project_id: str | None) -> EventFilter:
        return EventFilter(
            project_id=project_id,
            kind=self.kind,
            resource_id=resource_id,
            actor_id=self.actor,
            since=self.since,
            until=self.until,
        )


class EventQuery(ResourceEventQuery):
    """Which events of whatever somebody may read."""

    resource: Annotated[_Id | None, EmptyIsAbsent, Field(description="id of what it is about")] = None

    def of_project(self, project_id: str | None) -> EventFilter:
        return self.of_resource(self.resource, project_id)


class ActorView(Reply):
    """Who did it: an API token, a member, a Discord account, the command line, a job or an import."""

    kind: str
    id: str
    name: str
    address: str | None = Field(description="the address the call came from, where there was one")


class ResourceView(Reply):
    """What it was done to; `label` is null for what was erased since."""

    kind: str
    id: str
    label: str | None


class EventView(Reply):
    """One event. `changes` has `[old, new]` by field; secrets are masked."""

    model_config = example(
        id="EVENT_ID",
        at=1_770_624_500_000,
        kind="project.edited",
        project_id="PROJECT_ID",
        actor={"kind": "token", "id": "TOKEN_ID", "name": "bot", "address": "192.0.2.7"},
        resource={"kind": "project", "id": "PROJECT_ID", "label": "My game"},
        changes={"name": ["My game", "My other game"]},
        request_id="REQUEST_ID",
    )

    id: str
    at: int = Field(description="Unix milliseconds")
    kind: str
    project_id: str | None
    actor: ActorView
    resource: ResourceView
    changes: dict[str, tuple[Any, Any]]
    request_id: str | None = Field(description="the `X-Request-Id` of the call")

    @classmethod
    def of(cls, event: Event) -> EventView:
        return cls(
            id=event.id,
            at=event.at,
            kind=event.kind,
            project_id=event.project_id,
            actor=ActorView(kind=event.actor_kind, id=event.actor_id, name=event.actor_name, address=event.address),
            resource=ResourceView(kind=event.resource_kind, id=event.resource_id, label=event.resource_label),
            changes=event.changes,
            request_id=event.request_id,
        )


class EventsReply(Success):
    events: list[EventView]
    next: str | None = Field(description="`cursor` of the next page; null on the last", examples=[None])


@router.get(
    "/events",
    summary="List an account's events",
    responses=_EXPORT,
    openapi_extra=needs(Permission.EVENTS_READ),
)
async def list_events(
    query: Annotated[EventQuery, Query()], caller: CurrentCaller, backend: CurrentBackend
) -> EventsReply:
    """The newest first. Whoever reaches only some projects reads those of one project at a time."""
    if caller.actor.projects is not None:
        raise forbidden("this needs access to all projects of the account")
    return await _answer(backend, caller.actor, query, query.of_project(None))


@router.get(
    "/projects/{project_id}/events",
    summary="List a project's events",
    responses=_EXPORT,
    openapi_extra=needs(Permission.EVENTS_READ),
)
async def list_project_events(
    project: OwnedProject, query: Annotated[EventQuery, Query()], caller: CurrentCaller, backend: CurrentBackend
) -> EventsReply:
    """The newest first: what was done to the project, its scripts and its users."""
    return await _answer(backend, caller.actor, query, query.of_project(project.id))


@router.get(
    "/users/{key}/events",
    summary="List a user's events",
    responses=_EXPORT,
    openapi_extra=needs(Permission.EVENTS_READ),
)
async def list_user_events(
    user: OwnedUser, query: Annotated[ResourceEventQuery, Query()], caller: CurrentCaller, backend: CurrentBackend
) -> EventsReply:
    """The newest first: what was done to one key, and by whom."""
    return await _answer(backend, caller.actor, query, query.of_resource(user.id, user.project_id))


async def _answer(backend: Backend, actor: Actor, query: ResourceEventQuery, where: EventFilter) -> EventsReply:
    if query.format == "ndjson":
        return cast("EventsReply", StreamingResponse(_lines(backend, actor, where), media_type=NDJSON))
    found = await events.list_of_account(
        backend.database, actor.account_id, where, before_id=query.cursor, limit=query.limit
    )
    return EventsReply(
        events=[EventView.of(event) for event in found], next=found[-1].id if len(found) == query.limit else None
    )


async def _lines(backend: Backend, actor: Actor, where: EventFilter) -> AsyncIterator[bytes]:
    before = None
    while True:
        # By a task of its own, which the gate does not pace.
        lines, before = await backend.turns.paced(_some_lines(backend, actor, where, before), actor.account_id)
        yield lines
        if before is None:
            return


async def _some_lines(
    backend: Backend, actor: Actor, where: EventFilter, before: str | None
) -> tuple[bytes, str | None]:
    """Events behind one, and the last of them where there may be more."""
    found = await events.list_of_account(
        backend.database, actor.account_id, where, before_id=before, limit=EXPORTED_AT_ONCE
    )
    lines = b"".join(EventView.of(event).model_dump_json().encode() + b"\n" for event in found)
    return lines, found[-1].id if len(found) == EXPORTED_AT_ONCE else None
