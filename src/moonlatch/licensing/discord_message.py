"""A message for a Discord webhook made of what a script or a template says: within the documented limits, mentioning nobody. Pure.

https://docs.discord.com/developers/resources/webhook#execute-webhook, https://docs.discord.com/developers/resources/message#embed-object
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moonlatch.licensing.discord import cut
from moonlatch.licensing.remotes import UnfitError

MOST_CONTENT = 2_000
MOST_NAME = 80
MOST_EMBEDS = 10
MOST_CHARACTERS = 6_000
"""Of titles, descriptions, fields, footers and authors of all embeds together."""

MOST_FIELDS = 25
MOST_URL = 2_048
MOST_COLOUR = 0xFFFFFF
_ELLIPSIS_ROOM = 1


def message_of(said: Any) -> dict[str, Any]:
    """The message: what Discord knows of it, cut to its limits. Raises UnfitError where nothing is left to be posted."""
    if not isinstance(said, dict):
        raise UnfitError("must be a table with the content or the embeds of a Discord message")
    message: dict[str, Any] = {}
    _texts(message, said, {"content": MOST_CONTENT, "username": MOST_NAME})
    _urls(message, said, ("avatar_url",))
    embeds = said.get("embeds")
    budget = _Budget()
    found = [_embed(each, budget) for each in (embeds if isinstance(embeds, list) else [])[:MOST_EMBEDS]]
    kept = [embed for embed in found if embed]
    if kept:
        message["embeds"] = kept
    if not message.get("content") and not kept:
        raise UnfitError("must have the content or the embeds of a Discord message")
    # Content and names are what customers wrote: whoever they name is not called.
    return {**message, "allowed_mentions": {"parse": []}}


class _Budget:
    def __init__(self) -> None:
        self.left = MOST_CHARACTERS

    def cut(self, text: str, most: int) -> str:
        text = cut(text, min(most, self.left)) if self.left > _ELLIPSIS_ROOM else ""
        self.left -= len(text)
        return text


def _embed(said: Any, budget: _Budget) -> dict[str, Any]:
    if not isinstance(said, dict):
        return {}
    embed: dict[str, Any] = {}
    _texts(embed, said, {"title": 256, "description": 4_096}, budget)
    _urls(embed, said, ("url",))
    colour = said.get("color")
    if isinstance(colour, int | float) and 0 <= colour <= MOST_COLOUR:
        embed["color"] = int(colour)
    if isinstance(said.get("timestamp"), str):
        embed["timestamp"] = said["timestamp"][:40]
    for name, texts, urls in (
        ("footer", {"text": 2_048}, ("icon_url",)),
        ("author", {"name": 256}, ("url", "icon_url")),
        ("image", {}, ("url",)),
        ("thumbnail", {}, ("url",)),
    ):
        part: dict[str, Any] = {}
        inner = said.get(name)
        if isinstance(inner, dict):
            _texts(part, inner, texts, budget)
            _urls(part, inner, urls)
        if part:
            embed[name] = part
    fields = said.get("fields")
    kept = [_field(each, budget) for each in (fields if isinstance(fields, list) else [])[:MOST_FIELDS]]
    if any(kept):
        embed["fields"] = [field for field in kept if field]
    return embed


def _field(said: Any, budget: _Budget) -> dict[str, Any]:
    field: dict[str, Any] = {}
    if isinstance(said, dict):
        _texts(field, said, {"name": 256, "value": 1_024}, budget)
    if set(field) != {"name", "value"}:  # Discord refuses the whole message for one without
        return {}
    return {**field, "inline": said.get("inline") is True}


def _texts(
    to: dict[str, Any], said: Mapping[str, Any], limits: Mapping[str, int], budget: _Budget | None = None
) -> None:
    for name, most in limits.items():
        value = said.get(name)
        if isinstance(value, bool | int | float):
            value = str(value)
        if isinstance(value, str) and value.strip():
            text = cut(value, most) if budget is None else budget.cut(value, most)
            if text:
                to[name] = text


def _urls(to: dict[str, Any], said: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and len(value) <= MOST_URL and value.lower().startswith(("https://", "http://")):
            to[name] = value
