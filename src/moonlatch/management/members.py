"""Member endpoints: who belongs to an account, and what they may."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission, Role
from moonlatch.licensing.signing_in import SIGN_IN_NAME
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading, Reading
from moonlatch.management.fields import Closed, Edit, Empty, Id, Name, OneOf
from moonlatch.management.member_views import MemberView
from moonlatch.management.owned import OwnedMember
from moonlatch.management.refusals import DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import members as member_operations
from moonlatch.operations.members import NewLink, reaches, version
from moonlatch.operations.refusals import Reason
from moonlatch.storage import members, passkeys
from moonlatch.storage.members import Member

router = resource_router("members")

MAX_MEMBERS = DocumentedError(1, Reason.MAX_MEMBERS, 403)
NAME_TAKEN = DocumentedError(2, Reason.SIGN_IN_NAME_TAKEN, 409)
NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)
LAST_OWNER = DocumentedError(2, Reason.LAST_OWNER, 409)
DISABLED = DocumentedError(1, Reason.MEMBER_DISABLED, 409)

_MAX_PROJECTS = 100
RoleName = Annotated[str, OneOf(Role)]
ProjectIds = Annotated[list[Id], Field(min_length=1, max_length=_MAX_PROJECTS)]


class Invite(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ana", "sign_in_name": "ana@example.com", "role": "support"}]}
    )

    name: Name
    sign_in_name: Annotated[
        str, Field(pattern=SIGN_IN_NAME, description="e-mail address or name; unique on the whole server")
    ]
    role: RoleName
    projects: Annotated[ProjectIds | None, Field(description="ids; null: all that you reach")] = None


class EditMember(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "developer"}]})

    name: Name | None = None
    role: RoleName | None = None
    projects: Annotated[
        ProjectIds | Annotated[str, OneOf(("",))] | None, Field(description='ids; "": all that you reach')
    ] = None
    disabled: Annotated[bool | None, Field(description="whether their sessions and tokens are refused")] = None


class MemberReply(Success):
    member: MemberView


class MembersReply(Success):
    members: list[MemberView]


class MemberLinkReply(Success):
    member: MemberView
    secret: Annotated[str, Field(description="of the link; shown this once", examples=["SECRET"])]
    url: Annotated[
        str,
        Field(
            description="the link itself, to be sent to them alone",
            examples=["https://scripts.example.com/dashboard/#/invite/SECRET"],
        ),
    ]
    expires_at: Annotated[int, Field(description="Unix milliseconds", examples=[1_770_624_500_000])]

    @classmethod
    def of(cls, made: NewLink) -> MemberLinkReply:
        view = MemberView.of(made.member, link_expires_at=made.expires_at)
        return cls(member=view, secret=made.secret, url=made.url, expires_at=made.expires_at)


async def _shown(reading: Reading, found: list[Member]) -> list[MemberView]:
    database, account_id = reading.backend.database, reading.actor.account_id
    ends = await members.link_ends(database, account_id, now=reading.backend.clock())
    counts = await passkeys.counts(database, account_id)
    return [MemberView.of(each, passkeys=counts.get(each.id, 0), link_expires_at=ends.get(each.id)) for each in found]


@router.get("/members", summary="List members", openapi_extra=needs(Permission.MEMBERS_READ))
async def list_members(caller: CurrentCaller, reading: CurrentReading) -> MembersReply:
    """Oldest first, with those who are invited or disabled. Whoever reaches some projects sees those who reach no others."""
    found = await members.list_of_account(reading.backend.database, caller.account.id)
    return MembersReply(members=await _shown(reading, [each for each in found if reaches(caller.actor, each)]))


@router.get("/members/{member_id}", summary="Get a member", openapi_extra=needs(Permission.MEMBERS_READ))
async def get_member(member: OwnedMember, reading: CurrentReading) -> MemberReply:
    """One member, with an entity tag for an edit."""
    reading.tag(version(member))
    (shown,) = await _shown(reading, [member])
    return MemberReply(member=shown)


@router.post(
    "/members",
    summary="Invite a member",
    responses=refusing(MAX_MEMBERS, NAME_TAKEN),
    openapi_extra=needs(Permission.MEMBERS_WRITE),
)
async def invite_member(body: Annotated[Invite, Depends(JsonBody(Invite))], call: CurrentCall) -> MemberLinkReply:
    """With at most your own permissions and projects. The reply is the only place that ever shows the link."""
    return await call.change(
        lambda change: member_operations.invite(
            change, name=body.name, sign_in_name=body.sign_in_name, role=Role(body.role), projects=body.projects
        ),
        MemberLinkReply.of,
    )


@router.post(
    "/members/{member_id}/edit",
    summary="Edit a member",
    responses=refusing(NOTHING, LAST_OWNER),
    openapi_extra=needs(Permission.MEMBERS_WRITE, is_conditional=True),
)
async def edit_member(
    member: OwnedMember, body: Annotated[EditMember, Depends(JsonBody(EditMember))], call: CurrentCall
) -> MemberReply:
    """It holds for their sessions and their tokens from the next call on."""
    changes = body.changes()
    return await call.change(
        lambda change: member_operations.edit(
            change,
            member.id,
            name=body.name,
            role=None if body.role is None else Role(body.role),
            projects=changes.get("projects", msgspec.UNSET),
            disabled=body.disabled,
        ),
        lambda changed: MemberReply(member=MemberView.of(changed)),
        version=version,
    )


@router.post(
    "/members/{member_id}/remove",
    summary="Remove a member",
    responses=refusing(LAST_OWNER),
    openapi_extra=needs(Permission.MEMBERS_WRITE),
)
async def remove_member(
    member: OwnedMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Their sessions end, and their tokens are revoked."""
    return await call.change(lambda change: member_operations.remove(change, member.id), lambda _: Success())


@router.post(
    "/members/{member_id}/link",
    summary="Make a one-time link",
    responses=refusing(DISABLED),
    openapi_extra=needs(Permission.MEMBERS_WRITE),
)
async def create_member_link(
    member: OwnedMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> MemberLinkReply:
    """To take the invitation, or to choose a new password where the old one is lost; the link before ends."""
    return await call.change(lambda change: member_operations.new_link(change, member.id), MemberLinkReply.of)


@router.post(
    "/members/{member_id}/link/revoke",
    summary="Revoke a one-time link",
    openapi_extra=needs(Permission.MEMBERS_WRITE),
)
async def revoke_member_link(
    member: OwnedMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Nobody can use it any more."""
    return await call.change(lambda change: member_operations.revoke_link(change, member.id), lambda _: Success())


@router.post(
    "/members/{member_id}/reset_second_factor",
    summary="Take a member's second factor away",
    openapi_extra=needs(Permission.MEMBERS_WRITE),
)
async def reset_second_factor(
    member: OwnedMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """One-time codes, recovery codes and passkeys, for somebody whose devices are gone; their sessions end."""
    return await call.change(
        lambda change: member_operations.reset_second_factor(change, member.id), lambda _: Success()
    )


@router.post(
    "/members/{member_id}/sign_out", summary="Sign a member out", openapi_extra=needs(Permission.MEMBERS_WRITE)
)
async def sign_out_member(
    member: OwnedMember, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """All of their sessions end."""
    return await call.change(lambda change: member_operations.sign_out(change, member.id), lambda _: Success())
