"""The reference pages have every endpoint, every field and every error; they cannot rot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from moonlatch.clock import now_ms
from moonlatch.management.application import management_app
from moonlatch.operations.context import World
from support.management import TIERS, operations

DOCS = Path(__file__).parents[2] / "docs" / "reference"
API = (DOCS / "api.md").read_text()
ERRORS = (DOCS / "errors.md").read_text()


@pytest.fixture(scope="module")
def app() -> FastAPI:
    # Only its routes are looked at; nothing behind them is ever called.
    nothing: Any = None
    world = World(database=nothing, live=nothing, keyring=nothing, tiers=TIERS, clock=now_ms)
    return management_app(world=world, live=nothing, publisher=nothing)


VIEWS = {
    "sign-in session": "SignInSessionView",
    "scheduled build": "ScheduledBuildView",
    "ad system": "AdSystemView",
    "ad step": "AdStepView",
    "Discord link": "DiscordLinkView",
}
"""Objects whose model has another name."""

ON_EVERY_CHANGE = {"dry_run"}
"""Described once, for all of them."""


def heading(method: str, path: str) -> str:
    return f"{method} {path.replace('{', ':').replace('}', '')}"


def section(method: str, path: str) -> str:
    start = API.index(f"### `{heading(method, path)}`\n")
    return API[start : API.find("\n##", start + 1)]


def test_the_api_page_has_every_endpoint_and_no_other(app: FastAPI) -> None:
    documented = re.findall(r"^### `([A-Z]+ /[^`]*)`$", API, re.MULTILINE)
    assert sorted(documented) == sorted(heading(method, path) for method, path, _ in operations(app))


def test_each_endpoints_section_names_its_fields(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for method, path, operation in operations(app):
        names = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        names -= ON_EVERY_CHANGE
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            names |= set(schemas[reference.rpartition("/")[2]].get("properties", {}))
        rows = set(re.findall(r"^\| `(\w+)` \|", section(method, path), re.MULTILINE))
        assert rows == names, heading(method, path)


def test_each_objects_section_names_its_fields(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for noun in (
        "script",
        "protection",
        "build",
        "channel",
        "pin",
        "rollout",
        "error",
        "scheduled build",
        "project",
        "user",
        "execution",
        "refusal",
        "instance",
        "session",
        "account",
        "server",
        "token",
        "member",
        "me",
        "sign-in session",
        "passkey",
        "link",
        "endpoint",
        "delivery",
        "ad system",
        "ad step",
        "application",
        "Discord link",
    ):
        start = API.index(f"### The {noun} object\n")
        rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", API[start : API.find("\n##", start + 1)], re.MULTILINE)
        names = [name for row in rows for name in re.findall(r"\w+", row)]
        assert names == list(schemas[VIEWS.get(noun, f"{noun.capitalize()}View")]["properties"]), noun


def own_errors(operation: dict[str, Any]) -> set[tuple[int, str, str]]:
    """Code, message and status of what only some endpoints answer."""
    return {
        (body["error"]["code"], body["error"]["message"], status)
        for status, response in operation["responses"].items()
        if status != "200"
        for body in (example["value"] for example in response["content"]["application/json"]["examples"].values())
        if body["error"]["code"] >= 0 or body["error"]["message"] == "not ready"
    }


def test_each_endpoints_section_has_its_own_errors_and_no_other(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        rows = re.findall(r"^\| (-?\d+) \| ([^|]+) \| (\d+) \|", section(method, path), re.MULTILINE)
        assert {(int(code), message, status) for code, message, status in rows} == own_errors(operation), path


def test_the_error_page_has_every_error_and_no_other(app: FastAPI) -> None:
    answered = {
        (body["error"]["code"], body["error"]["message"], status)
        for _, _, operation in operations(app)
        for status, response in operation["responses"].items()
        if status != "200"
        for body in (example["value"] for example in response["content"]["application/json"]["examples"].values())
    }
    answered |= {(-1, "invalid endpoint", "404"), (-1, "invalid endpoint", "405")}
    rows = re.findall(r"^\| (-?\d+) \| ([^|]+) \| (\d+) \|", ERRORS, re.MULTILINE)
    assert {(int(code), message, status) for code, message, status in rows} == answered
