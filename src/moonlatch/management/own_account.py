"""Endpoints about oneself: who I am, and what members change about how they sign in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Response
from pydantic import ConfigDict, Field

from moonlatch.licensing.signing_in import SIGN_IN_NAME, TOTP_DIGITS
from moonlatch.management.auth import CurrentCaller, CurrentMember
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Closed, Empty, Id, Name
from moonlatch.management.member_views import MeReply, MeView, PasskeyView, SignInSessionView
from moonlatch.management.owned import OwnPasskey, OwnSignIn
from moonlatch.management.refusals import DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import Own, own, resource_router
from moonlatch.management.sign_in_fields import ChallengeReply, Credential, NewPassword, small_limit
from moonlatch.operations import member_passkeys, own_account
from moonlatch.operations.refusals import Reason
from moonlatch.storage import member_sessions, passkeys
from moonlatch.web.origin import Place

router = resource_router("me")

SIGN_IN_AGAIN = DocumentedError(0, Reason.SIGN_IN_AGAIN, 403)
NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)
NAME_TAKEN = DocumentedError(2, Reason.SIGN_IN_NAME_TAKEN, 409)
TOTP_ON = DocumentedError(1, Reason.TOTP_ON, 409)
TOTP_OFF = DocumentedError(1, Reason.TOTP_OFF, 409)
NOT_BEGUN = DocumentedError(2, Reason.TOTP_NOT_BEGUN, 409)
WRONG_CODE = DocumentedError(3, Reason.WRONG_CODE, 403)
PASSKEY_REFUSED = DocumentedError(1, Reason.PASSKEY_REFUSED, 409)
MAX_PASSKEYS = DocumentedError(2, Reason.MAX_PASSKEYS, 403)
UNAVAILABLE = DocumentedError(3, Reason.PASSKEYS_UNAVAILABLE, 409)


class EditMe(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ana"}]})

    name: Name | None = None
    sign_in_name: Annotated[str, Field(pattern=SIGN_IN_NAME)] | None = None


class SetPassword(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "correct horse battery"}]})

    password: NewPassword


class EnableTotp(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "123456"}]})

    code: Annotated[str, Field(pattern=rf"^[0-9]{{{TOTP_DIGITS}}}$", description="the app's first one")]


class AddPasskey(Closed):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"challenge_id": "CHALLENGE_ID", "name": "laptop", "credential": {"id": "..."}}]
        }
    )

    challenge_id: Id
    name: Name
    credential: Credential


class TotpReply(Success):
    secret: Annotated[str, Field(description="base 32, to be typed into an app; shown this once", examples=["ABC..."])]
    url: Annotated[str, Field(description="the same for a QR code", examples=["otpauth://totp/..."])]


class RecoveryCodesReply(Success):
    recovery_codes: Annotated[
        list[str], Field(description="each good once; shown this once", examples=[["abcd-efgh-jkmn-pqrs"]])
    ]


class SignInSessionsReply(Success):
    sessions: list[SignInSessionView]


class PasskeysReply(Success):
    passkeys: list[PasskeyView]


class PasskeyReply(Success):
    passkey: PasskeyView


@router.get("/me", summary="See who you are", openapi_extra=own(Own.CALLER))
async def get_me(caller: CurrentCaller, backend: CurrentBackend) -> MeReply:
    """Name, account, permissions and projects of whoever calls, by a token or as a member."""
    return MeReply(me=MeView.of(caller, backend.world.signing_in))


@router.post(
    "/me/edit",
    summary="Change your name",
    responses=refusing(SIGN_IN_AGAIN, NOTHING, NAME_TAKEN),
    openapi_extra=own(Own.MEMBER),
)
async def edit_me(
    _member: CurrentMember, body: Annotated[EditMe, Depends(JsonBody(EditMe))], call: CurrentCall
) -> Success:
    """The name that others see, or the one that you sign in with, which needs a recent sign-in."""
    return await call.change(
        lambda change: own_account.edit(change, name=body.name, sign_in_name=body.sign_in_name), lambda _: Success()
    )


@router.post(
    "/me/password", summary="Change your password", responses=refusing(SIGN_IN_AGAIN), openapi_extra=own(Own.MEMBER)
)
async def set_password(
    _member: CurrentMember, body: Annotated[SetPassword, Depends(JsonBody(SetPassword))], call: CurrentCall
) -> Success:
    """Your other sessions end. Needs a recent sign-in."""
    return await call.carry_out(
        lambda intent: own_account.change_password(
            call.world, call.backend.passwords, call.actor, body.password, intent
        ),
        lambda _: Success(),
    )


@router.post(
    "/me/totp/begin",
    summary="Begin with one-time codes",
    responses=refusing(SIGN_IN_AGAIN, TOTP_ON),
    openapi_extra=own(Own.MEMBER),
)
async def begin_totp(
    _member: CurrentMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> TotpReply:
    """Nothing asks for them before the first one was sent back. Needs a recent sign-in."""
    return await call.change(own_account.begin_totp, lambda begun: TotpReply(secret=begun.secret, url=begun.url))


@router.post(
    "/me/totp/enable",
    summary="Switch one-time codes on",
    responses=refusing(SIGN_IN_AGAIN, TOTP_ON, NOT_BEGUN, WRONG_CODE),
    openapi_extra=own(Own.MEMBER),
)
async def enable_totp(
    _member: CurrentMember, body: Annotated[EnableTotp, Depends(JsonBody(EnableTotp))], call: CurrentCall
) -> RecoveryCodesReply:
    """From now on a password needs one beside it. Keep the recovery codes where the device is not."""
    return await call.change(
        lambda change: own_account.enable_totp(change, body.code),
        lambda codes: RecoveryCodesReply(recovery_codes=codes),
    )


@router.post(
    "/me/totp/disable",
    summary="Switch one-time codes off",
    responses=refusing(SIGN_IN_AGAIN, TOTP_OFF),
    openapi_extra=own(Own.MEMBER),
)
async def disable_totp(
    _member: CurrentMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """With their recovery codes. Needs a recent sign-in."""
    return await call.change(own_account.disable_totp, lambda _: Success())


@router.post(
    "/me/recovery_codes",
    summary="Make new recovery codes",
    responses=refusing(SIGN_IN_AGAIN, TOTP_OFF),
    openapi_extra=own(Own.MEMBER),
)
async def renew_recovery_codes(
    _member: CurrentMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> RecoveryCodesReply:
    """Those of before end. Needs a recent sign-in."""
    return await call.change(own_account.renew_recovery_codes, lambda codes: RecoveryCodesReply(recovery_codes=codes))


@router.get("/me/passkeys", summary="List your passkeys", openapi_extra=own(Own.MEMBER))
async def list_passkeys(member: CurrentMember, backend: CurrentBackend) -> PasskeysReply:
    """Oldest first."""
    found = await passkeys.list_of_member(backend.database, member.member.id)
    return PasskeysReply(passkeys=[PasskeyView.of(each) for each in found])


@router.post(
    "/me/passkeys/challenge",
    summary="Begin adding a passkey",
    responses=refusing(SIGN_IN_AGAIN, MAX_PASSKEYS, UNAVAILABLE),
    openapi_extra=own(Own.MEMBER),
)
async def begin_passkey(
    _member: CurrentMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> ChallengeReply:
    """What the browser makes one for. Needs a recent sign-in."""
    return await call.change(
        member_passkeys.ask_for_new,
        lambda asked: ChallengeReply(challenge_id=asked.challenge_id, options=asked.options),
    )


@router.post(
    "/me/passkeys",
    summary="Add a passkey",
    responses=refusing(SIGN_IN_AGAIN, PASSKEY_REFUSED, MAX_PASSKEYS, UNAVAILABLE),
    openapi_extra=own(Own.MEMBER),
)
async def add_passkey(
    _member: CurrentMember,
    body: Annotated[AddPasskey, Depends(JsonBody(AddPasskey, limit=small_limit))],
    call: CurrentCall,
) -> PasskeyReply:
    """The challenge is used up, also by an answer that is refused. Needs a recent sign-in."""
    return await call.carry_out(
        lambda intent: member_passkeys.add(
            call.world,
            call.actor,
            challenge_id=body.challenge_id,
            name=body.name,
            credential=body.credential,
            intent=intent,
        ),
        lambda passkey: PasskeyReply(passkey=PasskeyView.of(passkey)),
    )


@router.post(
    "/me/passkeys/{passkey_id}/remove",
    summary="Remove a passkey",
    responses=refusing(SIGN_IN_AGAIN),
    openapi_extra=own(Own.MEMBER),
)
async def remove_passkey(
    passkey: OwnPasskey,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    call: CurrentCall,
) -> Success:
    """Nobody signs in with it any more. Needs a recent sign-in."""
    return await call.change(lambda change: member_passkeys.remove(change, passkey.id), lambda _: Success())


@router.get("/me/sessions", summary="List your sessions", openapi_extra=own(Own.MEMBER))
async def list_sign_ins(member: CurrentMember, backend: CurrentBackend) -> SignInSessionsReply:
    """Browsers in which you are signed in, oldest first."""
    rules, now = backend.world.signing_in, backend.clock()
    found = await member_sessions.list_of_member(backend.database, member.member.id)
    return SignInSessionsReply(
        sessions=[
            SignInSessionView.of(each, current_id=member.session.id, rules=rules)
            for each in found
            if rules.session_ends_at(each.created_at, each.last_used_at) > now
        ]
    )


@router.post("/me/sessions/{session_id}/revoke", summary="End one of your sessions", openapi_extra=own(Own.MEMBER))
async def end_sign_in(
    session: OwnSignIn,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    call: CurrentCall,
) -> Success:
    """That browser is signed out from its next call on."""
    return await call.change(lambda change: own_account.end_session(change, session.id), lambda _: Success())


@router.post("/me/sessions/revoke", summary="Sign out everywhere", openapi_extra=own(Own.MEMBER))
async def end_sign_ins(
    _member: CurrentMember,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    call: CurrentCall,
) -> Success:
    """All of your sessions end, this one too."""
    _forget_cookies(call.response, is_dry_run=call.is_dry_run)
    return await call.change(own_account.end_all_sessions, lambda _: Success())


@router.post("/me/sign_out", summary="Sign out", openapi_extra=own(Own.MEMBER))
async def sign_out(
    member: CurrentMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """The session of this browser ends, and it forgets the cookie."""
    _forget_cookies(call.response, is_dry_run=call.is_dry_run)
    return await call.change(lambda change: own_account.end_session(change, member.session.id), lambda _: Success())


def _forget_cookies(response: Response, *, is_dry_run: bool) -> None:
    if not is_dry_run:
        for place in Place:
            response.headers.append("Set-Cookie", place.cookie("", 0))
