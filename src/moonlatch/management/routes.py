"""The routes of the API: each names the permission it needs, its own refusals, and is answered once per idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum, StrEnum
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import authorise, caller_of, note_refusal, signed_in
from moonlatch.management.once import KEY_HEADER, KEY_PATTERN, answered_once
from moonlatch.management.refusals import DocumentedError
from moonlatch.operations.refusals import NotAllowed

_PERMISSION = "x-permission"
REFUSALS = "refusals"

PUBLIC: dict[str, Any] = {_PERMISSION: None}
"""`openapi_extra` of a route that anybody may call."""


class Own(StrEnum):
    """Whom a route is for that needs no permission, because it is about the caller alone; stands where a permission would."""

    CALLER = "caller"
    MEMBER = "member"


_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": KEY_PATTERN},
    "description": "names this call: sent again within 24 hours, it gets the same answer and does nothing more",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": '^(\\*|"[^"]*")$'},
    "description": "the ETag of what you read: 412 when somebody changed it since",
}


def needs(permission: Permission, *, is_conditional: bool = False) -> dict[str, Any]:
    """`openapi_extra` of a route that needs this permission; the documentation shows it.

    One that is conditional compares `If-Match` with what it is about to change.
    """
    return {_PERMISSION: permission, "parameters": [dict(IF_MATCH)] if is_conditional else []}


def own(whose: Own) -> dict[str, Any]:
    """`openapi_extra` of a route for every caller, or for every member who has signed in."""
    return {_PERMISSION: whose, "parameters": []}


class Route(APIRoute):
    """A route that says who may call it. One that says nothing is an error of the program: nothing is open by default."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = options.get("openapi_extra") or {}
        if _PERMISSION not in extra:
            raise TypeError(f"the route {path} does not say what permission it needs")
        self.needs: Permission | Own | None = extra[_PERMISSION]
        responses = options.get("responses") or {}
        self.refusals: dict[str, DocumentedError] = {
            refusal.message: refusal for response in responses.values() for refusal in response.get(REFUSALS, ())
        }
        # Copied: several routes may share what they answer with.
        options["responses"] = {
            status: {name: each for name, each in response.items() if name != REFUSALS}
            for status, response in responses.items()
        }
        if self.needs is not None and "POST" in (options.get("methods") or ()):
            extra["parameters"].append(dict(_KEY_PARAMETER))
        super().__init__(path, endpoint, **options)

    @property
    def permission(self) -> Permission | None:
        """The permission that a caller must have; None where it is not one that lets anybody in."""
        return self.needs if isinstance(self.needs, Permission) else None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        needed = self.needs
        if needed is None:
            return answer

        async def authorised(request: Request) -> Response:
            match needed:
                case Permission():
                    await authorise(request, needed)
                case Own.MEMBER:
                    signed_in(request)
                case Own.CALLER:
                    caller_of(request)
            try:
                if request.method != "POST" or KEY_HEADER not in request.headers:
                    return await answer(request)
                return await answered_once(request, answer)
            except NotAllowed as refused:  # by the operation: it knows what is asked for, the route does not
                if refused.permission is not None:
                    await note_refusal(request, refused.permission)
                raise

        return authorised


def resource_router(tag: str) -> APIRouter:
    """A router for one resource of the API."""
    tags: list[str | Enum] = [tag]
    # The handler's name is the operation's id: clients are generated with methods of these names.
    return APIRouter(tags=tags, route_class=Route, generate_unique_id_function=lambda route: route.name)
