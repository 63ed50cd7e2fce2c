"""What a caller may: the one place of authorisation. Whose a resource is, `owned` tells."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import Depends, Request

from moonlatch import crypto
from moonlatch.errors import ApiError, forbidden, unauthorized
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import Backend, CurrentBackend, backend_of
from moonlatch.management.identity import Caller, SignedInMember, presented_token
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError
from moonlatch.operations.changing import Resource, note
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.standing import still_standing
from moonlatch.web.address import parse_address


def caller_of(request: Request) -> Caller:
    """The caller that the gate found; raises what the gate refused it for."""
    identity: Caller | ApiError | None = request.state.identity
    if identity is None:
        raise unauthorized("no token")
    if isinstance(identity, ApiError):
        raise identity
    return identity


async def authenticated(request: Request) -> Caller:
    """As `caller_of`. Asynchronous as `CurrentBackend` is."""
    return caller_of(request)


def signed_in(request: Request) -> SignedInMember:
    """The member whose session makes the call. Raises ApiError for nobody, and for a token."""
    found = caller_of(request).signed_in
    if found is None:
        raise forbidden("this is for members who have signed in, not for tokens")
    return found


async def current_member(request: Request) -> SignedInMember:
    """As `signed_in`. Asynchronous as `CurrentBackend` is."""
    return signed_in(request)


async def authorise(request: Request, permission: Permission) -> None:
    """Raise ApiError 401 for nobody, and 403 for somebody without the permission, which leaves an event."""
    if not caller_of(request).actor.may(permission):
        await note_refusal(request, permission)
        raise forbidden(f"this needs the permission {permission}")


async def note_refusal(request: Request, permission: Permission) -> None:
    """Leave an event of a caller who lacks a permission."""
    backend, actor = backend_of(request), caller_of(request).actor
    # Not one event per try: who asks again and again has been told already.
    if (await backend.refusals_noted.take(f"{actor.id} {permission}")).allowed:
        route = f"{request.method} {request.scope['route'].path}"
        await note(
            backend.world, actor, EventKind.PERMISSION_REFUSED, Resource("route", route, f"{route} ({permission})")
        )


async def metrics_reader(request: Request, backend: CurrentBackend) -> None:
    """Who may read the metrics: the holder of their token; without one, programs on this machine, not through a proxy."""
    if backend.metrics_token:
        if not crypto.equal(presented_token(request.scope["headers"]) or "", backend.metrics_token):
            raise unauthorized("send the token of the setting metrics.token as a Bearer token")
        return
    # A proxy on this machine comes from it too, and whoever is behind it is not from here.
    is_forwarded = any(name in request.headers for name in ("forwarded", "via", "x-forwarded-for", "x-real-ip"))
    if is_forwarded or request.client is None or not _is_this_machine(request.client.host):
        raise forbidden("without the setting metrics.token, metrics are read from the server's own machine only")


def _is_this_machine(address: str) -> bool:
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback


CurrentCaller = Annotated[Caller, Depends(authenticated)]
CurrentMember = Annotated[SignedInMember, Depends(current_member)]


async def asked_again(request: Request, caller: CurrentCaller, backend: CurrentBackend) -> Caller:
    """The caller with what they may now that the body is read, for a route that changes nothing stored: a change looks by itself.

    Declared after the body, it runs after it. Raises NotAllowed.
    """
    actor = await still_standing(backend.database, caller.actor, now=backend.clock())
    permission: Permission | None = request.scope["route"].permission
    if permission is not None:
        actor.require(permission)
    return dataclasses.replace(caller, actor=actor)


CallerBehindBody = Annotated[Caller, Depends(asked_again)]


def require_active(caller: Caller, backend: Backend, refusal: DocumentedError = ACCOUNT_EXPIRED) -> None:
    """Refuse a write of an account whose time is over."""
    if caller.account.is_expired(backend.clock()):
        raise refusal.error()
