"""The OpenAPI document: FastAPI's, plus the bodies, headers and errors that our own dependencies stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import moonlatch
from moonlatch.errors import (
    ApiError,
    body_too_slow,
    changed_meanwhile,
    forbidden,
    internal,
    invalid_fields,
    not_found,
    not_json,
    rate_limited,
    still_running,
    too_large,
    unauthorized,
    unavailable,
    used_for_another,
)
from moonlatch.management import auth, call, owned
from moonlatch.management.body import JsonBody
from moonlatch.management.document_parts import ERROR_SCHEMAS, example_of
from moonlatch.management.identity import CSRF_HEADER
from moonlatch.management.sign_in import arriving
from moonlatch.web.origin import Place

DESCRIPTION = """Manage scripts, projects, users, sessions and tokens.

Send the API token in the header `token`, or as a Bearer token; members who have signed in call by their session. Bodies and replies are JSON; times are Unix milliseconds.
Every error has the shape `{"success": false, "error": {"code", "message", ...}}`; several apply in the order
authentication, existence and ownership, validation, then the endpoint's own codes in numeric order.
"""

SUCCESS = 200
_TEMPLATE = "#/components/schemas/{model}"
_OWNED = {
    owned.owned_ad_step: "step",
    owned.owned_ad_system: "system",
    owned.owned_delivery: "delivery",
    owned.owned_endpoint: "endpoint",
    owned.owned_variable: "variable",
    owned.owned_remote: "remote",
    owned.owned_error: "error",
    owned.own_passkey: "passkey",
    owned.own_sign_in: "session",
    owned.owned_member: "member",
    owned.named_server: "server",
    owned.owned_project: "project",
    owned.owned_rollout: "rollout",
    owned.owned_script: "script",
    owned.owned_instance: "instance",
    owned.owned_session: "session",
    owned.owned_token: "token",
    owned.owned_user: "user",
}
_GUARDS = (auth.authenticated, auth.current_member)
_HEADERS = {
    "X-Request-Id": ("string", "names this call in the server's log"),
    "RateLimit-Limit": ("integer", "calls at once"),
    "RateLimit-Remaining": ("integer", "calls left now"),
    "RateLimit-Reset": ("integer", "seconds until all are left again"),
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The complete document of `app`, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _build(app)
    return app.openapi_schema


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Moonlatch management API",
        version=moonlatch.__version__,
        description=DESCRIPTION,
        routes=app.routes,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The server that this document comes from"}],
        tags=[
            {"name": "scripts", "description": "Upload, watch and switch scripts"},
            {"name": "projects", "description": "What holds scripts and their users"},
            {"name": "users", "description": "The keys of a project"},
            {"name": "sessions", "description": "Running copies with an open connection"},
            {"name": "instances", "description": "Running copies, with and without one"},
            {"name": "discord", "description": "The bot, and which server each project is linked to"},
            {"name": "account", "description": "Limits, usage and API tokens"},
            {"name": "members", "description": "Who belongs to the account"},
            {"name": "me", "description": "Who calls, and how they sign in"},
            {"name": "sign-in", "description": "For pages of this server, where somebody is nobody yet"},
            {"name": "checkpoints", "description": "Pages at which visitors earn keys"},
            {"name": "errors", "description": "What went wrong in running scripts"},
            {"name": "variables", "description": "Values that scripts ask the server for"},
            {"name": "remotes", "description": "What scripts reach through the server by name: webhooks and functions"},
            {"name": "events", "description": "Who did what, when"},
            {"name": "health", "description": "For the service manager and the proxy"},
        ],
    )
    schemas = document["components"]["schemas"]
    # FastAPI describes its own validation reply for every route with parameters; ours is another.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    document["components"]["securitySchemes"] = {
        "token": {"type": "apiKey", "in": "header", "name": "token"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": Place.PUBLIC.value,
            "description": "a member's sign-in session, from a page of this server",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": CSRF_HEADER,
            "description": "the `csrf` of `GET /me`, with each change that is made by a session",
        },
    }
    document["components"]["headers"] = {
        name: {"description": description, "schema": {"type": kind}} for name, (kind, description) in _HEADERS.items()
    }
    schemas.update(ERROR_SCHEMAS)
    documented = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    _restore_examples(documented, schemas)
    for route in documented:
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route, schemas)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _restore_examples(routes: Sequence[APIRoute], schemas: dict[str, Any]) -> None:
    """FastAPI leaves nulls out of the document, and so out of examples, which then lack fields."""
    replies: list[type[BaseModel]] = [route.response_model for route in routes]
    _, definitions = models_json_schema([(reply, "serialization") for reply in replies], ref_template=_TEMPLATE)
    for name, schema in definitions["$defs"].items():
        if "examples" in schema:
            order = schema["properties"]
            schemas[name]["examples"] = [
                {field: each[field] for field in order if field in each} for each in schema["examples"]
            ]


def _complete(operation: dict[str, Any], route: APIRoute, schemas: dict[str, Any]) -> None:
    dependencies = list(_dependencies(route.dependant))
    operation["responses"].pop("422", None)
    operation["responses"].update(_own_responses(route))
    body = next((each for each in dependencies if isinstance(each, JsonBody)), None)
    if body is not None:
        operation["requestBody"] = _request_body(body, schemas)
    operation["security"] = _security(dependencies)
    reply = operation["responses"]["200"]["content"]["application/json"]
    reply["example"] = example_of(reply["schema"], schemas)
    for error in _standard_errors(operation, dependencies, has_body=body is not None):
        _add_error(operation["responses"], error)
    if call.current_call in dependencies and "POST" in (route.methods or ()):
        _allow_dry_run(operation, schemas)
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for response in operation["responses"].values():
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
        if not response["description"].strip():
            response["description"] = "Success"
    for status, response in operation["responses"].items():
        if status in ("200", "412") and _is_conditional(operation):
            response["headers"]["ETag"] = {"description": "for If-Match", "schema": {"type": "string"}}
        if status in ("409", "429") or (status == "503" and (_is_guarded(dependencies) or arriving in dependencies)):
            response["headers"]["Retry-After"] = {"description": "seconds", "schema": {"type": "integer"}}


def _is_guarded(dependencies: Sequence[Any]) -> bool:
    return any(guard in dependencies for guard in _GUARDS)


def _security(dependencies: Sequence[Any]) -> list[dict[str, list[str]]]:
    """By what a call may be made: by a token or a session, or, about oneself as a member, by a session alone."""
    session: list[dict[str, list[str]]] = [{"session": [], "csrf": []}]
    if auth.current_member in dependencies:
        return session
    return [{"token": []}, {"bearer": []}, *session] if auth.authenticated in dependencies else []


def _is_conditional(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", []))


def _allow_dry_run(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A reply to a call that changed nothing says so."""
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schemas[reference.rpartition("/")[2]]["properties"]["dry_run"] = {
        "const": True,
        "type": "boolean",
        "description": "only where `dry_run` was asked for",
    }


