"""Passkeys of members: adding and removing one's own, and signing in with one. A challenge is answered once, and soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moonlatch import crypto
from moonlatch import passkeys as webauthn
from moonlatch.licensing.signing_in import CHALLENGE_MS, passkey_site
from moonlatch.operations.changing import Change, Intent, perform
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.members import resource
from moonlatch.operations.own_account import confirmed_member
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.operations.signing_in import FailedSignIn, SignedIn, Visit, acting, begin_session
from moonlatch.passkeys import BadPasskeyError, Site
from moonlatch.storage import members, passkeys
from moonlatch.storage.interface import Transaction, UniqueViolation
from moonlatch.storage.passkeys import Challenge, Passkey

MAX_PASSKEYS_PER_MEMBER = 20
MAX_CHALLENGES = 10_000
"""That wait for whoever signs in, in the whole installation: anybody may ask for one. The oldest makes room for one more, so that whoever asks
for many locks nobody out who answers soon.
"""

MAX_CHALLENGES_PER_MEMBER = 20
"""That wait for a member's new passkey; here too the oldest makes room."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a browser is to answer: `options` as `navigator.credentials` takes them."""

    challenge_id: str
    options: dict[str, Any]


def site_of(world: World) -> Site:
    """Whom passkeys are made for here. Raises Refused where browsers know none."""
    found = passkey_site(world.signing_in.url)
    if found is None:
        raise Refused(Reason.PASSKEYS_UNAVAILABLE)
    return Site(*found)


async def ask_for_new(change: Change) -> Asked:
    """Begin adding a passkey. Raises NotAllowed, Refused."""
    site = site_of(change.world)
    member = await confirmed_member(change)
    known = await passkeys.list_of_member(change.tx, member.id)
    if len(known) >= MAX_PASSKEYS_PER_MEMBER:
        raise Refused(Reason.MAX_PASSKEYS)
    challenge = await _challenge(change.tx, change.now, member.id)
    options = webauthn.creation_options(
        site,
        member_id=member.id,
        sign_in_name=member.sign_in_name,
        name=member.name,
        challenge=challenge.challenge,
        known=[each.credential_id for each in known],
    )
    return Asked(challenge.id, options)


async def add(
    world: World, actor: Actor, *, challenge_id: str, name: str, credential: dict[str, Any], intent: Intent[Passkey]
) -> Passkey:
    """Keep a passkey that a browser made for a challenge, which is used up. Raises NotAllowed, Refused."""
    site = site_of(world)
    challenge = await _take(world, challenge_id)
    if challenge is None or challenge.member_id != actor.member_id:
        raise Refused(Reason.PASSKEY_REFUSED)
    try:
        made = webauthn.registered(site, credential, challenge.challenge)
    except BadPasskeyError:
        raise Refused(Reason.PASSKEY_REFUSED) from None

    async def unit(change: Change) -> Passkey:
        member = await confirmed_member(change)
        if len(await passkeys.list_of_member(change.tx, member.id)) >= MAX_PASSKEYS_PER_MEMBER:
            raise Refused(Reason.MAX_PASSKEYS)
        passkey = Passkey(
            id=crypto.new_id(),
            member_id=member.id,
            name=name,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            created_at=change.now,
        )
        try:
            await passkeys.insert(change.tx, passkey)
        except UniqueViolation:
            raise Refused(Reason.PASSKEY_REFUSED) from None
        change.record(EventKind.MEMBER_PASSKEY_ADDED, resource(member), changes={"passkey": (None, name)})
        return passkey

    return await perform(world, actor, unit, intent)


async def remove(change: Change, passkey_id: str) -> None:
    """Remove one of one's passkeys. Raises NotAllowed, NotFound, Refused."""
    member = await confirmed_member(change)
    name = await passkeys.remove(change.tx, passkey_id, member.id)
    if name is None:
        raise NotFound("passkey")
    change.record(EventKind.MEMBER_PASSKEY_REMOVED, resource(member), changes={"passkey": (name, None)})


async def ask_for_any(world: World) -> Asked:
    """Begin signing in with a passkey, whosever it is. Raises Refused."""
    site = site_of(world)

    now = world.clock()
    challenge = await world.database.run(lambda tx: _challenge(tx, now, None))
    return Asked(challenge.id, webauthn.request_options(site, challenge.challenge))


async def sign_in(world: World, *, challenge_id: str, credential: dict[str, Any], visit: Visit) -> SignedIn:
    """Begin a session with a passkey, which is both factors at once: the device, and whom it knows. Raises FailedSignIn, Refused."""
    site = site_of(world)
    challenge = await _take(world, challenge_id)
    if challenge is None or challenge.member_id is not None:
        raise Refused(Reason.SIGN_IN_FAILED)
    try:
        known = await passkeys.find(world.database, webauthn.credential_id_of(credential))
    except BadPasskeyError:
        known = None
    owner = None if known is None else await members.find(world.database, known.member_id)
    if known is None or owner is None or not owner.is_active:
        raise FailedSignIn(owner, "passkey")
    try:
        count = webauthn.proven(
            site,
            credential,
            challenge.challenge,
            member_id=owner.id,
            public_key=known.public_key,
            sign_count=known.sign_count,
        )
    except BadPasskeyError:
        raise FailedSignIn(owner, "passkey") from None

    async def unit(change: Change) -> SignedIn:
        member = await members.find(change.tx, owner.id)
        if member is None or not member.is_active or await passkeys.find(change.tx, known.credential_id) != known:
            raise FailedSignIn(owner, "passkey")
        await passkeys.note_use(change.tx, known.id, sign_count=count, at=change.now)
        return await begin_session(change, member, visit, "passkey")

    return await perform(world, acting(owner, visit), unit)


async def _challenge(tx: Transaction, now: int, member_id: str | None) -> Challenge:
    most = MAX_CHALLENGES if member_id is None else MAX_CHALLENGES_PER_MEMBER
    await passkeys.make_room(tx, member_id, most=most, now=now)
    challenge = Challenge(
        id=crypto.new_id(),
        challenge=webauthn.new_challenge(),
        member_id=member_id,
        expires_at=now + CHALLENGE_MS,
    )
    await passkeys.add_challenge(tx, challenge)
    return challenge


async def _take(world: World, challenge_id: str) -> Challenge | None:
    """Use a challenge up, whatever becomes of its answer; None for one that was used, or came too late."""
    challenge = await world.database.run(lambda tx: passkeys.take_challenge(tx, challenge_id))
    return None if challenge is None or challenge.expires_at <= world.clock() else challenge
