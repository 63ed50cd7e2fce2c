"""Signing in: by password with a second factor, and by taking a one-time link. Passkeys have a module of their own."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from moonlatch import crypto, proofs
from moonlatch.licensing.signing_in import totp_steps, weakness
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.members import resource
from moonlatch.operations.passwords import Passwords
from moonlatch.operations.refusals import Invalid, Reason, Refused, TryLater
from moonlatch.operations.standing import reach_of_member
from moonlatch.proofs import TOTP_SECRET
from moonlatch.storage import accounts, member_sessions, members, recovery_codes
from moonlatch.storage.accounts import Account
from moonlatch.storage.member_sessions import MemberSession
from moonlatch.storage.members import Member
from moonlatch.web.limits import RateLimit

MAX_SESSIONS_PER_MEMBER = 50
"""Browsers that are signed in at once; the oldest ends for one more."""

MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class Visit:
    """Where somebody signs in from; `secret` is what their browser held from an earlier time, whose session this one replaces."""

    address: str
    user_agent: str
    request_id: str | None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that began, with the secret that the browser is to hold."""

    member: Member
    session: MemberSession
    secret: str


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """Whose link it is, and to what account. `expires_at` in Unix milliseconds."""

    member: Member
    account: Account


class FailedSignIn(Refused):
    """Somebody did not prove who they are. `member` is who they said they were, None where there is no such one."""

    def __init__(self, member: Member | None, wrong: str, reason: Reason = Reason.SIGN_IN_FAILED) -> None:
        super().__init__(reason)
        self.member = member
        self.wrong = wrong


def acting(member: Member, visit: Visit, session: MemberSession | None = None) -> Actor:
    """A member who acts, with the permissions of their role."""
    permissions, projects = reach_of_member(member)
    return Actor(
        account_id=member.account_id,
        kind=ActorKind.MEMBER,
        id=member.id,
        name=member.name,
        permissions=permissions,
        projects=projects,
        member_id=member.id,
        session_id=None if session is None else session.id,
        confirmed_at=None if session is None else session.created_at,
        address=visit.address,
        request_id=visit.request_id,
    )


async def sign_in(
    world: World,
    passwords: Passwords,
    *,
    sign_in_name: str,
    password: str,
    code: str | None,
    visit: Visit,
    second_factors: RateLimit,
) -> SignedIn:
    """Begin a session with a password and, where the member has one-time codes, with one of those or a recovery code.

    `second_factors` bounds by member how many codes are tried. Raises FailedSignIn, Refused, TryLater.
    """
    known = await members.find_by_name(world.database, sign_in_name.lower())
    hashed = None if known is None or not known.is_active else known.password_hash
    if not await passwords.matches(password, hashed) or known is None or hashed is None:
        raise FailedSignIn(known, "password")
    if known.totp_enabled:
        if code is None:
            raise Refused(Reason.SECOND_FACTOR_NEEDED)
        allowance = await second_factors.take(known.id)
        if not allowance.allowed:
            raise TryLater(allowance.retry_after_seconds)
    better = await passwords.hash(password) if proofs.needs_new_hash(hashed) else hashed

    async def unit(change: Change) -> SignedIn:
        member = await members.find(change.tx, known.id)
        if member is None or not member.is_active or member.password_hash != hashed:
            raise FailedSignIn(known, "password")
        if member.totp_enabled:
            await _take_code(change, member, code)
        return await begin_session(change, msgspec.structs.replace(member, password_hash=better), visit, "password")

    return await perform(world, acting(known, visit), unit)


async def _take_code(change: Change, member: Member, code: str | None) -> None:
    """Use a one-time or recovery code up. Raises FailedSignIn."""
    if code is None:
        raise Refused(Reason.SECOND_FACTOR_NEEDED)
    plain = code.replace(" ", "")
    if plain.isdecimal():
        step = proofs.totp_step(totp_secret_of(change, member), plain, totp_steps(change.now))
        is_good = step is not None and await members.take_totp_step(change.tx, member.id, step)
    else:
        is_good = await recovery_codes.take(change.tx, member.id, proofs.recovery_code_hash(member.id, plain))
    if not is_good:
        raise FailedSignIn(member, "code")


def totp_secret_of(change: Change, member: Member) -> str:
    """What a member's one-time codes are made from."""
    assert member.totp_secret is not None
    return change.keyring.open_secret(TOTP_SECRET, member.id, member.totp_secret)


async def begin_session(change: Change, member: Member, visit: Visit, how: str) -> SignedIn:
    """Sign a member in who has proved who they are, in place of what their browser held before."""
    secret = proofs.new_secret()
    session = MemberSession(
        id=crypto.new_id(),
        member_id=member.id,
        hash=proofs.secret_hash(secret),
        created_at=change.now,
        last_used_at=change.now,
        address=visit.address,
        user_agent=visit.user_agent[:MAX_USER_AGENT],
    )
    if visit.secret is not None:
        await member_sessions.remove_by_hash(change.tx, proofs.secret_hash(visit.secret), member.id)
    await member_sessions.insert(change.tx, session, keep=MAX_SESSIONS_PER_MEMBER)
    await members.note_sign_in(change.tx, member.id, at=change.now, password_hash=member.password_hash)
    change.record(EventKind.MEMBER_SIGNED_IN, resource(member), changes={"with": (None, how)})
    return SignedIn(member, session, secret)


async def look_at_link(world: World, secret: str) -> LinkHolder:
    """Whose link it is, without using it. Raises Refused."""
    member = await members.find_by_link(world.database, proofs.secret_hash(secret), now=world.clock())
    account = None if member is None else await accounts.find(world.database, member.account_id)
    if member is None or account is None or member.disabled_at is not None:
        raise Refused(Reason.LINK_NOT_VALID)
    return LinkHolder(member, account)


async def accept(
    world: World, passwords: Passwords, *, secret: str, password: str, name: str | None, visit: Visit
) -> SignedIn | None:
    """Choose a password by a one-time link, which is used up, and begin a session; the member's others end.

    None for a member with one-time codes, who signs in then: the link stands for the password alone. Raises Invalid, Refused,
    TryLater.
    """
    holder = (await look_at_link(world, secret)).member
    problem = weakness(password, sign_in_name=holder.sign_in_name)
    if problem is not None:
        raise Invalid("password", problem)
    hashed = await passwords.hash(password)

    async def unit(change: Change) -> SignedIn | None:
        member = await members.find_by_link(change.tx, proofs.secret_hash(secret), now=change.now)
        if member is None or member.disabled_at is not None:
            raise Refused(Reason.LINK_NOT_VALID)
        await members.remove_link(change.tx, member.id)
        await member_sessions.remove_all(change.tx, member.id)
        is_new = member.joined_at is None
        changed = msgspec.structs.replace(
            member, password_hash=hashed, name=name or member.name, joined_at=member.joined_at or change.now
        )
        await members.save(change.tx, changed)
        kind = EventKind.MEMBER_ACCEPTED if is_new else EventKind.MEMBER_PASSWORD_CHANGED
        change.record(kind, resource(changed))
        return None if changed.totp_enabled else await begin_session(change, changed, visit, "link")

    return await perform(world, acting(holder, visit), unit)
