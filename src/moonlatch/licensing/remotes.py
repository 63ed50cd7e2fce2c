"""Remotes: what scripts reach through the server by name. Bounds of what is handed over, and templates that data cannot leave. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

MAX_PER_OWNER = 50
MAX_PER_MINUTE = 600
PER_KEY, PER_INSTANCE = 30, 10
"""Calls in a minute where the seller says nothing."""

MAX_TIMEOUT_SECONDS = 15
TIMEOUT_SECONDS = 5

MAX_DATA_BYTES = 8_192
"""Of what a script hands over, as JSON in UTF-8."""

MAX_ANSWER_BYTES = 16_384
"""Of what a server function answers."""

MAX_DEPTH = 16
MAX_VALUES = 1_000
MAX_TEMPLATE_BYTES = 4_096
MAX_BODY_BYTES = 16_384
"""Of what a template becomes."""

RESERVED = "la_"
"""What the server fills in begins with it: a script's data cannot stand in for it."""

_PLACE = re.compile(r"\{\{ ?([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*) ?\}\}")


class RemoteKind(StrEnum):
    """What becomes of a call: posted and forgotten, or answered."""

    WEBHOOK = "webhook"
    FUNCTION = "function"


class UnfitError(ValueError):
    """Data, or what became of it, that is not handed on; the words are for the script's author."""


def check_shape(value: Any) -> None:
    """Raise UnfitError for what is nested too deep or holds too many values. Without recursion, so at any depth."""
    level, count = [value] if isinstance(value, dict | list) else [], 1
    for _ in range(MAX_DEPTH):
        inside = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        count += len(inside)
        if count > MAX_VALUES:
            raise UnfitError(f"may hold {MAX_VALUES} values at most")
        level = [inner for inner in inside if isinstance(inner, dict | list)]
        if not level:
            return
    raise UnfitError(f"may be {MAX_DEPTH} levels deep at most")


def rendered(
    template: Any, data: Any, facts: Mapping[str, Any], shown: Callable[[str], str] = lambda text: text
) -> Any:
    """A template with data in its places. Raises UnfitError for what becomes too large.

    `{{name}}` as a whole text is replaced by the value, of any type; within a text by the value's text, which `shown` may make
    harmless for its readers. Templates are trees and not text: whatever the data is, nothing around it changes.
    """
    return _Renderer(data, facts, shown).value(template)


class _Renderer:
    def __init__(self, data: Any, facts: Mapping[str, Any], shown: Callable[[str], str]) -> None:
        self._data = data
        self._facts = facts
        self._shown = shown
        self._left = MAX_BODY_BYTES

    def value(self, template: Any) -> Any:
        match template:
            case str():
                return self._text(template)
            case dict():
                return {name: self.value(each) for name, each in template.items()}
            case list():
                return [self.value(each) for each in template]
            case _:
                return template

    def _text(self, template: str) -> Any:
        whole = _PLACE.fullmatch(template)
        if whole is not None:
            value = self._find(whole[1])
            self._spend(as_text(value))
            return value
        return _PLACE.sub(self._put, template)

    def _put(self, place: re.Match[str]) -> str:
        value = self._find(place[1])
        text = self._shown("" if value is None else value if isinstance(value, str) else as_text(value))
        self._spend(text)
        return text

    def _find(self, name: str) -> Any:
        if name.startswith(RESERVED):
            return self._facts.get(name)
        found = self._data
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _spend(self, text: str) -> None:
        # A template of a thousand places would make megabytes of a few kilobytes.
        self._left -= len(text)
        if self._left < 0:
            raise UnfitError(f"become more than {MAX_BODY_BYTES} bytes in the webhook's template")


def as_text(value: Any) -> str:
    """A value as JSON, in few characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def as_body(value: Any) -> str:
    """What is sent, as JSON. Raises UnfitError for what is too large."""
    text = as_text(value)
    if len(text.encode()) > MAX_BODY_BYTES:
        raise UnfitError(f"become more than {MAX_BODY_BYTES} bytes")
    return text
