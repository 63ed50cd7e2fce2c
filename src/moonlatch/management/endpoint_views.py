"""The objects that the replies about webhooks carry, and which deliveries may be asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moonlatch.management.fields import Clean, Closed, OneOf
from moonlatch.management.paging import DEFAULT_LIMIT, EmptyIsAbsent, QueryInteger, Size
from moonlatch.management.replies import Reply, Success, example
from moonlatch.storage.deliveries import LISTS, Attempt, Delivery
from moonlatch.storage.endpoints import Endpoint


class EndpointView(Reply):
    """A webhook endpoint. Of its URL only what lets nobody post there."""

    model_config = example(
        id="ENDPOINT_ID",
        project_id="PROJECT_ID",
        name="Our bot",
        field=None,
        kind="standard",
        url="https://example.com/hooks",
        events=["user.blacklisted"],
        executions="none",
        enabled=True,
        disabled_because=None,
        failing_since=None,
        previous_secret_until=None,
        created_at=1_770_624_500_000,
    )

    id: str
    project_id: str
    name: str
    field: str | None = Field(description="the setting of the project that it stands for")
    kind: str
    url: str
    events: list[str] | None = Field(description="kinds of events that it gets; null: all")
    executions: str
    enabled: bool
    disabled_because: str | None = Field(description="why it was switched off, where nobody did")
    failing_since: int | None = Field(description="Unix milliseconds: nothing arrived since; after 5 days it is off")
    previous_secret_until: int | None = Field(description="Unix milliseconds: until then two secrets sign")
    created_at: int

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointView:
        return cls(
            id=endpoint.id,
            project_id=endpoint.project_id,
            name=endpoint.name,
            field=endpoint.field,
            kind=endpoint.kind,
            url=endpoint.shown_url,
            events=None if endpoint.events is None else list(endpoint.events),
            executions=endpoint.executions,
            enabled=endpoint.enabled,
            disabled_because=endpoint.disabled_because,
            failing_since=endpoint.failing_since,
            previous_secret_until=endpoint.previous_until,
            created_at=endpoint.created_at,
        )


class DeliveryView(Reply):
    """One delivery; its id is the receiver's `webhook-id`."""

    model_config = example(
        id="DELIVERY_ID",
        endpoint_id="ENDPOINT_ID",
        kind="user.blacklisted",
        event_id="EVENT_ID",
        state="delivered",
        attempts=1,
        created_at=1_770_624_500_000,
        delivered_at=1_770_624_500_200,
        next_at=None,
    )

    id: str
    endpoint_id: str
    kind: str
    event_id: str | None
    state: str = Field(description="`waiting`, `delivered`, or `failed`: given up")
    attempts: int
    created_at: int
    delivered_at: int | None
    next_at: int | None = Field(description="Unix milliseconds: when it is tried next")

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        state = (
            "waiting" if delivery.next_at is not None else "failed" if delivery.delivered_at is None else "delivered"
        )
        return cls(
            id=delivery.id,
            endpoint_id=delivery.endpoint_id,
            kind=delivery.kind,
            event_id=delivery.event_id,
            state=state,
            attempts=delivery.attempts,
            created_at=delivery.created_at,
            delivered_at=delivery.delivered_at,
            next_at=delivery.next_at,
        )


class AttemptView(Reply):
    """One attempt. Without a status there was no answer, and `error` says why."""

    model_config = example(number=1, at=1_770_624_500_100, milliseconds=84, status=200, error=None, answer="ok")

    number: int
    at: int
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None = Field(description="the beginning of the answer, with secrets masked")

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        return cls(
            number=attempt.number,
            at=attempt.at,
            milliseconds=attempt.milliseconds,
            status=attempt.status,
            error=attempt.error,
            answer=attempt.answer,
        )


class DeliveryQuery(Closed):
    """Which deliveries."""

    state: Annotated[
        Annotated[str, OneOf(name for name in LISTS if name)] | None,
        EmptyIsAbsent,
        Field(description="`waiting`, `delivered` or `failed`: given up"),
    ] = None
    cursor: Annotated[
        Annotated[str, Field(max_length=64), Clean] | None,
        EmptyIsAbsent,
        Field(description="`next` of the page before"),
    ] = None
    limit: Annotated[Size, QueryInteger, Field(description="how many, default 50")] = DEFAULT_LIMIT


class EndpointReply(Success):
    endpoint: EndpointView


class EndpointsReply(Success):
    endpoints: list[EndpointView]


class EndpointSecretReply(Success):
    endpoint: EndpointView
    secret: str = Field(description="signs what is sent there; shown only now", examples=["whsec_SECRET"])


class DeliveriesReply(Success):
    deliveries: list[DeliveryView]
    next: str | None = Field(description="`cursor` of the next page; null on the last", examples=[None])


class DeliveryReply(Success):
    delivery: DeliveryView
    attempts: list[AttemptView]


class OneDeliveryReply(Success):
    delivery: DeliveryView


class ReplayedReply(Success):
    replayed: int = Field(description="how many are sent again", examples=[12])
