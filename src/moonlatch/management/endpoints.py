"""Webhook endpoints: where a project's events are handed over to, and what became of each delivery."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Depends, Query
from pydantic import ConfigDict, Field, model_validator

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.webhooks import EndpointKind, ExecutionNews
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.endpoint_views import (
    AttemptView,
    DeliveriesReply,
    DeliveryQuery,
    DeliveryReply,
    DeliveryView,
    EndpointReply,
    EndpointSecretReply,
    EndpointsReply,
    EndpointView,
    OneDeliveryReply,
    ReplayedReply,
)
from moonlatch.management.fields import Closed, Edit, Empty, Id, Name, OneOf
from moonlatch.management.owned import OwnedDelivery, OwnedEndpoint, OwnedProject
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import MsOrDigits
from moonlatch.operations import endpoints as operations
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Reason
from moonlatch.storage import deliveries, endpoints
from moonlatch.storage.endpoints import Endpoint
from moonlatch.web.destination import MAX_URL

router = resource_router("webhooks")

MAX_ENDPOINTS = DocumentedError(1, Reason.MAX_ENDPOINTS, 403)
CANNOT_EDIT_NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)
ENDPOINT_DISABLED = DocumentedError(1, Reason.ENDPOINT_DISABLED, 409)
MAX_NAMED = 100
SHOWN_ATTEMPTS = 50

Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="http(s) URL, in ASCII")]
Kind = Annotated[
    Annotated[str, OneOf(EndpointKind)] | None,
    Field(description="`standard`: Standard Webhooks; `discord`: embeds. Found out from the URL"),
]
Events = Annotated[
    list[Annotated[str, OneOf(EventKind)]],
    Field(max_length=len(EventKind), description="kinds of events that it gets"),
]
Executions = Annotated[
    str, OneOf(ExecutionNews), Field(description="starts: `none`, `each` in batches, or `counts` by script")
]


class NewEndpoint(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks", "events": ["user.blacklisted"]}]}
    )

    url: Url
    name: Name = "webhook"
    kind: Kind = None
    events: Annotated[Events | None, Field(description="null: all of them")] = None
    executions: Executions = ExecutionNews.NONE


class EditEndpoint(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}]})

    url: Url | None = None
    name: Name | None = None
    kind: Kind = None
    events: Annotated[
        Events | Annotated[str, OneOf(("",))] | None, Field(description='kinds of events that it gets; `""`: all')
    ] = None
    executions: Executions | None = None
    enabled: Annotated[bool | None, Field(description="off: nothing is kept for it, and what waits is given up")] = None


class Replay(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"failed_since": 1_770_624_500_000}]})

    deliveries: Annotated[
        list[Id] | None, Field(min_length=1, max_length=MAX_NAMED, description="ids of deliveries")
    ] = None
    failed_since: Annotated[
        MsOrDigits | None, Field(description="Unix milliseconds: everything that was given up since, 10,000 at most")
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.deliveries is None) == (self.failed_since is None):
            raise ValueError("must have either deliveries or failed_since")
        return self


@router.get(
    "/projects/{project_id}/endpoints",
    summary="List a project's webhook endpoints",
    openapi_extra=needs(Permission.WEBHOOKS_READ),
)
async def list_endpoints(project: OwnedProject, backend: CurrentBackend) -> EndpointsReply:
    """Oldest first. Secrets are never shown, and of URLs not what lets anybody post there."""
    found = await endpoints.list_of_project(backend.database, project.id)
    return EndpointsReply(endpoints=[EndpointView.of(endpoint) for endpoint in found])


@router.post(
    "/projects/{project_id}/endpoints",
    summary="Create a webhook endpoint",
    responses=refusing(ACCOUNT_EXPIRED, MAX_ENDPOINTS),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE),
)
async def create_endpoint(
    project: OwnedProject, new: Annotated[NewEndpoint, Depends(JsonBody(NewEndpoint))], call: CurrentCall
) -> EndpointSecretReply:
    """From now on what happens in the project is sent there. The secret that it is signed with is shown only now."""
    await operations.check_reach(call.world, new.url)
    return await call.change(
        lambda change: operations.create(
            change,
            project.id,
            url=new.url,
            name=new.name,
            kind=None if new.kind is None else EndpointKind(new.kind),
            events=None if new.events is None else [EventKind(kind) for kind in new.events],
            executions=ExecutionNews(new.executions),
        ),
        _with_secret,
        version=lambda made: operations.version(made[0]),
    )


@router.get("/endpoints/{endpoint_id}", summary="Get a webhook endpoint", openapi_extra=needs(Permission.WEBHOOKS_READ))
async def get_endpoint(endpoint: OwnedEndpoint, call: CurrentReading) -> EndpointReply:
    """Its settings, and whether something still arrives there."""
    call.tag(operations.version(endpoint))
    return _shown(endpoint)


@router.post(
    "/endpoints/{endpoint_id}/edit",
    summary="Edit a webhook endpoint",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def edit_endpoint(
    endpoint: OwnedEndpoint, edit: Annotated[EditEndpoint, Depends(JsonBody(EditEndpoint))], call: CurrentCall
) -> EndpointReply:
    """Fields left out or null stay as they are. Switching it on again forgets the failures of before."""
    if edit.url is not None:
        await operations.check_reach(call.world, edit.url)
    changes = edit.changes()
    if changes.get("events") is not None:
        changes["events"] = tuple(changes["events"])
    return await call.change(
        lambda change: operations.edit(change, endpoint.id, changes), _shown, version=operations.version
    )


@router.post(
    "/endpoints/{endpoint_id}/remove",
    summary="Remove a webhook endpoint",
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def remove_endpoint(
    endpoint: OwnedEndpoint, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """With its log, and with what waits for it."""
    return await call.change(lambda change: operations.remove(change, endpoint.id), lambda _: Success())


@router.post(
    "/endpoints/{endpoint_id}/rotate_secret",
    summary="Give a webhook endpoint a new secret",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def rotate_endpoint_secret(
    endpoint: OwnedEndpoint, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> EndpointSecretReply:
    """For 24 hours everything is signed with the secret of before as well."""
    return await call.change(
        lambda change: operations.rotate_secret(change, endpoint.id),
        _with_secret,
        version=lambda made: operations.version(made[0]),
    )


@router.post(
    "/endpoints/{endpoint_id}/test",
    summary="Send a test to a webhook endpoint",
    responses=refusing(ACCOUNT_EXPIRED, ENDPOINT_DISABLED),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE),
)
async def send_test(
    endpoint: OwnedEndpoint, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> OneDeliveryReply:
    """A delivery of the kind `endpoint.test`; look it up to see how it went."""
    return await call.change(
        lambda change: operations.test(change, endpoint.id),
        lambda delivery: OneDeliveryReply(delivery=DeliveryView.of(delivery)),
    )


@router.get(
    "/endpoints/{endpoint_id}/deliveries",
    summary="List a webhook endpoint's deliveries",
    openapi_extra=needs(Permission.WEBHOOKS_READ),
)
async def list_deliveries(
    endpoint: OwnedEndpoint, query: Annotated[DeliveryQuery, Query()], backend: CurrentBackend
) -> DeliveriesReply:
    """The newest first, of the last 30 days."""
    found = await deliveries.list_of_endpoint(
        backend.database, endpoint.id, state=query.state or "", before_id=query.cursor, limit=query.limit
    )
    return DeliveriesReply(
        deliveries=[DeliveryView.of(each) for each in found],
        next=found[-1].id if len(found) == query.limit else None,
    )


@router.post(
    "/endpoints/{endpoint_id}/replay",
    summary="Send deliveries again",
    responses=refusing(ACCOUNT_EXPIRED, ENDPOINT_DISABLED),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE),
)
async def replay_deliveries(
    endpoint: OwnedEndpoint, replay: Annotated[Replay, Depends(JsonBody(Replay))], call: CurrentCall
) -> ReplayedReply:
    """Those that are named, or all that were given up since a time; under the same ids. Ids of other endpoints are passed over."""
    named, since = replay.deliveries, replay.failed_since
    return await call.change(
        lambda change: (
            operations.replay_some(change, endpoint.id, named)
            if named is not None
            else operations.replay_failed(change, endpoint.id, since=since or 0)
        ),
        lambda again: ReplayedReply(replayed=again),
    )


@router.get(
    "/deliveries/{delivery_id}", summary="Get a webhook delivery", openapi_extra=needs(Permission.WEBHOOKS_READ)
)
async def get_delivery(delivery: OwnedDelivery, backend: CurrentBackend) -> DeliveryReply:
    """With its last attempts, the newest first."""
    attempts = await deliveries.attempts(backend.database, delivery.id, limit=SHOWN_ATTEMPTS)
    return DeliveryReply(delivery=DeliveryView.of(delivery), attempts=[AttemptView.of(each) for each in attempts])


@router.post(
    "/deliveries/{delivery_id}/replay",
    summary="Send one delivery again",
    responses=refusing(ACCOUNT_EXPIRED, ENDPOINT_DISABLED),
    openapi_extra=needs(Permission.WEBHOOKS_WRITE),
)
async def replay_delivery(
    delivery: OwnedDelivery, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> OneDeliveryReply:
    """Under the same id, however it went before; its schedule begins anew."""
    return await call.change(
        lambda change: operations.replay(change, delivery.id),
        lambda again: OneDeliveryReply(delivery=DeliveryView.of(again)),
    )


def _shown(endpoint: Endpoint) -> EndpointReply:
    return EndpointReply(endpoint=EndpointView.of(endpoint))


def _with_secret(made: tuple[Endpoint, str]) -> EndpointSecretReply:
    endpoint, secret = made
    return EndpointSecretReply(endpoint=EndpointView.of(endpoint), secret=secret)
