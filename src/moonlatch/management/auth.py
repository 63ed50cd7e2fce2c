"""What a caller may and what is theirs: the one place of authorisation. A missing resource and a foreign one look the same."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from moonlatch import crypto
from moonlatch.errors import ApiError, forbidden, not_found, unauthorized
from moonlatch.licensing.discord import is_id
from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import Instance, Session
from moonlatch.management.backend import Backend, CurrentBackend, backend_of
from moonlatch.management.identity import Caller, SignedInMember, presented_token
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError
from moonlatch.operations.changing import Resource, note
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.members import reaches
from moonlatch.operations.standing import still_standing
from moonlatch.operations.tokens import reaches as reaches_token
from moonlatch.storage import (
    ad_systems,
    deliveries,
    endpoints,
    error_groups,
    member_sessions,
    members,
    passkeys,
    projects,
    remotes,
    rollouts,
    scripts,
    tokens,
    users,
    variables,
)
from moonlatch.storage.ad_systems import AdStep, AdSystem
from moonlatch.storage.deliveries import Delivery
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.error_groups import ErrorGroup
from moonlatch.storage.member_sessions import MemberSession
from moonlatch.storage.members import Member
from moonlatch.storage.passkeys import Passkey
from moonlatch.storage.projects import Project
from moonlatch.storage.remotes import Remote
from moonlatch.storage.rollouts import Rollout
from moonlatch.storage.scripts import Script
from moonlatch.storage.tokens import Token
from moonlatch.storage.users import User
from moonlatch.storage.variables import Variable
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


async def owned_rollout(
    rollout_id: Annotated[str, Path(description="the rollout's id"), _storable("rollout")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Rollout:
    found = await rollouts.find_owned(backend.database, rollout_id, caller.account.id)
    if found is None or not caller.actor.reaches(found[1]):
        raise not_found("rollout")
    return found[0]


async def owned_user(
    key: Annotated[str, Path(description="the user's key or id"), _storable("user")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> User:
    user = await users.find_named(backend.database, backend.keyring, key, caller.account.id)
    if user is None or not caller.actor.reaches(user.project_id):
        raise not_found("user")
    return user


async def owned_variable(
    variable_id: Annotated[str, Path(description="the server variable's id"), _storable("variable")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Variable:
    variable = await variables.find_owned(backend.database, variable_id, caller.account.id)
    if variable is None or not caller.actor.reaches(variable.project_id):
        raise not_found("variable")
    return variable


async def owned_remote(
    remote_id: Annotated[str, Path(description="the remote's id"), _storable("remote")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Remote:
    remote = await remotes.find_owned(backend.database, remote_id, caller.account.id)
    if remote is None or not caller.actor.reaches(remote.project_id):
        raise not_found("remote")
    return remote


async def owned_error(
    error_id: Annotated[str, Path(description="the error's id"), _storable("error")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> ErrorGroup:
    found = await error_groups.find_owned(backend.database, error_id, caller.account.id)
    if found is None or not caller.actor.reaches(found[1]):
        raise not_found("error")
    return found[0]


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
    if token is None or not reaches_token(caller.actor, token):
        raise not_found("token")
    return token


async def owned_member(
    member_id: Annotated[str, Path(description="the member's id"), _storable("member")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Member:
    member = await members.find_owned(backend.database, member_id, caller.account.id)
    if member is None or not reaches(caller.actor, member):
        raise not_found("member")
    return member


async def own_passkey(
    passkey_id: Annotated[str, Path(description="the passkey's id"), _storable("passkey")],
    member: CurrentMember,
    backend: CurrentBackend,
) -> Passkey:
    passkey = await passkeys.find_owned(backend.database, passkey_id, member.member.id)
    if passkey is None:
        raise not_found("passkey")
    return passkey


async def own_sign_in(
    session_id: Annotated[str, Path(description="the session's id"), _storable("session")],
    member: CurrentMember,
    backend: CurrentBackend,
) -> MemberSession:
    session = await member_sessions.find_owned(backend.database, session_id, member.member.id)
    if session is None:
        raise not_found("session")
    return session


async def find_owned_session(backend: Backend, caller: Caller, session_id: str) -> Session | None:
    """The open session if it belongs to one of the caller's scripts."""
    session = await backend.live.session(session_id)
    if session is None or not caller.actor.reaches(session.project_id):
        return None
    if await scripts.find_owned(backend.database, session.script_id, caller.account.id) is None:
        return None
    return session


