"""What the OpenAPI document says beyond the routes: the shape of errors, with every extra, and examples of whole replies."""

from __future__ import annotations

from typing import Any

_TEXTS = {"type": "array", "items": {"type": "string"}}

ERROR_EXTRAS: dict[str, dict[str, Any]] = {
    "failed": {
        "description": "with `unauthorized or invalid request`: why, all of it; objects for status 400, texts otherwise",
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/FailedField"}]},
    },
    "retry_after": {
        "description": "with `ratelimited`, `temporarily unavailable` and `still running`: seconds to wait",
        "type": "integer",
        "minimum": 0,
    },
    "request_id": {"description": "with `internal server error`: finds it in the server's log", "type": "string"},
    "etag": {"description": "with `changed meanwhile`: what the resource is at now", "type": "string"},
    "reasons": {"description": "with `not ready`: what does not answer", **_TEXTS},
    "parser_output": {
        "description": "with `script is invalid`: what Luau itself would say, a message a line",
        "type": "string",
    },
    "hint": {
        "description": "with `script is invalid`, where it is known why all of it is refused: another dialect, or not a script",
        "type": "string",
    },
    "luraph_errors": {
        "description": "with `failed to obfuscate script` and `failed to obfuscate init script`",
        "type": "array",
        "items": {"$ref": "#/components/schemas/ParameterError"},
    },
    "why": {"type": "string", "description": "with `discord did not answer`: what came instead"},
    "build": {"type": "integer", "description": "with `build does not exist` and `build was yanked`: its number"},
    "channel": {"type": "string", "description": "with `channel does not exist`: its name"},
    "rollout": {"type": "string", "description": "with `another rollout is open`: its id"},
    "state": {"type": "string", "description": "with `rollout does not stand so`: how it stands"},
    "refusal": {
        "description": "with `the key may not start this script on this device`: the code that a start is refused with",
        "type": "string",
    },
    "retry_at": {
        "description": "with `on cooldown`: from when on it may be done, Unix milliseconds",
        "type": "integer",
    },
    "keys": {"description": "with what several users were given for: those that it is about", **_TEXTS},
    "fields": {"description": "with what exists already: each place in the request that has it", **_TEXTS},
    "limit": {"description": "with `too many users matched`: how many may fit", "type": "integer"},
}
"""The further fields of an error, each with the errors that have it."""

ERROR_SCHEMAS: dict[str, dict[str, Any]] = {
    "ErrorReply": {
        "description": "A refusal; nothing was changed.",
        "type": "object",
        "properties": {
            "success": {"type": "boolean", "const": False},
            "error": {"$ref": "#/components/schemas/ErrorDetail"},
        },
        "required": ["success", "error"],
        "additionalProperties": False,
    },
    "ErrorDetail": {
        "description": "Code and message, and the extras of the errors that have them.",
        "type": "object",
        "properties": {
            "code": {"type": "integer", "minimum": -1},
            "message": {"type": "string"},
            **ERROR_EXTRAS,
        },
        "required": ["code", "message"],
        "additionalProperties": False,
    },
    "FailedField": {
        "description": "A field that is wrong, with every reason.",
        "type": "object",
        "properties": {"field": {"type": "string"}, "errors": _TEXTS},
        "required": ["field", "errors"],
        "additionalProperties": False,
    },
    "ParameterError": {
        "description": "What a protecting engine objects to; `param` is null where it blames none.",
        "type": "object",
        "properties": {"param": {"type": ["string", "null"]}, "message": {"type": "string"}},
        "required": ["param", "message"],
        "additionalProperties": False,
    },
}


class NoExample(LookupError):
    """A part of a reply has no example: give its model or its field one."""


def example_of(schema: dict[str, Any], schemas: dict[str, Any], where: str = "") -> Any:
    """A whole example of a schema, put together from those of its parts. Raises NoExample."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return example_of(schemas[name], schemas, name)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:  # of what may be null, what it is otherwise
        return example_of(schema["anyOf"][0], schemas, where)
    match schema.get("type"):
        case "object" if "properties" in schema:
            # What only some replies have is not part of the usual one.
            shown = set(schema.get("required", ())) | {"success"}
            return {
                name: example_of(part, schemas, f"{where}.{name}")
                for name, part in schema["properties"].items()
                if name in shown
            }
        case "array":
            return [example_of(schema["items"], schemas, where)]
    raise NoExample(where)
