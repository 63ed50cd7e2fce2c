"""What can be done to API tokens. None allows more than whoever makes it may do."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from moonlatch import crypto
from moonlatch.licensing.roles import ALL, Permission, covers_projects, exceeding
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.context import Actor
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotAllowed, NotFound, Reason, Refused
from moonlatch.storage import tokens
from moonlatch.storage.tokens import Token

MAX_TOKENS_PER_ACCOUNT = 100


async def create(
    change: Change,
    *,
    name: str,
    expires_at: int | None = None,
    ip_allow: tuple[str, ...] = (),
    permissions: Sequence[Permission] | None = None,
    projects: Sequence[str] | None = None,
) -> tuple[Token, str]:
    """Make a token, and give it with its secret, which is kept nowhere. Times in Unix milliseconds.

    What is left open (None, or no networks) is what its maker has. Raises NotAllowed, NotFound for a project, Invalid for
    a time that has passed or is beyond the maker's, Refused.
    """
    actor = change.actor
    actor.require(Permission.TOKENS_WRITE)
    _require_at_most(actor, permissions)
    chosen = tuple(permissions) if permissions is not None else _own(actor)
    token_projects = tuple(projects) if projects is not None else _own_projects(actor)
    for project_id in token_projects or ():
        await change.project(project_id)
    if await tokens.count_usable(change.tx, actor.account_id, now=change.now) >= MAX_TOKENS_PER_ACCOUNT:
        raise Refused(Reason.MAX_TOKENS)
    secret = crypto.new_api_token()
    token = Token(
        id=crypto.new_id(),
        account_id=actor.account_id,
        name=name,
        hash=crypto.token_hash(secret),
        ip_allow=_networks(actor, ip_allow),
        created_at=change.now,
        expires_at=_expiry(change, expires_at),
        permissions=chosen,
        projects=token_projects,
        prefix=secret[: crypto.TOKEN_PREFIX_CHARACTERS],
        member_id=actor.member_id,
    )
    await tokens.insert(change.tx, token)
    change.record(
        EventKind.TOKEN_CREATED,
        _resource(token),
        changes={"permissions": (None, token.permissions), "projects": (None, token.projects)},
    )
    return token, secret


async def revoke(change: Change, token_id: str) -> None:
    """Have it refused from the next call on; again, it changes nothing and leaves no event.

    Raises NotFound, and NotAllowed for a token that may do more than the actor and is not the signed-in actor's own.
    """
    change.actor.require(Permission.TOKENS_WRITE)
    token = await tokens.find_owned(change.tx, token_id, change.actor.account_id)
    if token is None or not reaches(change.actor, token):
        raise NotFound("token")
    if not _is_own(change.actor, token):
        _require_at_most(change.actor, ALL if token.permissions is None else token.permissions)
    if token.revoked_at is None:
        await tokens.revoke(change.tx, token.id, token.account_id, now=change.now)
        change.record(EventKind.TOKEN_REVOKED, _resource(token))


def reaches(actor: Actor, token: Token) -> bool:
    """Return whether a token is among those that the actor has to do with; one that is not must look as if it were not there."""
    return _is_own(actor, token) or covers_projects(actor.projects, token.projects)


def _is_own(actor: Actor, token: Token) -> bool:
    """Return whether a token is the signed-in member's own: it may no more than they, whatever it was made for."""
    return actor.session_id is not None and token.member_id == actor.member_id


async def revoke_all_of(change: Change, member_id: str) -> None:
    """Have every token of a member refused from the next call on, also those that their tokens made."""
    for token in await tokens.list_of_member(change.tx, member_id):
        await tokens.revoke(change.tx, token.id, token.account_id, now=change.now)
        change.record(EventKind.TOKEN_REVOKED, _resource(token))


def _require_at_most(actor: Actor, permissions: Sequence[Permission] | frozenset[Permission] | None) -> None:
    more = exceeding(permissions or (), actor.permissions)
    if more:
        raise NotAllowed(f"you may not hand on {', '.join(more)}, which you do not have yourself", more[0])


def _own(actor: Actor) -> tuple[Permission, ...] | None:
    return None if actor.permissions == ALL else tuple(each for each in Permission if each in actor.permissions)


def _own_projects(actor: Actor) -> tuple[str, ...] | None:
    return None if actor.projects is None else tuple(sorted(actor.projects))


def _expiry(change: Change, expires_at: int | None) -> int | None:
    """As asked for, else the maker's own."""
    if expires_at is not None and expires_at <= change.now:
        raise Invalid("expires_at", "must be in the future")
    most = change.actor.expires_at
    if most is not None and expires_at is not None and expires_at > most:
        raise Invalid("expires_at", f"must be at most {most}, when the token that makes it expires")
    return most if expires_at is None else expires_at


def _networks(actor: Actor, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """As asked for, each within one of the maker's; else the maker's own."""
    if not actor.networks:
        return wanted
    own = [ip_network(each) for each in actor.networks]
    for each in wanted:
        network = ip_network(each)
        if not any(network.version == one.version and network.subnet_of(one) for one in own):  # type: ignore[arg-type]
            raise Invalid("ip_allow", f"{each} is outside of the networks of the token that makes it")
    return wanted or actor.networks


def _resource(token: Token) -> Resource:
    return Resource("token", token.id, token.name)
