"""Sign-in endpoints: what somebody may call who is nobody yet, from a page of this server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import ConfigDict, Field

from moonlatch import proofs
from moonlatch.clock import SECOND_MS
from moonlatch.errors import forbidden
from moonlatch.licensing.signing_in import MAX_PASSWORD
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.fields import Clean, Closed, Empty, Id, Name
from moonlatch.management.identity import Caller, SignedInMember, visit_of
from moonlatch.management.member_views import MeReply, MeView
from moonlatch.management.refusals import DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import PUBLIC, resource_router
from moonlatch.management.sign_in_fields import ChallengeReply, Credential, NewPassword, Secret, small_limit
from moonlatch.operations import member_passkeys, signing_in
from moonlatch.operations.refusals import Reason
from moonlatch.operations.signing_in import FailedSignIn, SignedIn, Visit, acting
from moonlatch.storage import accounts
from moonlatch.web.origin import Place

router = resource_router("sign-in")

_MAX_CODE = 40

FAILED = DocumentedError(1, Reason.SIGN_IN_FAILED, 401)
SECOND_FACTOR = DocumentedError(2, Reason.SECOND_FACTOR_NEEDED, 401)
NOT_VALID = DocumentedError(1, Reason.LINK_NOT_VALID, 404)
UNAVAILABLE = DocumentedError(3, Reason.PASSKEYS_UNAVAILABLE, 409)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody at a page of this server, and which cookie their browser will hold."""

    visit: Visit
    place: Place


async def arriving(request: Request, backend: CurrentBackend) -> Arrival:
    """Who comes from a page of this server. Raises ApiError 403 for another site's page, and without one."""
    place = backend.origins.place(request.scope["headers"])
    if place is None:
        raise forbidden(
            "sign in from a page of this server: over https at the address of the setting members.url, or on its own machine"
        )
    peer = request.scope.get("client")
    return Arrival(visit_of(request.scope, str(peer[0]) if peer else "unknown", place), place)


CurrentArrival = Annotated[Arrival, Depends(arriving)]


class SignIn(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sign_in_name": "ana@example.com", "password": "correct horse battery"}]}
    )

    sign_in_name: Annotated[str, Field(min_length=1, max_length=254), Clean]
    password: Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD), Clean]
    code: Annotated[
        Annotated[str, Field(min_length=1, max_length=_MAX_CODE), Clean] | None,
        Field(description="one-time or recovery code, for those who have them"),
    ] = None


class ShowLink(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "SECRET"}]})

    secret: Secret


class AcceptLink(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"secret": "SECRET", "password": "correct horse battery"}]}
    )

    secret: Secret
    password: NewPassword
    name: Annotated[Name | None, Field(description="what others call you; null: as the invitation says")] = None


class UsePasskey(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"challenge_id": "CHALLENGE_ID", "credential": {"id": "..."}}]}
    )

    challenge_id: Id
    credential: Credential


class LinkView(Reply):
    """What a link is for."""

    model_config = example(
        kind="invitation", account_name="owner", name="Ana", sign_in_name="ana@example.com", role="support"
    )

    kind: str = Field(description="`invitation`, or `password` for somebody who is a member already")
    account_name: str
    name: str
    sign_in_name: str
    role: str


class LinkReply(Success):
    link: LinkView


class AcceptReply(Success):
    signed_in: bool = Field(description="false for members with one-time codes: sign in now", examples=[True])
    me: MeView | None


@router.post("/auth/sign_in", summary="Sign in", responses=refusing(FAILED, SECOND_FACTOR), openapi_extra=PUBLIC)
async def sign_in(
    arrival: CurrentArrival,
    body: Annotated[SignIn, Depends(JsonBody(SignIn, limit=small_limit))],
    backend: CurrentBackend,
    response: Response,
) -> MeReply:
    """By password. The browser gets a cookie; a session that it held before ends."""
    await backend.sign_in_limits.take(arrival.visit.address, body.sign_in_name)
    try:
        begun = await signing_in.sign_in(
            backend.world,
            backend.passwords,
            sign_in_name=body.sign_in_name,
            password=body.password,
            code=body.code,
            visit=arrival.visit,
            second_factors=backend.sign_in_limits.codes,
        )
    except FailedSignIn as failed:
        backend.failed_sign_ins.note(failed, arrival.visit)
        raise
    return MeReply(me=await _welcome(backend, arrival, begun, response))


