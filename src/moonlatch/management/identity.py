"""Who is calling: the holder of an API token, or a member whose browser holds a sign-in session. Says nothing about what they may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import Scope

from moonlatch import crypto, proofs
from moonlatch.errors import forbidden, unauthorized
from moonlatch.licensing.tier import Tier
from moonlatch.logs import request_id
from moonlatch.management.backend import Backend
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.signing_in import Visit, acting
from moonlatch.operations.standing import INVALID_TOKEN, SESSION_ENDED, reach_of_token
from moonlatch.storage import accounts, member_sessions, tokens
from moonlatch.storage.accounts import Account
from moonlatch.storage.member_sessions import MemberSession
from moonlatch.storage.members import Member
from moonlatch.web.address import header, parse_address, parse_network
from moonlatch.web.origin import Place, cookies_of

CSRF_HEADER = "X-CSRF-Token"
_MAX_TOKEN = 200
_CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class SignedInMember:
    """A member and the session by which they call. `csrf` is what their page must send with each change."""

    member: Member
    session: MemberSession
    csrf: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The account behind a call, what proved it, and whom its changes are ascribed to."""

    account: Account
    tier: Tier
    actor: Actor
    signed_in: SignedInMember | None = None


def presented_token(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The API token of a request: the `token` header, else a Bearer token (RFC 6750); None when there is none."""
    bearer = None
    for name, value in headers:
        if name == b"token":
            return value.decode("latin-1").strip()
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].decode("latin-1").strip()
    return bearer


async def identify(backend: Backend, scope: Scope, address: str) -> Caller | None:
    """Who makes a call; None for nobody. A token counts before a cookie: only who means to sends one.

    Raises ApiError 401 for a bad token and an ended session, and 403 for an address or a page that may not use it.
    """
    headers = scope["headers"]
    token = presented_token(headers)
    if token is not None:
        return await _by_token(backend, token, address)
    held = next(iter(cookies_of(headers).items()), None)
    return None if held is None else await _by_session(backend, scope, *held, address)


async def _by_token(backend: Backend, text: str, address: str) -> Caller:
    token = None
    if len(text) <= _MAX_TOKEN and crypto.is_api_token(text):
        token = await tokens.find_by_hash(backend.database, crypto.token_hash(text))
    now = backend.clock()
    reach = None if token is None else await reach_of_token(backend.database, token, now=now)
    if token is None or reach is None:
        raise unauthorized(INVALID_TOKEN)
    if token.ip_allow and not _is_allowed(address, token.ip_allow):
        raise forbidden("this token may not be used from this address")
    account = await accounts.find(backend.database, token.account_id)
    if account is None:
        raise unauthorized(INVALID_TOKEN)
    actor = Actor(
        account_id=account.id,
        kind=ActorKind.TOKEN,
        id=token.id,
        name=token.name,
        permissions=reach[0],
        projects=reach[1],
        expires_at=token.expires_at,
        networks=token.ip_allow,
        member_id=token.member_id,
        address=address,
        request_id=request_id.get(),
    )
    backend.token_uses.note(token.id, token.last_used_at, token.last_used_from, address=address, now_ms=now)
    return Caller(account, backend.tier_of(account), actor)


async def _by_session(backend: Backend, scope: Scope, place: Place, secret: str, address: str) -> Caller:
    found = await member_sessions.find_by_hash(backend.database, proofs.secret_hash(secret))
    now = backend.clock()
    if found is None:
        raise unauthorized(SESSION_ENDED)
    session, member = found
    ends_at = backend.world.signing_in.session_ends_at(session.created_at, session.last_used_at)
    account = await accounts.find(backend.database, member.account_id)
    if ends_at <= now or not member.is_active or account is None:
        raise unauthorized(SESSION_ENDED)
    csrf = proofs.csrf_token(secret)
    if scope["method"] not in _CHANGES_NOTHING:
        # The cookie comes with calls of any page; what only ours can send shows that it is meant.
        if backend.origins.place(scope["headers"]) is not place:
            raise forbidden("the Origin is not a page that may act for you")
        if not crypto.equal(header(scope["headers"], CSRF_HEADER.lower().encode()) or b"", csrf.encode()):
            raise forbidden(f"send {CSRF_HEADER} with the `csrf` of GET /me")
    backend.session_uses.note(session.id, session.last_used_at, session.address, address=address, now_ms=now)
    actor = acting(member, Visit(address, "", request_id.get()), session)
    return Caller(account, backend.tier_of(account), actor, SignedInMember(member, session, csrf))


def visit_of(scope: Scope, address: str, place: Place) -> Visit:
    """Where somebody signs in from."""
    agent = (header(scope["headers"], b"user-agent") or b"").decode("latin-1")
    held = cookies_of(scope["headers"]).get(place)
    return Visit(address, agent.replace("\0", ""), request_id.get(), held)


def _is_allowed(address: str, networks: Sequence[str]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in parse_network(network) for network in networks)
