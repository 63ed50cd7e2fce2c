"""Says what is wrong with a setting in the words of the reference page. Knows the library's kinds of errors, and none of its words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from moonlatch.config.reference import TIER_PLACEHOLDER, TIERS, describe_settings
from moonlatch.config.settings import Settings
from moonlatch.licensing.tier import UNLIMITED

_OWN_REASON = "value_error"
_UNKNOWN_NAME = "extra_forbidden"
_WHOLE_NUMBER = {"int_from_float", "int_parsing", "int_type", "int_parsing_size"}
# How the reference page begins what it allows.
_TEXT, _SWITCH, _LIST, _OR_UNLIMITED = "text", "true, false", "list of", f', "{UNLIMITED}"'


def reason_for(details: Mapping[str, Any]) -> str:
    """What is wrong with one setting: `details` is one of the errors of a ValidationError."""
    location = tuple(str(part) for part in details["loc"])
    if details["type"] == _OWN_REASON:
        return str(details["ctx"]["error"])
    if details["type"] == _UNKNOWN_NAME:
        return unknown_name(".".join(location), [".".join(path) for path in setting_paths(Settings)])
    allowed = _allowed(location)
    if allowed is None:
        section = ".".join(location)
        return f"is a section: name the settings in it, like `[{section}]` in the file, with one of them a line"
    if allowed == _TEXT:
        return _text_reason(details)
    if allowed == _SWITCH:
        return "should be true or false"
    if allowed.startswith('"'):
        return f"should be one of {allowed}"
    if allowed.startswith(_LIST):
        return f"should be a {allowed}"
    number = "a whole number, " if details["type"] in _WHOLE_NUMBER else ""
    # The page lists what is allowed; in a sentence the last of it is joined by "or".
    return f"should be {number}{allowed.replace(_OR_UNLIMITED, _OR_UNLIMITED.replace(', ', ', or '))}"


def unknown_name(name: str, known: list[str]) -> str:
    """Says that no setting is called so, and which one may be meant."""
    close = difflib.get_close_matches(name, known, n=1)
    return "no setting has this name" + (f"; did you mean {close[0]}?" if close else "")


def setting_paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Where each setting stands in the tree, like `("protector", "workers")`."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in setting_paths(field.annotation))
        else:
            yield (name,)


def secret_paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Where those stand that are never shown."""
    for name, field in model.model_fields.items():
        if field.annotation is SecretStr:
            yield (name,)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in secret_paths(field.annotation))


def _allowed(location: tuple[str, ...]) -> str | None:
    """What the reference page says is allowed there; None for a section. The library may add parts of its own at the end."""
    if location[0] == TIERS:
        location = (TIERS, TIER_PLACEHOLDER, *location[2:]) if len(location) > 2 else (TIERS,)
    described = {one.path: one.allowed for one in describe_settings()}
    for length in range(len(location), 0, -1):
        allowed = described.get(".".join(location[:length]))
        if allowed is not None:
            return allowed
    return None


def _text_reason(details: Mapping[str, Any]) -> str:
    bounds = details.get("ctx", {})
    match details["type"]:
        case "string_too_long" | "too_long":
            return f"should be at most {bounds['max_length']:,} characters"
        case "string_too_short":
            return "should not be empty"
        case "string_pattern_mismatch":
            return "should be printable ASCII characters without spaces"
    return "should be text"
