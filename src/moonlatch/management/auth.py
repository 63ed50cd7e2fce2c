"""Who is calling and what is theirs: the one place of authorisation. A missing resource and a foreign one look the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from moonlatch import crypto
from moonlatch.errors import ApiError, forbidden, not_found, unauthorized
from moonlatch.licensing.key import has_passed
from moonlatch.licensing.roles import ALL, Permission
from moonlatch.licensing.tier import Tier
from moonlatch.live.interface import Session
from moonlatch.logs import request_id
from moonlatch.management.backend import Backend, CurrentBackend, backend_of
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal
from moonlatch.operations.changing import Resource, note
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import accounts, projects, scripts, tokens, users
from moonlatch.storage.accounts import Account
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.tokens import Token
from moonlatch.storage.users import User
from moonlatch.web.address import parse_address, parse_network

_MAX_TOKEN = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """The account behind a call, the token that proved it, and whom its changes are ascribed to."""

    account: Account
    token: Token
    tier: Tier
    actor: Actor


def presented_token(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The API token of a request: the `token` header, else a Bearer token (RFC 6750); None when there is none."""
    bearer = None
    for name, value in headers:
        if name == b"token":
            return value.decode("latin-1").strip()
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].decode("latin-1").strip()
    return bearer


async def identify(backend: Backend, token_text: str, address: str) -> Caller:
    """The caller a token stands for. Raises ApiError 401 for a bad token and 403 for an address it may not be used from."""
    token = None
    if len(token_text) <= _MAX_TOKEN and crypto.is_api_token(token_text):
        token = await tokens.find_by_hash(backend.database, crypto.token_hash(token_text))
    now = backend.clock()
    if token is None or token.revoked_at is not None or has_passed(token.expires_at, now):
        raise unauthorized("invalid token")
    if token.ip_allow and not _is_allowed(address, token.ip_allow):
        raise forbidden("this token may not be used from this address")
    account = await accounts.find(backend.database, token.account_id)
    if account is None:
        raise unauthorized("invalid token")
    actor = Actor(
        account_id=account.id,
        kind=ActorKind.TOKEN,
        id=token.id,
        name=token.name,
        permissions=ALL if token.permissions is None else frozenset(token.permissions),
        projects=None if token.projects is None else frozenset(token.projects),
        expires_at=token.expires_at,
        networks=token.ip_allow,
        address=address,
        request_id=request_id.get(),
    )
    backend.token_uses.note(token, address, now)
    return Caller(account, token, backend.tier_of(account), actor)


def _is_allowed(address: str, networks: Sequence[str]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in parse_network(network) for network in networks)


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


def _storable(noun: str) -> AfterValidator:
    """An id that no database can hold, or be asked for, is nobody's."""

    def check(value: str) -> str:
        if "\0" in value:
            raise not_found(noun)
        return value

    return AfterValidator(check)


async def owned_project(
    project_id: Annotated[str, Path(description="the project's id"), _storable("project")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Project:
    project = await projects.find_owned(backend.database, project_id, caller.account.id)
    if project is None or not caller.actor.reaches(project.id):
        raise not_found("project")
    return project


async def owned_script(
    script_id: Annotated[str, Path(description="the script's id"), _storable("script")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Script:
    script = await scripts.find_owned(backend.database, script_id, caller.account.id)
    if script is None or not caller.actor.reaches(script.project_id):
        raise not_found("script")
    return script


async def owned_user(
    key: Annotated[str, Path(description="the user's key or id"), _storable("user")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> User:
    user = await users.find_named(backend.database, key, caller.account.id)
    if user is None or not caller.actor.reaches(user.project_id):
        raise not_found("user")
    return user


async def owned_session(
    session_id: Annotated[str, Path(description="the session's id"), _storable("session")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Session:
    session = await find_owned_session(backend, caller, session_id)
    if session is None:
        raise not_found("session")
    return session


async def owned_token(
    token_id: Annotated[str, Path(description="the token's id"), _storable("token")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Token:
    token = await tokens.find_owned(backend.database, token_id, caller.account.id)
    if token is None:
        raise not_found("token")
    return token


async def find_owned_session(backend: Backend, caller: Caller, session_id: str) -> Session | None:
    """The open session if it belongs to one of the caller's scripts."""
    session = await backend.live.session(session_id)
    if session is None or not caller.actor.reaches(session.project_id):
        return None
    if await scripts.find_owned(backend.database, session.script_id, caller.account.id) is None:
        return None
    return session


OwnedProject = Annotated[Project, Depends(owned_project)]
OwnedScript = Annotated[Script, Depends(owned_script)]
OwnedUser = Annotated[User, Depends(owned_user)]
OwnedToken = Annotated[Token, Depends(owned_token)]
OwnedSession = Annotated[Session, Depends(owned_session)]


def require_active(caller: Caller, backend: Backend, refusal: Refusal = ACCOUNT_EXPIRED) -> None:
    """Refuse a write of an account whose time is over."""
    if caller.account.is_expired(backend.clock()):
        raise refusal.error()
