"""Whose a resource is that a path names. A missing one and a foreign one look the same."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Path
from pydantic import AfterValidator

from moonlatch.errors import not_found
from moonlatch.licensing.discord import is_id
from moonlatch.live.interface import Instance, Session
from moonlatch.management.auth import CurrentCaller, CurrentMember
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.identity import Caller
from moonlatch.operations.members import reaches
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


class _OfProject(Protocol):
    @property
    def project_id(self) -> str: ...


_InProject = TypeVar("_InProject", bound=_OfProject)


def _storable(noun: str) -> AfterValidator:
    """An id that no database can hold, or be asked for, is nobody's."""

    def check(value: str) -> str:
        if "\0" in value:
            raise not_found(noun)
        return value

    return AfterValidator(check)


def _reached(caller: Caller, found: _InProject | None, noun: str) -> _InProject:
    """What was found, if a project has it that the caller reaches."""
    if found is None or not caller.actor.reaches(found.project_id):
        raise not_found(noun)
    return found


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
    return _reached(caller, await scripts.find_owned(backend.database, script_id, caller.account.id), "script")


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
    return _reached(caller, await users.find_named(backend.database, backend.keyring, key, caller.account.id), "user")


async def owned_variable(
    variable_id: Annotated[str, Path(description="the server variable's id"), _storable("variable")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Variable:
    return _reached(caller, await variables.find_owned(backend.database, variable_id, caller.account.id), "variable")


async def owned_remote(
    remote_id: Annotated[str, Path(description="the remote's id"), _storable("remote")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Remote:
    return _reached(caller, await remotes.find_owned(backend.database, remote_id, caller.account.id), "remote")


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
    return _reached(caller, await endpoints.find_owned(backend.database, endpoint_id, caller.account.id), "endpoint")


async def owned_delivery(
    delivery_id: Annotated[str, Path(description="the delivery's id"), _storable("delivery")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Delivery:
    delivery = await deliveries.find_owned(backend.database, delivery_id, caller.account.id)
    if delivery is None:
        raise not_found("delivery")
    _reached(caller, await endpoints.find_owned(backend.database, delivery.endpoint_id, caller.account.id), "delivery")
    return delivery


async def owned_ad_system(
    system_id: Annotated[str, Path(description="the ad system's id"), _storable("system")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> AdSystem:
    return _reached(caller, await ad_systems.find_owned(backend.database, system_id, caller.account.id), "system")


async def owned_ad_step(
    step_id: Annotated[str, Path(description="the step's id"), _storable("step")],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> AdStep:
    step = await ad_systems.find_step(backend.database, step_id)
    if step is None:
        raise not_found("step")
    _reached(caller, await ad_systems.find_owned(backend.database, step.system_id, caller.account.id), "step")
    return step


async def named_server(guild_id: Annotated[str, Path(description="the Discord server's id")]) -> str:
    """The id of a Discord server, which only Discord knows whether the account's bot is on."""
    if not is_id(guild_id):
        raise not_found("server")
    return guild_id


NamedServer = Annotated[str, Depends(named_server)]
OwnPasskey = Annotated[Passkey, Depends(own_passkey)]
OwnSignIn = Annotated[MemberSession, Depends(own_sign_in)]
OwnedAdStep = Annotated[AdStep, Depends(owned_ad_step)]
OwnedAdSystem = Annotated[AdSystem, Depends(owned_ad_system)]
OwnedDelivery = Annotated[Delivery, Depends(owned_delivery)]
OwnedEndpoint = Annotated[Endpoint, Depends(owned_endpoint)]
OwnedError = Annotated[ErrorGroup, Depends(owned_error)]
OwnedInstance = Annotated[Instance, Depends(owned_instance)]
OwnedMember = Annotated[Member, Depends(owned_member)]
OwnedProject = Annotated[Project, Depends(owned_project)]
OwnedRemote = Annotated[Remote, Depends(owned_remote)]
OwnedRollout = Annotated[Rollout, Depends(owned_rollout)]
OwnedScript = Annotated[Script, Depends(owned_script)]
OwnedSession = Annotated[Session, Depends(owned_session)]
OwnedToken = Annotated[Token, Depends(owned_token)]
OwnedUser = Annotated[User, Depends(owned_user)]
OwnedVariable = Annotated[Variable, Depends(owned_variable)]
