"""Every error the management API can answer: code, message, HTTP status. Raised by any layer, turned into a reply in one place."""

from __future__ import annotations

from typing import Any

UNAVAILABLE_RETRY_SECONDS = 2
"""How soon a caller may try again after an engine was away; it may have been a short one."""

STILL_RUNNING_RETRY_SECONDS = 1

Failed = list[str | dict[str, Any]]


class ApiError(Exception):
    """A documented refusal of a management call. `extras` are further fields of the reply's `error` object."""

    def __init__(self, status: int, code: int, message: str, **extras: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extras = extras

    def body(self) -> dict[str, Any]:
        """The reply as a JSON object."""
        return {"success": False, "error": {"code": self.code, "message": self.message, **self.extras}}


def _invalid(status: int, failed: Failed) -> ApiError:
    return ApiError(status, -1, "unauthorized or invalid request", failed=failed)


def unauthorized(why: str) -> ApiError:
    """401: no token, or one that is unknown, expired or revoked."""
    return _invalid(401, [why])


def forbidden(why: str) -> ApiError:
    """403: the token is good but not allowed here."""
    return _invalid(403, [why])


def not_found(what: str) -> ApiError:
    """404: not there, or somebody else's; the reply is the same."""
    return _invalid(404, [f"{what} not found"])


def invalid_field(field: str, *errors: str) -> ApiError:
    """400: one field of the request is wrong."""
    return invalid_fields([{"field": field, "errors": list(errors)}])


def invalid_fields(failed: Failed) -> ApiError:
    """400: every wrong field of the request, as `{"field": ..., "errors": [...]}`."""
    return _invalid(400, failed)


def changed_meanwhile(etag: str) -> ApiError:
    """412: the resource is no longer as the caller's `If-Match` says; `etag` is what it is at now."""
    return ApiError(412, -1, "changed meanwhile", etag=etag)


def still_running() -> ApiError:
    """409: a call with this idempotency key is being answered now."""
    return ApiError(409, -1, "still running", retry_after=STILL_RUNNING_RETRY_SECONDS)


def used_for_another() -> ApiError:
    """422: this idempotency key was sent with another call."""
    return ApiError(422, -1, "idempotency key was used for another request")


def too_large(limit_bytes: int) -> ApiError:
    """413: the request's body is larger than allowed."""
    return _invalid(413, [f"the body may have at most {limit_bytes} bytes"])


def too_large_field(field: str, limit_bytes: int, has_bytes: int) -> ApiError:
    """413: one field of the request is larger than the tier allows."""
    problem = {"field": field, "errors": [f"may have at most {limit_bytes} bytes, has {has_bytes}"]}
    return _invalid(413, [problem])


def body_too_slow(seconds: float) -> ApiError:
    """408: the request's body did not arrive in time."""
    return _invalid(408, [f"the body did not arrive within {seconds:g} seconds"])


def not_json() -> ApiError:
    """415: the body is not declared as JSON."""
    return _invalid(415, ["the body must be JSON, with Content-Type: application/json"])


def invalid_endpoint(status: int) -> ApiError:
    """404 or 405: no such route, or not with this method."""
    return ApiError(status, -1, "invalid endpoint")


def rate_limited(retry_after_seconds: int) -> ApiError:
    """429: too many calls."""
    return ApiError(429, -1, "ratelimited", retry_after=retry_after_seconds)


def unavailable() -> ApiError:
    """503: the database is away or overloaded, or nobody knows now who is connected; nothing was changed, unless it broke off in the very moment of writing."""
    return ApiError(503, -1, "temporarily unavailable", retry_after=UNAVAILABLE_RETRY_SECONDS)


def internal(request_id: str) -> ApiError:
    """500: our fault; the request id finds it in the log."""
    return ApiError(500, -1, "internal server error", request_id=request_id)
