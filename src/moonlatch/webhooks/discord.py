"""What an endpoint of the kind `discord` is sent: embeds, within Discord's documented limits, that mention nobody. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.clock import iso_time
from moonlatch.json_bounds import decode
from moonlatch.licensing.discord import cut, plain
from moonlatch.licensing.discord_message import MOST_CHARACTERS, MOST_EMBEDS
from moonlatch.operations.endpoints import TEST
from moonlatch.operations.kinds import DESCRIPTIONS, EventKind
from moonlatch.storage.deliveries import Claimed
from moonlatch.storage.events import Event
from moonlatch.webhooks.starts import COUNTED, STARTED

_EMBED_CHARACTERS = MOST_CHARACTERS // MOST_EMBEDS - 20
_TITLE, _NAME, _VALUE = 120, 60, 200
_FIELDS = 8
_ELLIPSIS = "…"


def message_of(embeds: Sequence[dict[str, Any]]) -> bytes:
    """The body of one message with up to `MOST_EMBEDS`. Names and notes are what customers wrote: nobody is mentioned."""
    return msgspec.json.encode({"embeds": list(embeds), "allowed_mentions": {"parse": []}})


def with_wait(url: str) -> str:
    """The URL that answers after the message was posted, so that errors are told."""
    return url + ("&" if "?" in url else "?") + "wait=true"


def embed_of(claimed: Claimed, project_id: str) -> dict[str, Any] | None:
    """The embed of a delivery; None for an event that is no longer kept."""
    delivery = claimed.delivery
    if delivery.body is not None:
        title, fields = _told(delivery.kind, decode(delivery.body))
    elif claimed.event is not None:
        title, fields = _happened(claimed.event)
    else:
        return None
    return {
        "title": cut(title, _TITLE),
        "color": colour_of(project_id),
        "fields": _bounded(fields),
        "timestamp": iso_time(delivery.created_at),
        "footer": {"text": delivery.kind},
    }


def colour_of(project_id: str) -> int:
    """A project's own colour, of 24 bits: the same in all its messages."""
    return int(crypto.content_hash(project_id.encode())[:6], 16)


def _happened(event: Event) -> tuple[str, list[tuple[str, str]]]:
    fields = [(event.resource_kind, _named(event.resource_label, event.resource_id)), ("by", plain(event.actor_name))]
    for name, (before, after) in event.changes.items():
        fields.append(
            (name, plain(_said(after)) if before is None else f"{plain(_said(before))} → {plain(_said(after))}")
        )
    return DESCRIPTIONS[EventKind(event.kind)], fields


def _told(kind: str, body: Any) -> tuple[str, list[tuple[str, str]]]:
    if kind == TEST:
        return "A test, as you asked.", [("by", plain(body["requested_by"]))]
    if kind == STARTED:
        lines = [_start_line(start) for start in body["starts"]]
        return f"{len(lines)} start{'s' * (len(lines) != 1)}", [("starts", "\n".join(lines))]
    if kind == COUNTED:
        counts = [(script["name"], str(script["starts"])) for script in body["scripts"]]
        return f"{body['starts']} starts", [(plain(name), count) for name, count in counts]
    return kind, []


def _start_line(start: Mapping[str, Any]) -> str:
    who = f"<@{start['discord_id']}>" if start["discord_id"] else plain(start["user_id"] or "without a key")[:10]
    return f"{plain(start['script'])[:40]} · {who} · {plain(start['executor'] or 'unknown')[:24]}"


def _named(label: str | None, resource_id: str) -> str:
    return plain(label or resource_id)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _bounded(fields: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """As many of them, and as much of each, as every embed of a full message may have."""
    left, kept = _EMBED_CHARACTERS - _TITLE - len(_ELLIPSIS) - 40, []
    for name, value in fields[:_FIELDS]:
        name = cut(name, _NAME) or _ELLIPSIS
        value = cut(value, min(_VALUE if len(fields) > 1 else left, left - len(name))) or _ELLIPSIS
        left -= len(name) + len(value)
        if left < 0:
            break
        kept.append({"name": name, "value": value, "inline": len(value) < 40})
    return kept
