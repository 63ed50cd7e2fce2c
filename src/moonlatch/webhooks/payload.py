"""What an endpoint of the kind `standard` is sent (Standard Webhooks 1.0). Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.clock import iso_time
from moonlatch.operations.calls import RENDERED
from moonlatch.storage.deliveries import Claimed, Delivery
from moonlatch.storage.events import Event


def payload_of(claimed: Claimed) -> bytes | None:
    """The body; None for an event that is no longer kept.

    `sequence` grows with time: of two payloads about one thing the later has the greater one, whichever comes first.
    """
    data = data_of(claimed)
    if data is None:
        return None
    delivery = claimed.delivery
    if delivery.kind == RENDERED:
        return (delivery.body or "").encode()
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
