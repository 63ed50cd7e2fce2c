"""Every error's way out: an exception becomes the documented reply here and nowhere else. Never shows a stack trace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from moonlatch.errors import (
    ApiError,
    Failed,
    changed_meanwhile,
    forbidden,
    invalid_endpoint,
    invalid_field,
    invalid_fields,
    not_found,
    rate_limited,
    too_large_field,
)
from moonlatch.management.refusals import DocumentedError
from moonlatch.operations.refusals import ChangedMeanwhile, Invalid, NotAllowed, NotFound, Refused, TooLarge, TryLater

_MAX_FIELD_NAME = 200
_SUBJECT = re.compile(r"^(Input|String|List|Value) should")


def error_reply(error: ApiError) -> JSONResponse:
    reply = JSONResponse(error.body(), status_code=error.status)
    if "retry_after" in error.extras:
        reply.headers["Retry-After"] = str(error.extras["retry_after"])
    if "etag" in error.extras:
        reply.headers["ETag"] = error.extras["etag"]
    return reply


def failed_fields(errors: Iterable[Any], *, whole: str = "body") -> Failed:
    """The errors of pydantic by field, in the order of their first appearance; `whole` names an error of no single field."""
    by_field: dict[str, list[str]] = {}
    for error in errors:
        name = ".".join(str(part) for part in error["loc"]) or whole
        # A client may name a field in a way that cannot be encoded; the reply must be.
        name = name[:_MAX_FIELD_NAME].encode(errors="replace").decode()
        by_field.setdefault(name, []).append(_message(error))
    return [{"field": name, "errors": messages} for name, messages in by_field.items()]


def _message(error: Any) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "string_unicode":
            return "must not contain lone surrogates"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return _SUBJECT.sub("must", error["msg"])


def api_error_of(request: Request, error: Exception) -> ApiError | None:
    """The API's words for what an operation or handler refused; None for what is not a refusal."""
    match error:
        case ApiError():
            return error
        case Refused():
            refusals: dict[str, DocumentedError] = request.scope["route"].refusals
            return refusals[error.reason].error(**error.extras)
        case NotFound():
            return not_found(error.noun)
        case Invalid():
            return invalid_field(error.field, error.message)
        case NotAllowed():
            return forbidden(str(error))
        case TooLarge():
            return too_large_field(error.field, error.limit_bytes, error.has_bytes)
        case TryLater():
            return rate_limited(error.retry_after_seconds)
        case ChangedMeanwhile():
            return changed_meanwhile(f'"{error.version}"')
        case _:
            return None


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    refusal = api_error_of(request, error)
    assert refusal is not None
    return error_reply(refusal)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    reply = error_reply(invalid_endpoint(405 if error.status_code == 405 else 404))
    if error.status_code == 405:
        reply.headers["Allow"] = ", ".join(_allowed_methods(request))
    return reply


def _allowed_methods(request: Request) -> list[str]:
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # FastAPI puts where the value came from (`query`, `path`) before its name.
    return error_reply(invalid_fields(failed_fields({**each, "loc": each["loc"][1:]} for each in error.errors())))


def install(app: FastAPI) -> None:
    """Answer every error of `app` in the documented shape."""
    for refusal in (ApiError, Refused, NotFound, Invalid, NotAllowed, TooLarge, TryLater, ChangedMeanwhile):
        app.add_exception_handler(refusal, _refusal)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
