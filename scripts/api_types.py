"""Writes the API's OpenAPI document as TypeScript types, which the dashboard's sources are checked against: scripts/api_types.py FILE."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from moonlatch.clock import now_ms
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.management.application import management_app
from moonlatch.operations.context import World

HEAD = """// Made from the OpenAPI document by scripts/api_types.py: not to be edited, not in the repository.

"""


def type_of(schema: dict[str, Any]) -> str:
    """A JSON schema as a TypeScript type."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(type_of(each) for each in schema[several]))
    match schema.get("type"):
        case "object":
            return _object(schema)
        case "array":
            return f"Array<{type_of(schema.get('items', {}))}>"
        case "integer" | "number":
            return "number"
        case "string" | "boolean" | "null" as name:
            return str(name)
        case list() as names:
            return " | ".join(type_of({**schema, "type": name}) for name in names)
        case _:
            return "unknown"


def _object(schema: dict[str, Any]) -> str:
    properties = schema.get("properties", {})
    if not properties:
        values = schema.get("additionalProperties", False)
        if values is False:
            return "Record<string, never>"
        return f"Record<string, {type_of(values) if isinstance(values, dict) else 'unknown'}>"
    required = schema.get("required", ())
    # A reply's fields are always there, also those with a default.
    lines = (f"{name}{'' if name in required else '?'}: {type_of(one)}" for name, one in properties.items())
    return "{ " + "; ".join(lines) + " }"


def operation_of(operation: dict[str, Any]) -> str:
    """What an operation takes and gives."""
    parts = {"path": {}, "query": {}}
    for parameter in operation.get("parameters", []):
        if parameter["in"] in parts:
            mark = "" if parameter.get("required") else "?"
            parts[parameter["in"]][parameter["name"] + mark] = type_of(parameter["schema"])
    written = {
        name: "{ " + "; ".join(f"{key}: {kind}" for key, kind in fields.items()) + " }"
        for name, fields in parts.items()
    }
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    reply = operation["responses"]["200"]["content"]["application/json"]["schema"]
    permission = operation.get("x-permission")
    return (
        f"{{ path: {written['path']}; query: {written['query']}; body: {type_of(body) if body else 'undefined'}; "
        f"reply: {type_of(reply)}; permission: {json.dumps(permission)} }}"
    )


def main() -> None:
    nothing: Any = None  # only the routes are looked at
    world = World(database=nothing, live=nothing, keyring=nothing, tiers=BUILT_IN, clock=now_ms)
    document = management_app(world=world, live=nothing, publisher=nothing).openapi()
    lines = [f"export type {name} = {type_of(schema)};" for name, schema in document["components"]["schemas"].items()]
    lines.append(
        "export type Permission = " + " | ".join(json.dumps(str(permission)) for permission in Permission) + ";"
    )
    lines.append("export interface Operations {")
    for path, methods in document["paths"].items():
        lines += [
            f"  {json.dumps(f'{method.upper()} {path}')}: {operation_of(one)};" for method, one in methods.items()
        ]
    lines.append("}")
    Path(sys.argv[1]).write_text(HEAD + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