@router.post(
    "/auth/passkey/challenge",
    summary="Begin signing in with a passkey",
    responses=refusing(UNAVAILABLE),
    openapi_extra=PUBLIC,
)
async def ask_passkey(
    arrival: CurrentArrival,
    _body: Annotated[Empty, Depends(JsonBody(Empty, limit=small_limit))],
    backend: CurrentBackend,
) -> ChallengeReply:
    """Names nobody: the browser offers the passkeys it has for this server."""
    await backend.sign_in_limits.take(arrival.visit.address)
    asked = await member_passkeys.ask_for_any(backend.world)
    return ChallengeReply(challenge_id=asked.challenge_id, options=asked.options)


@router.post(
    "/auth/passkey",
    summary="Sign in with a passkey",
    responses=refusing(FAILED, UNAVAILABLE),
    openapi_extra=PUBLIC,
)
async def use_passkey(
    arrival: CurrentArrival,
    body: Annotated[UsePasskey, Depends(JsonBody(UsePasskey, limit=small_limit))],
    backend: CurrentBackend,
    response: Response,
) -> MeReply:
    """It stands for both factors, so no code is asked for."""
    await backend.sign_in_limits.take(arrival.visit.address)
    try:
        begun = await member_passkeys.sign_in(
            backend.world, challenge_id=body.challenge_id, credential=body.credential, visit=arrival.visit
        )
    except FailedSignIn as failed:
        backend.failed_sign_ins.note(failed, arrival.visit)
        raise
    return MeReply(me=await _welcome(backend, arrival, begun, response))


@router.post(
    "/auth/link", summary="See what a one-time link is for", responses=refusing(NOT_VALID), openapi_extra=PUBLIC
)
async def show_link(
    arrival: CurrentArrival,
    body: Annotated[ShowLink, Depends(JsonBody(ShowLink, limit=small_limit))],
    backend: CurrentBackend,
) -> LinkReply:
    """It stays as good as it was."""
    await backend.sign_in_limits.take(arrival.visit.address)
    holder = await signing_in.look_at_link(backend.world, body.secret)
    return LinkReply(
        link=LinkView(
            kind="invitation" if holder.member.joined_at is None else "password",
            account_name=holder.account.name,
            name=holder.member.name,
            sign_in_name=holder.member.sign_in_name,
            role=holder.member.role,
        )
    )


@router.post("/auth/accept", summary="Use a one-time link", responses=refusing(NOT_VALID), openapi_extra=PUBLIC)
async def accept_link(
    arrival: CurrentArrival,
    body: Annotated[AcceptLink, Depends(JsonBody(AcceptLink, limit=small_limit))],
    backend: CurrentBackend,
    response: Response,
) -> AcceptReply:
    """Chooses a password and signs in; the member's other sessions end. With one-time codes on, it does not sign in."""
    await backend.sign_in_limits.take(arrival.visit.address)
    begun = await signing_in.accept(
        backend.world,
        backend.passwords,
        secret=body.secret,
        password=body.password,
        name=body.name,
        visit=arrival.visit,
    )
    if begun is None:
        return AcceptReply(signed_in=False, me=None)
    return AcceptReply(signed_in=True, me=await _welcome(backend, arrival, begun, response))


async def _welcome(backend: Backend, arrival: Arrival, begun: SignedIn, response: Response) -> MeView:
    """Who has signed in now; their browser is given the cookie."""
    rules = backend.world.signing_in
    response.headers["Set-Cookie"] = arrival.place.cookie(begun.secret, rules.absolute_ms // SECOND_MS)
    account = await accounts.find(backend.database, begun.member.account_id)
    assert account is not None
    caller = Caller(
        account,
        backend.tier_of(account),
        acting(begun.member, arrival.visit, begun.session),
        SignedInMember(begun.member, begun.session, proofs.csrf_token(begun.secret)),
    )
    return MeView.of(caller, rules)
