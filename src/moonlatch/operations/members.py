"""What can be done to members of an account by others. Nobody gives, or takes from somebody who has, more than they have themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from moonlatch import crypto, proofs
from moonlatch.licensing.roles import PERMISSIONS, Permission, Role, covers_projects, exceeding
from moonlatch.licensing.signing_in import canonical_name
from moonlatch.operations import tokens
from moonlatch.operations.changing import Change, Resource, differences, version_of
from moonlatch.operations.context import Actor
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotAllowed, NotFound, Reason, Refused
from moonlatch.storage import member_sessions, members, passkeys, recovery_codes
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.members import Link, Member

MAX_MEMBERS_PER_ACCOUNT = 200

_NO_SETTINGS = frozenset({"password_hash", "totp_secret", "totp_enabled", "totp_step", "joined_at", "signed_in_at"})


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link that was made: its secret is kept nowhere. Expiry in Unix milliseconds."""

    member: Member
    secret: str
    url: str
    expires_at: int


def version(member: Member) -> str:
    """What a member is at, for whoever edits them."""
    return version_of(member, without=_NO_SETTINGS)


def reaches(actor: Actor, member: Member) -> bool:
    """Return whether a member is among those that the actor has to do with; one who is not must look as if they were not there."""
    return covers_projects(actor.projects, member.projects)


async def invite(
    change: Change, *, name: str, sign_in_name: str, role: Role, projects: Sequence[str] | None = None
) -> NewLink:
    """Make a member who may do nothing until they take the link. `projects` None is all that the actor reaches.

    Raises NotAllowed, Invalid, Refused.
    """
    actor = change.actor
    actor.require(Permission.MEMBERS_WRITE)
    reached = _projects(actor, role, None if projects is None else tuple(projects))
    _require_at_least(actor, role, reached)
    _require_lasting(actor)
    await _require_projects(change, reached or ())
    if len(await members.list_of_account(change.tx, actor.account_id)) >= MAX_MEMBERS_PER_ACCOUNT:
        raise Refused(Reason.MAX_MEMBERS)
    member = Member(
        id=crypto.new_id(),
        account_id=actor.account_id,
        name=name,
        sign_in_name=own_spelling(sign_in_name),
        role=role,
        projects=reached,
        invited_by=actor.name,
        created_at=change.now,
    )
    try:
        await members.insert(change.tx, member)
    except UniqueViolation:
        raise Refused(Reason.SIGN_IN_NAME_TAKEN) from None
    change.record(
        EventKind.MEMBER_INVITED,
        resource(member),
        changes={"role": (None, role), "projects": (None, reached), "sign_in_name": (None, member.sign_in_name)},
    )
    return await _give_link(change, member)


async def new_link(change: Change, member_id: str) -> NewLink:
    """Make a link in place of the one before: to take the invitation, or to choose another password. Raises NotAllowed, NotFound, Refused."""
    member = await _member_below(change, member_id)
    _require_lasting(change.actor)
    if member.disabled_at is not None:
        raise Refused(Reason.MEMBER_DISABLED)
    change.record(EventKind.MEMBER_LINK_CREATED, resource(member))
    return await _give_link(change, member)


async def revoke_link(change: Change, member_id: str) -> None:
    """Have a member's link refused; without one, it changes nothing and leaves no event. Raises NotAllowed, NotFound."""
    member = await _member_below(change, member_id)
    if await members.remove_link(change.tx, member.id):
        change.record(EventKind.MEMBER_LINK_REVOKED, resource(member))


async def edit(
    change: Change,
    member_id: str,
    *,
    name: str | None = None,
    role: Role | None = None,
    projects: Sequence[str] | msgspec.UnsetType | None = msgspec.UNSET,
    disabled: bool | None = None,
) -> Member:
    """Change what is given, which holds for their sessions and tokens from the next call on. `projects` None is all.

    Raises NotAllowed, NotFound, Invalid, Refused, ChangedMeanwhile.
    """
    current = await _member_below(change, member_id)
    change.expect(version(current))
    if name is None and role is None and projects is msgspec.UNSET and disabled is None:
        raise Refused(Reason.NOTHING_TO_EDIT)
    changed = msgspec.structs.replace(current, name=name or current.name, role=role or current.role)
    if not isinstance(projects, msgspec.UnsetType):
        chosen = None if projects is None else tuple(projects)
        changed = msgspec.structs.replace(changed, projects=_projects(change.actor, changed.role, chosen))
    elif changed.role is Role.OWNER:
        changed = msgspec.structs.replace(changed, projects=None)
    if disabled is not None:
        since = (current.disabled_at or change.now) if disabled else None
        changed = msgspec.structs.replace(changed, disabled_at=since)
    if (changed.role, changed.projects) != (current.role, current.projects):
        _require_at_least(change.actor, changed.role, changed.projects)
        await _require_projects(change, set(changed.projects or ()) - set(current.projects or ()))
    if _gains(current, changed):
        _require_lasting(change.actor)
    await _require_an_owner(change, current, changed)
    await members.save(change.tx, changed)
    if changed.disabled_at is not None:
        await member_sessions.remove_all(change.tx, member_id)
        await members.remove_link(change.tx, member_id)
    change.record(EventKind.MEMBER_EDITED, resource(changed), changes=differences(current, changed))
    return changed


