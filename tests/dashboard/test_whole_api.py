"""Whatever the API can do has its place in the page, or a reason why it has none: a new operation or field that was forgotten fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from moonlatch.clock import now_ms
from moonlatch.licensing.sharing import RULES
from moonlatch.management.application import management_app
from moonlatch.operations.context import World
from support.management import TIERS, operations

PAGE = Path(__file__).parents[2] / "src/moonlatch/dashboard/page"

ELSEWHERE = {
    "POST /sessions/{session_id}/disconnect": "the page disconnects one as it does several",
    "POST /sessions/{session_id}/message": "the page messages one as it does several",
    "POST /deliveries/{delivery_id}/replay": "the page sends one again as it does several",
    "GET /rollouts/{rollout_id}": "the page has those of a script together",
    "GET /projects/{project_id}/news": "read as a stream, by api/news.ts",
    "GET /scripts/{script_id}/builds/{number}/explain": "for the command line and bots",
    "GET /health/live": "asked by api/connection.ts while the server is away",
    "GET /health/ready": "for load balancers; the page shows the engines of GET /server",
}
"""Operations that the page does not call as such, and why."""

FIELDS_ELSEWHERE = {
    ("POST /projects/{project_id}/edit", rule): "the page has fields for each rule that the project tells of"
    for rule in RULES
    if rule != "devices"
}
"""Fields of bodies that no form has, and why."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    nothing: Any = None  # only its document is looked at
    world = World(database=nothing, live=nothing, keyring=nothing, tiers=TIERS, clock=now_ms)
    return management_app(world=world, live=nothing, publisher=nothing)


@cache
def sources() -> dict[Path, str]:
    return {
        path: path.read_text("utf-8")
        for path in (*PAGE.rglob("*.ts"), *PAGE.rglob("*.tsx"))
        if path.name != "types.ts" and path.parent.name != "en"
    }


def callers(name: str) -> list[Path]:
    return [path for path, text in sources().items() if f'"{name}"' in text and path.name != "client.ts"]


def names(app: FastAPI) -> set[str]:
    return {f"{method} {path}" for method, path, _ in operations(app)}


def test_every_operation_has_its_place_or_a_reason_why_it_has_none(app: FastAPI) -> None:
    without_place = {name for name in names(app) if not callers(name)}
    assert sorted(without_place) == sorted(ELSEWHERE)


def fields(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    """The names of everything that can be said in a body."""
    if "$ref" in schema:
        yield from fields(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for name, each in schema.get("properties", {}).items():
        yield name
        yield from fields(each, schemas)
    for each in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])):
        yield from fields(each, schemas)


def test_every_field_of_a_change_can_be_given_in_the_page(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    missing = set()
    for method, path, operation in operations(app):
        name = f"{method} {path}"
        if "requestBody" not in operation or name in ELSEWHERE or not callers(name):
            continue
        nearby = "".join(text for each in callers(name) for at, text in sources().items() if at.parent == each.parent)
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        missing |= {(name, field) for field in fields(body, schemas) if not re.search(rf"\b{field}\b", nearby)}
    assert sorted(missing) == sorted(FIELDS_ELSEWHERE)
