"""What members do to themselves: name, password, one-time codes, sessions. What proves who they are, they change after a recent sign-in only."""

from __future__ import annotations

import msgspec

from moonlatch import proofs
from moonlatch.licensing.signing_in import RECOVERY_CODES, totp_steps, weakness
from moonlatch.operations.changing import Change, Intent, differences, perform
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.members import own_spelling, resource
from moonlatch.operations.passwords import Passwords
from moonlatch.operations.refusals import Invalid, NotAllowed, NotFound, Reason, Refused
from moonlatch.operations.signing_in import totp_secret_of
from moonlatch.proofs import TOTP_SECRET
from moonlatch.storage import member_sessions, members, recovery_codes
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.members import Member


class BegunTotp(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is to be given."""

    secret: str
    url: str


async def acting_member(change: Change) -> Member:
    """The member who acts by a sign-in session. Raises NotAllowed for a token."""
    actor = change.actor
    found = None if actor.session_id is None else await members.find(change.tx, actor.id)
    if found is None:
        raise NotAllowed("this is for members who have signed in")
    return found


async def confirmed_member(change: Change) -> Member:
    """As `acting_member`. Raises Refused where they signed in too long ago to change what proves who they are."""
    member = await acting_member(change)
    if not change.world.signing_in.is_recent(change.actor.confirmed_at, change.now):
        raise Refused(Reason.SIGN_IN_AGAIN)
    return member


async def edit(change: Change, *, name: str | None, sign_in_name: str | None) -> Member:
    """Change what is given. Raises NotAllowed, Invalid, Refused; a sign-in name needs a recent sign-in."""
    if name is None and sign_in_name is None:
        raise Refused(Reason.NOTHING_TO_EDIT)
    current = await (acting_member(change) if sign_in_name is None else confirmed_member(change))
    changed = msgspec.structs.replace(
        current,
        name=name or current.name,
        sign_in_name=current.sign_in_name if sign_in_name is None else own_spelling(sign_in_name),
    )
    try:
        await members.save(change.tx, changed)
    except UniqueViolation:
        raise Refused(Reason.SIGN_IN_NAME_TAKEN) from None
    change.record(EventKind.MEMBER_EDITED, resource(changed), changes=differences(current, changed))
    return changed


async def change_password(
    world: World, passwords: Passwords, actor: Actor, password: str, intent: Intent[Member]
) -> Member:
    """Have another password; the other sessions end. Raises NotAllowed, Invalid, Refused, TryLater."""
    if actor.session_id is not None and not world.signing_in.is_recent(actor.confirmed_at, world.clock()):
        raise Refused(Reason.SIGN_IN_AGAIN)  # before the work of hashing
    hashed = await passwords.hash(password)

    async def unit(change: Change) -> Member:
        member = await confirmed_member(change)
        problem = weakness(password, sign_in_name=member.sign_in_name)
        if problem is not None:
            raise Invalid("password", problem)
        changed = msgspec.structs.replace(member, password_hash=hashed)
        await members.save(change.tx, changed)
        await members.remove_link(change.tx, member.id)
        await member_sessions.remove_all(change.tx, member.id, except_id=change.actor.session_id or "")
        change.record(EventKind.MEMBER_PASSWORD_CHANGED, resource(changed))
        return changed

    return await perform(world, actor, unit, intent)


async def begin_totp(change: Change) -> BegunTotp:
    """Make the secret of one-time codes; they count from the first one that is sent back. Raises NotAllowed, Refused."""
    member = await confirmed_member(change)
    if member.totp_enabled:
        raise Refused(Reason.TOTP_ON)
    secret = proofs.new_totp_secret()
    sealed = change.keyring.seal_secret(TOTP_SECRET, member.id, secret)
    await members.save(change.tx, msgspec.structs.replace(member, totp_secret=sealed))
    return BegunTotp(secret=secret, url=proofs.totp_url(secret, issuer="Moonlatch", name=member.sign_in_name))


async def enable_totp(change: Change, code: str) -> list[str]:
    """Switch one-time codes on with the first one, and give recovery codes, which are kept nowhere. Raises NotAllowed, Refused."""
    member = await confirmed_member(change)
    if member.totp_enabled:
        raise Refused(Reason.TOTP_ON)
    if member.totp_secret is None:
        raise Refused(Reason.TOTP_NOT_BEGUN)
    step = proofs.totp_step(totp_secret_of(change, member), code, totp_steps(change.now))
    if step is None:
        raise Refused(Reason.WRONG_CODE)
    await members.save(change.tx, msgspec.structs.replace(member, totp_enabled=True, totp_step=step))
    change.record(EventKind.MEMBER_TOTP_ENABLED, resource(member))
    return await _new_recovery_codes(change, member)


async def disable_totp(change: Change) -> None:
    """Switch one-time codes off, with their recovery codes. Raises NotAllowed, Refused."""
    member = await confirmed_member(change)
    if not member.totp_enabled:
        raise Refused(Reason.TOTP_OFF)
    await members.save(change.tx, msgspec.structs.replace(member, totp_enabled=False, totp_secret=None))
    await recovery_codes.replace(change.tx, member.id, [])
    change.record(EventKind.MEMBER_TOTP_DISABLED, resource(member))


async def renew_recovery_codes(change: Change) -> list[str]:
    """Make recovery codes in place of those before, which are kept nowhere. Raises NotAllowed, Refused."""
    member = await confirmed_member(change)
    if not member.totp_enabled:
        raise Refused(Reason.TOTP_OFF)
    change.record(EventKind.MEMBER_RECOVERY_CODES_MADE, resource(member))
    return await _new_recovery_codes(change, member)


async def _new_recovery_codes(change: Change, member: Member) -> list[str]:
    codes = proofs.new_recovery_codes(RECOVERY_CODES)
    await recovery_codes.replace(change.tx, member.id, [proofs.recovery_code_hash(member.id, each) for each in codes])
    return codes


async def end_session(change: Change, session_id: str) -> None:
    """End one of one's sessions. Raises NotAllowed, NotFound."""
    member = await acting_member(change)
    if not await member_sessions.remove(change.tx, session_id, member.id):
        raise NotFound("session")
    change.record(EventKind.MEMBER_SIGNED_OUT, resource(member))


async def end_all_sessions(change: Change) -> None:
    """End all of one's sessions, this one too. Raises NotAllowed."""
    member = await acting_member(change)
    if await member_sessions.remove_all(change.tx, member.id):
        change.record(EventKind.MEMBER_SIGNED_OUT, resource(member))
