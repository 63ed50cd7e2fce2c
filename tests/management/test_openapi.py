"""The OpenAPI document against the live routes, and against our own idea of complete."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, assume, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from moonlatch.management.application import ROUTERS
from moonlatch.management.document_parts import NoExample, example_of
from support import rows
from support.management import Api, running_api
from support.rounds import IS_LONG, rounds

ROOT = Path(__file__).parents[2]
EXAMPLES_PER_OPERATION = rounds(2, 40)
OPERATIONS = [
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in sorted(route.methods or ())
]
WITHOUT_INPUT = {"/health/live", "/health/ready", "/ads/providers"}
# Where a body may fit its schema and still be refused, because no schema can say what is wrong with it.
MORE_THAN_A_SCHEMA_SAYS = {
    "/scripts/{script_id}/edit": "an edit must change something",
    "/projects/{project_id}/edit": "an edit must change something, and a webhook is a URL",
    "/projects/{project_id}/variables": "integers in a value must be exact, and it has a size",
    "/scripts/{script_id}/variables": "integers in a value must be exact, and it has a size",
    "/projects/{project_id}/remotes": "the endpoint must be one of the project, and a template has a size",
    "/scripts/{script_id}/remotes": "the endpoint must be one of the project, and a template has a size",
    "/users/{key}/variables": "integers in a value must be exact, and it has a size",
    "/scripts/{script_id}/builds/{number}/explain": "a place names a line",
    "/projects/{project_id}/endpoints": "an endpoint is a URL",
    "/endpoints/{endpoint_id}/edit": "an edit must change something, and an endpoint is a URL",
    "/ads/systems/new": "the project must be there, and a slug free",
    "/ads/systems/{system_id}/edit": "an edit must change something, and the durations fit each other",
    "/ads/systems/{system_id}/steps": "settings are the provider's",
    "/ads/steps/{step_id}/edit": "an edit must change something, and settings are the provider's",
    "/account/discord": "Discord must know the token",
    "/projects/{project_id}/discord": "an edit must change something",
    "/users/{key}/edit": "an edit must change something",
    "/scripts/{script_id}/update": "a script must be valid",
    "/scripts/{script_id}/trace": "a file must be a script",
    "/scripts/{script_id}/rollouts": "each step must give more than the one before",
    "/scripts/{script_id}/builds/{number}/schedule": "the time must be in the future, and each step give more than the one before",
    "/scripts/{script_id}/sessions/filter": "a filter must filter something",
    "/projects/{project_id}/users": "some fields exclude each other",
    "/projects/{project_id}/users/restore": "the end must be in the future",
    "/projects/{project_id}/users/bulk": "there is one action, and one way to say whom",
    "/users/{key}/licence": "the script must be there",
    "/users/{key}/blacklist": "the end must be in the future",
    "/members": "projects must be there",
    "/members/{member_id}/edit": "an edit must change something, and projects must be there",
    "/me/edit": "an edit must change something",
    "/account/tokens": "networks have a syntax, and the end must be in the future",
    "/sessions/{session_id}/message": "integers in data must be exact",
    "/sessions/message": "integers in data must be exact",
}
CASES = [
    pytest.param(method, path, mode, id=f"{mode.value} {method} {path}")
    for method, path in OPERATIONS
    for mode in schemathesis.GenerationMode
    if not (mode is schemathesis.GenerationMode.NEGATIVE and path in WITHOUT_INPUT)
]
# Headers of HTTP itself; a wrong one ends the connection before there is a request that could be answered as documented.
FRAMING = {"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"}
# Not drawn at all, which would take most of the time. A made-up entity tag is never the current one, so each call would end
# with 412; and the same key for several calls, as the generator draws it, is an error that no schema can say.
NOT_DRAWN = {"If-Match", "Idempotency-Key"}
DESTRUCTIVE = ("/bulk", "/remove", "/revoke", "/disconnect")


@dataclass
class Served:
    """A server in a thread of its own, with one resource of each kind."""

    url: str
    token: str
    document: dict[str, Any]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ready: list[Served] = []
    is_ready, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_api(tmp_path_factory.mktemp("openapi")) as api:
            ready.append(await furnish(api))
            is_ready.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_ready.wait(30)
    yield ready[0]
    is_over.set()
    thread.join(30)


async def furnish(api: Api) -> Served:
    me = await api.developer()
    project = await me.new_project()
    key = await me.new_user(project)
    client = await api.running_script(project)
    await rows.add_build(api.database, client.script, 2)
    start = {"build": 2, "steps": [{"basis_points": 500}]}
    rollout = (await me.post(f"/scripts/{client.script}/rollouts", start)).json()["rollout"]["id"]
    ids = {"project_id": project, "script_id": client.script, "key": key, "rollout_id": rollout}
    return Served(api.url, me.token, (await api.http.get("/openapi.json")).json(), ids)


@pytest.fixture(scope="module")
def schema(served: Served) -> Any:
    document = copy.deepcopy(served.document)
    for methods in document["paths"].values():
        for operation in methods.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [one for one in parameters if one["name"] not in NOT_DRAWN]
    return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_what_the_document_says_is_what_happens(
    served: Served, schema: Any, connection: requests.Session, method: str, path: str, mode: schemathesis.GenerationMode
) -> None:
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES_PER_OPERATION,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answered_as_documented(case: schemathesis.Case) -> None:
        # With ids that are there, generated bodies get past ownership; what ends a resource gets generated ids.
        if case.path_parameters and not path.endswith(DESTRUCTIVE):
            case.path_parameters |= {name: served.ids[name] for name in case.path_parameters if name in served.ids}
        # Of a query's field that is given several times the last one counts, which no schema can say.
        assume(all(isinstance(value, str | int | float | None) for value in case.query.values()))
        case.headers = {name: value for name, value in case.headers.items() if name.lower() not in FRAMING}
        excluded = [positive_data_acceptance] if path in MORE_THAN_A_SCHEMA_SAYS else []
        # Each call twice more; `test_authorisation.py` tries every route without a token and with wrong ones.
        excluded += [] if IS_LONG else [ignored_auth]
        headers = {"token": served.token}
        case.call_and_validate(
            base_url=served.url, headers=headers, excluded_checks=excluded, session=connection, timeout=60
        )

    answered_as_documented()


def test_every_operation_is_described(served: Served) -> None:
    for path, methods in served.document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"], where
            for parameter in operation.get("parameters", []):
                assert parameter.get("description") or parameter["in"] == "query", where
            for status, response in operation["responses"].items():
                assert response["description"], (where, status)
                assert "X-Request-Id" in response["headers"], (where, status)
                content = response["content"]["application/json"]
                assert content["schema"], (where, status)
                assert status == "200" or content["examples"], (where, status)


def test_every_body_that_is_needed_has_an_example_that_fits_it(served: Served) -> None:
    schemas = served.document["components"]["schemas"]
    for path, methods in served.document["paths"].items():
        body = methods.get("post", {}).get("requestBody")
        if body is not None and body["required"]:
            name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            (example,) = schemas[name]["examples"]
            assert set(schemas[name]["required"]) <= set(example) <= set(schemas[name]["properties"]), path


def test_every_reference_leads_somewhere(served: Served) -> None:
    waiting: list[Any] = [served.document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            if isinstance(item.get("$ref"), str):
                target: Any = served.document
                for part in item["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
        elif isinstance(item, list):
            waiting.extend(item)


def test_protected_operations_name_every_way_to_say_who_calls(served: Served) -> None:
    for path, methods in served.document["paths"].items():
        for operation in methods.values():
            needed = operation.get("x-permission")
            session = [{"session": [], "csrf": []}]
            of_tokens = [] if needed == "member" else [{"token": []}, {"bearer": []}]
            assert operation["security"] == ([] if needed is None else of_tokens + session), path


def test_operations_have_short_ids_of_their_own(served: Served) -> None:
    ids = [operation["operationId"] for methods in served.document["paths"].values() for operation in methods.values()]
    assert "list_sessions" in ids
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+){1,2}", each) for each in ids), ids


def test_only_what_changes_something_can_be_tried_dry(served: Served) -> None:
    for path, methods in served.document["paths"].items():
        names = {parameter["name"] for parameter in methods.get("get", {}).get("parameters", [])}
        assert names.isdisjoint({"dry_run", "If-Match", "Idempotency-Key"}), path


def test_every_reply_has_an_example_with_every_field_it_always_has(served: Served) -> None:
    schemas = served.document["components"]["schemas"]
    for path, methods in served.document["paths"].items():
        for operation in methods.values():
            reply = operation["responses"]["200"]["content"]["application/json"]
            schema = schemas[reply["schema"]["$ref"].rpartition("/")[2]]
            assert set(schema.get("required", ())) | {"success"} <= set(reply["example"]), path
    user = served.document["paths"]["/users/{key}"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert list(user["user"]) == list(schemas["UserView"]["properties"])


def test_an_example_that_is_missing_is_an_error_with_its_place() -> None:
    reply = {"type": "object", "properties": {"build": {"type": "integer"}}, "required": ["build"]}
    with pytest.raises(NoExample, match=r"^UpdateReply\.build$"):
        example_of({"$ref": "#/components/schemas/UpdateReply"}, {"UpdateReply": reply})


def test_the_document_has_no_fault_that_a_linter_finds(served: Served, tmp_path: Path) -> None:
    """Examples fit their schemas, those of errors with all their extras, and more that code generators rely on."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(served.document))
    linted = subprocess.run(
        ["node", ROOT / "node_modules/@redocly/cli/bin/cli.js", "lint", file, "--config", ROOT / "redocly.yaml"],
        capture_output=True,
        text=True,
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        timeout=120,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_served_document_is_the_applications(served: Served) -> None:
    assert httpx.get(f"{served.url}/openapi.json").json() == served.document