async def owned_instance(
    instance_id: Annotated[str, Path(description="the running copy's id"), _storable("instance")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Instance:
    instance = await backend.live.instance(instance_id)
    if (
        instance is None
        or not caller.actor.reaches(instance.project_id)
        or await scripts.find_owned(backend.database, instance.script_id, caller.account.id) is None
    ):
        raise not_found("instance")
    return instance


async def owned_endpoint(
    endpoint_id: Annotated[str, Path(description="the webhook endpoint's id"), _storable("endpoint")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Endpoint:
    endpoint = await endpoints.find_owned(backend.database, endpoint_id, caller.account.id)
    if endpoint is None or not caller.actor.reaches(endpoint.project_id):
        raise not_found("endpoint")
    return endpoint


async def owned_delivery(
    delivery_id: Annotated[str, Path(description="the delivery's id"), _storable("delivery")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Delivery:
    delivery = await deliveries.find_owned(backend.database, delivery_id, caller.account.id)
    if delivery is None:
        raise not_found("delivery")
    endpoint = await endpoints.find_owned(backend.database, delivery.endpoint_id, caller.account.id)
    if endpoint is None or not caller.actor.reaches(endpoint.project_id):
        raise not_found("delivery")
    return delivery


async def owned_ad_system(
    system_id: Annotated[str, Path(description="the ad system's id"), _storable("system")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> AdSystem:
    system = await ad_systems.find_owned(backend.database, system_id, caller.account.id)
    if system is None or not caller.actor.reaches(system.project_id):
        raise not_found("system")
    return system


async def owned_ad_step(
    step_id: Annotated[str, Path(description="the step's id"), _storable("step")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> AdStep:
    step = await ad_systems.find_step(backend.database, step_id)
    if step is None:
        raise not_found("step")
    system = await ad_systems.find_owned(backend.database, step.system_id, caller.account.id)
    if system is None or not caller.actor.reaches(system.project_id):
        raise not_found("step")
    return step


OwnedAdStep = Annotated[AdStep, Depends(owned_ad_step)]
OwnedAdSystem = Annotated[AdSystem, Depends(owned_ad_system)]


async def named_server(guild_id: Annotated[str, Path(description="the Discord server's id")]) -> str:
    """The id of a Discord server, which only Discord knows whether the account's bot is on."""
    if not is_id(guild_id):
        raise not_found("server")
    return guild_id


NamedServer = Annotated[str, Depends(named_server)]
OwnedDelivery = Annotated[Delivery, Depends(owned_delivery)]
OwnedError = Annotated[ErrorGroup, Depends(owned_error)]
OwnedVariable = Annotated[Variable, Depends(owned_variable)]
OwnedEndpoint = Annotated[Endpoint, Depends(owned_endpoint)]
OwnedInstance = Annotated[Instance, Depends(owned_instance)]
OwnedProject = Annotated[Project, Depends(owned_project)]
OwnedRemote = Annotated[Remote, Depends(owned_remote)]
OwnedRollout = Annotated[Rollout, Depends(owned_rollout)]
OwnedScript = Annotated[Script, Depends(owned_script)]
OwnedUser = Annotated[User, Depends(owned_user)]
OwnPasskey = Annotated[Passkey, Depends(own_passkey)]
OwnSignIn = Annotated[MemberSession, Depends(own_sign_in)]
OwnedMember = Annotated[Member, Depends(owned_member)]
OwnedToken = Annotated[Token, Depends(owned_token)]
OwnedSession = Annotated[Session, Depends(owned_session)]


def require_active(caller: Caller, backend: Backend, refusal: DocumentedError = ACCOUNT_EXPIRED) -> None:
    """Refuse a write of an account whose time is over."""
    if caller.account.is_expired(backend.clock()):
        raise refusal.error()