async def remove(change: Change, member_id: str) -> None:
    """Remove a member; their sessions and tokens end with it. Raises NotAllowed, NotFound, Refused for the last owner."""
    member = await _member_below(change, member_id)
    await _require_an_owner(change, member, None)
    await tokens.revoke_all_of(change, member.id)
    await members.remove(change.tx, member.id)
    change.record(EventKind.MEMBER_REMOVED, resource(member), changes={"role": (member.role, None)})


async def reset_second_factor(change: Change, member_id: str) -> None:
    """Take a member's one-time codes, recovery codes and passkeys away, and end their sessions. Raises NotAllowed, NotFound."""
    member = await _member_below(change, member_id)
    await members.save(change.tx, msgspec.structs.replace(member, totp_secret=None, totp_enabled=False))
    await recovery_codes.replace(change.tx, member.id, [])
    await passkeys.clear(change.tx, member.id)
    await member_sessions.remove_all(change.tx, member.id)
    change.record(EventKind.MEMBER_SECOND_FACTOR_RESET, resource(member))


async def sign_out(change: Change, member_id: str) -> None:
    """End all of a member's sessions; without any it leaves no event. Raises NotAllowed, NotFound."""
    member = await _member_below(change, member_id)
    if await member_sessions.remove_all(change.tx, member.id):
        change.record(EventKind.MEMBER_SIGNED_OUT, resource(member))


def resource(member: Member) -> Resource:
    return Resource("member", member.id, member.name)


def own_spelling(sign_in_name: str) -> str:
    """The one spelling of a sign-in name. Raises Invalid."""
    try:
        return canonical_name(sign_in_name)
    except ValueError as error:
        raise Invalid("sign_in_name", str(error)) from None


async def _give_link(change: Change, member: Member) -> NewLink:
    secret = proofs.new_secret()
    rules = change.world.signing_in
    link = Link(
        member_id=member.id,
        hash=proofs.secret_hash(secret),
        created_at=change.now,
        expires_at=change.now + rules.link_ms,
    )
    await members.put_link(change.tx, link)
    return NewLink(member=member, secret=secret, url=rules.link(secret), expires_at=link.expires_at)


async def _member_below(change: Change, member_id: str) -> Member:
    """The member, who may do no more than the actor. Raises NotAllowed, NotFound."""
    change.actor.require(Permission.MEMBERS_WRITE)
    member = await members.find_owned(change.tx, member_id, change.actor.account_id)
    if member is None or not reaches(change.actor, member):
        raise NotFound("member")
    more = exceeding(PERMISSIONS[member.role], change.actor.permissions)
    if more:
        raise NotAllowed(f"this member may do more than you: {', '.join(more)}", more[0])
    return member


def _projects(actor: Actor, role: Role, chosen: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Which projects somebody of this role gets; None for an actor of some is those."""
    if role is Role.OWNER:
        if chosen is not None:
            raise Invalid("projects", "must be left out for an owner, who reaches all of them")
        return None
    if chosen is not None:
        return tuple(sorted(set(chosen)))
    return None if actor.projects is None else tuple(sorted(actor.projects))


def _require_at_least(actor: Actor, role: Role, projects: tuple[str, ...] | None) -> None:
    """Raise NotAllowed where this is more than the actor has."""
    more = exceeding(PERMISSIONS[role], actor.permissions)
    if more:
        raise NotAllowed(f"you may not give the role {role}: you lack {', '.join(more)}", more[0])
    if not covers_projects(actor.projects, projects):
        raise Invalid("projects", "must be some of those that you reach")


async def _require_projects(change: Change, ids: Collection[str]) -> None:
    """Raise Invalid for an id of a project that is not there, or that the actor does not reach."""
    for project_id in ids:
        try:
            await change.project(project_id)
        except NotFound:
            raise Invalid("projects", f"must be ids of projects that you reach; {project_id!r} is not one") from None


def _require_lasting(actor: Actor) -> None:
    """Raise NotAllowed for a token that ends or is bound to addresses: a member would outlast it."""
    if actor.expires_at is not None or actor.networks:
        raise NotAllowed("a token that expires, or is for some addresses only, may not give access that does neither")


def _gains(current: Member, changed: Member) -> bool:
    """Return whether a member may do more than before."""
    return bool(
        exceeding(PERMISSIONS[changed.role], PERMISSIONS[current.role])
        or not covers_projects(current.projects, changed.projects)
        or (current.disabled_at is not None and changed.disabled_at is None)
    )


async def _require_an_owner(change: Change, current: Member, changed: Member | None) -> None:
    """Raise Refused where the account would be left without an owner who can sign in."""

    def is_owner(member: Member | None) -> bool:
        return member is not None and member.role is Role.OWNER and member.is_active

    if not is_owner(current) or is_owner(changed):
        return
    everybody = await members.list_of_account(change.tx, current.account_id)
    if not any(is_owner(each) for each in everybody if each.id != current.id):
        raise Refused(Reason.LAST_OWNER)