def _dependencies(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _dependencies(inner)


def _own_responses(route: APIRoute) -> dict[str, Any]:
    return {
        str(status): {
            "description": response["description"],
            "content": {
                "application/json": {
                    "schema": {"$ref": _TEMPLATE.format(model="ErrorReply")},
                    "examples": dict(response["content"]["application/json"]["examples"]),
                }
            },
        }
        for status, response in route.responses.items()
        if status != SUCCESS
    }


def _request_body(body: JsonBody[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    model = body.model
    _, definitions = models_json_schema([(model, "validation")], ref_template=_TEMPLATE)
    schemas.update(definitions["$defs"])
    required = any(field.is_required() for field in model.model_fields.values())
    return {
        "required": required,
        "content": {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=model.__name__)}}},
    }


def _standard_errors(operation: dict[str, Any], dependencies: list[Any], *, has_body: bool) -> Iterator[ApiError]:
    if _is_guarded(dependencies):
        yield unauthorized("invalid token")
        yield forbidden("this token may not be used from this address")
        yield unavailable()
    if arriving in dependencies:
        yield forbidden("sign in from a page of this server")
        yield unavailable()
    for dependency, noun in _OWNED.items():
        if dependency in dependencies:
            yield not_found(noun)
    headers = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"}
    if "If-Match" in headers:
        yield changed_meanwhile('"0123456789abcdef0123456789abcdef"')
    if "Idempotency-Key" in headers:
        yield still_running()
        yield used_for_another()
    has_query = any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
    if has_body or has_query:
        field = "limit" if has_query else "name"
        yield invalid_fields([{"field": field, "errors": ["must be a valid integer" if has_query else "is required"]}])
    if has_body:
        yield body_too_slow(100)
        yield too_large(1_048_576)
        yield not_json()
    yield rate_limited(1)
    yield internal("REQUEST_ID")


def _add_error(responses: dict[str, Any], error: ApiError) -> None:
    response = responses.setdefault(
        str(error.status),
        {
            "description": "",
            "content": {"application/json": {"schema": {"$ref": _TEMPLATE.format(model="ErrorReply")}, "examples": {}}},
        },
    )
    line = f"{error.code} {error.message}"
    response["content"]["application/json"]["examples"][line] = {"value": error.body()}
    if line not in response["description"]:
        response["description"] = "; ".join(filter(None, [response["description"], line]))
