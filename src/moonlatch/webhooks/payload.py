"""What an endpoint of the kind `standard` is sent, and how it is signed (Standard Webhooks 1.0). Pure but for the keys it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.clock import iso_time
from moonlatch.storage.deliveries import Claimed, Delivery
from moonlatch.storage.events import Event

CONTENT_TYPE = "application/json"


def payload_of(claimed: Claimed) -> bytes | None:
    """The body; None for an event that is no longer kept.

    `sequence` grows with time: of two payloads about one thing the later has the greater one, whichever comes first.
    """
    data = data_of(claimed)
    if data is None:
        return None
    delivery = claimed.delivery
    return msgspec.json.encode(
        {
            "type": delivery.kind,
            "timestamp": iso_time(delivery.created_at),
            "sequence": sequence_of(delivery),
            "data": data,
        }
    )


def data_of(claimed: Claimed) -> Any:
    """What a delivery is about; None for an event that is no longer kept."""
    if claimed.delivery.body is not None:
        return msgspec.Raw(claimed.delivery.body.encode())
    return None if claimed.event is None else event_data(claimed.event)


def event_data(event: Event) -> dict[str, Any]:
    """An event as the API shows it, without what says from where somebody acted."""
    return {
        "id": event.id,
        "at": event.at,
        "project_id": event.project_id,
        "actor": {"kind": event.actor_kind, "id": event.actor_id, "name": event.actor_name},
        "resource": {"kind": event.resource_kind, "id": event.resource_id, "label": event.resource_label},
        "changes": event.changes,
    }


def sequence_of(delivery: Delivery) -> int:
    """A number from a delivery's id, which begins with milliseconds and a count within them; exact in every JSON reader."""
    return int(delivery.id[:12], 16) * 1000 + min(int(delivery.id[12:16], 16), 999)


def headers_of(delivery: Delivery, body: bytes, secrets: Sequence[str], *, now_seconds: int) -> dict[str, str]:
    """The headers of one attempt: the same id each time, and a signature with each secret that is good."""
    signed = f"{delivery.id}.{now_seconds}.".encode() + body
    return {
        "Content-Type": CONTENT_TYPE,
        "Webhook-Id": delivery.id,
        "Webhook-Timestamp": str(now_seconds),
        "Webhook-Signature": " ".join(crypto.webhook_signature(secret, signed) for secret in secrets),
    }
