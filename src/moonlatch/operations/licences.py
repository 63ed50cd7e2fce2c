"""What can be done with offline licences: make one for a key on a device, for hosts without HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import msgspec

from moonlatch import leases
from moonlatch.licensing.key import expiry_after_first_use
from moonlatch.licensing.lease import may_be_leased, term
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.variables import start_variables
from moonlatch.licensing.verdict import (
    FINGERPRINT_MISMATCH,
    Granted,
    Policy,
    Refusal,
    Start,
    StartFacts,
    decide_start,
    with_build_given,
)
from moonlatch.operations.changing import Change, Intent, keyring_of, perform
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.marking import copies_of, holder_of_key
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused, TryLater
from moonlatch.operations.run_keys import FIRST_LOADER
from moonlatch.operations.sealed_payload import run_key_for, sealed, sealed_with_run_key
from moonlatch.operations.user_actions import resource
from moonlatch.storage import key_devices, licences, loaders, scripts, users
from moonlatch.storage.licences import Owner, StartQuestion
from moonlatch.storage.scripts import Script
from moonlatch.storage.user_keys import key_of
from moonlatch.storage.users import User

RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """The device as the host itself names it, and for how many days; None: the script's."""

    script: str
    fingerprint: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Licence:
    """A Lua program: the script's loader with a licence that it can start the build by. Times in Unix milliseconds."""

    program: str
    build: int
    expires: int
    grace: int


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The build that the key is given, under a key of its own."""

    payload: leases.Payload
    text: bytes


async def create(
    world: World, actor: Actor, user: User, asked: Asked, *, intent: Intent[Licence] | None = None
) -> Licence:
    """Make a licence for a start that would be granted now; as a start does, it binds the key to the device and begins its days.

    A dry run has no program: that would start the script, without an event and without holding the device.
    Raises NotAllowed, NotFound, Invalid, Refused, TryLater.
    """
    actor.require(Permission.KEYS_WRITE)
    prepared = await _prepare(world, actor, user, asked)
    made = await perform(world, actor, lambda change: _create(change, user.id, asked, prepared), intent)
    return replace(made, program="") if intent is not None and intent.is_dry_run else made


async def _prepare(world: World, actor: Actor, user: User, asked: Asked) -> _Prepared | None:
    """What is sealed outside of the transaction: a build may have megabytes."""
    script = await scripts.find(world.database, asked.script)
    if script is None or script.project_id != user.project_id:
        return None
    fingerprint = keyring_of(world).fingerprint(user.project_id, "fingerprint", asked.fingerprint)
    owner = Owner(script.id, script.project_id, actor.account_id)
    question = StartQuestion(script.id, script.loader or "", user.key_hash, fingerprint, world.clock())
    facts = await licences.Licences(world.database).for_start(owner, question)
    if facts is None:
        return None
    build = with_build_given(facts, fingerprint).build
    copies = await copies_of(world.database, keyring_of(world), script.id, build) if script.mark_copies else None
    content = await licences.payload(world.database, script.id, build) if copies is None else None
    if copies is None and content is None:
        return None
    lock = await licences.run_lock(world.database, script.id, build)
    holder, hands_over = holder_of_key(user.id), (facts.loader_version or 0) >= FIRST_LOADER

    def seal() -> _Prepared:
        text = content if copies is None else copies.text(holder)
        assert text is not None  # one of the two is there
        ring = keyring_of(world)
        payload = sealed(text, lock) if hands_over else sealed_with_run_key(ring, text, lock, script.id, holder)
        opening = run_key_for(ring, payload, script.id, holder)
        return _Prepared(
            leases.Payload(build=build, key=payload.key, digest=payload.digest, run_key=opening), payload.text
        )

    return await asyncio.to_thread(seal)


async def _create(change: Change, user_id: str, asked: Asked, prepared: _Prepared | None) -> Licence:
    change.actor.require(Permission.KEYS_WRITE)
    user = await change.user(user_id)
    script = await _script(change, asked.script, user)
    await change.require_active()
    loader, source = await _loader(change, script)
    fingerprint = change.keyring.fingerprint(user.project_id, "fingerprint", asked.fingerprint)
    owner = Owner(script.id, script.project_id, change.actor.account_id)
    question = StartQuestion(script.id, loader, user.key_hash, fingerprint, change.now)
    facts, granted = _decide(await licences.facts_in(change.tx, owner, question), fingerprint, change.now)
    if prepared is None or prepared.payload.build != facts.build:  # it was updated just now
        raise TryLater(RETRY_SECONDS)
    await _bind(change, user, fingerprint)
    days = script.offline_days if asked.days is None else asked.days
    key_expires = expiry_after_first_use(user.key_expires, user.key_days, change.now)
    until = term(change.now, days, key_expires)
    changed = msgspec.structs.replace(
        user,
        fingerprint=user.fingerprint or fingerprint,
        key_expires=key_expires,
        expiry_set_at=user.expiry_set_at if key_expires == user.key_expires else change.now,
        leased_until=max(until.grace, user.leased_until or 0),
    )
    await users.save_licence(change.tx, changed)
    change.record(
        EventKind.USER_LICENSED,
        resource(change.keyring, user),
        project_id=user.project_id,
        changes={"script": (None, script.id), "expires": (None, until.expires)},
    )
    change.tell(lambda live: live.user_changed(user_id))
    holder = leases.Holder(
        script=script.id, loader=loader, key=key_of(change.keyring, user), fingerprint=asked.fingerprint
    )
    variables = start_variables(
        facts, granted, executions=facts.executions or 0, supports_sessions=False, now_ms=change.now
    )
    statement = leases.statement(
        change.keyring, leases.Kind.LICENCE, holder, prepared.payload, until, user_id=user.id, variables=variables
    )
    text = leases.file_of(statement, prepared.text)
    # Neither base64 nor a statement holds a bracket.
    program = f"moonlatch_licence = [[\n{text}]]\n{source}"
    return Licence(program=program, build=facts.build, expires=until.expires, grace=until.grace)


async def _script(change: Change, script_id: str, user: User) -> Script:
    try:
        script = await change.script(script_id)
    except NotFound:
        script = None
    if script is None or script.project_id != user.project_id:
        raise Invalid("script_id", "must be a script of the key's project")
    if not script.offline_days:
        raise Refused(Reason.NOT_OFFLINE)
    return script


async def _loader(change: Change, script: Script) -> tuple[str, str]:
    """Id and text of the script's loader. Raises Refused where it has none that can open a licence."""
    served = await loaders.find_served(change.tx, script.id)
    source = None if served is None else await licences.loader_source(change.tx, script.id, served.id)
    if script.build == 0 or served is None or not served.keeps_leases or source is None:
        raise Refused(Reason.UPDATE_REQUIRED)
    return served.id, source.decode()


def _decide(facts: StartFacts | None, fingerprint: bytes, now: int) -> tuple[StartFacts, Granted]:
    """As for a start of it with that key on that device, with the build that it is given. Raises Refused."""
    start = Start(has_key=True, fingerprint=fingerprint, supports_sessions=True)
    verdict = decide_start(facts, start, Policy(), now)
    if isinstance(verdict, Refusal):
        raise Refused(Reason.NOT_GRANTED, refusal=verdict.code)
    assert facts is not None  # no script, no grant
    if not verdict.premium or not may_be_leased(facts, verdict, fingerprint):
        raise Refused(Reason.NOT_LEASABLE)
    return with_build_given(facts, fingerprint), verdict


async def _bind(change: Change, user: User, fingerprint: bytes) -> None:
    """Have the device be one of the key's; its first is written with the user. Raises Refused where there is no room for it."""
    if user.fingerprint is None or not await key_devices.take_key(change.tx, user.id, fingerprint):
        return
    further = [device.fingerprint for device in await key_devices.further(change.tx, user.id)]
    if fingerprint not in further and not await key_devices.bind(change.tx, user.id, fingerprint, now=change.now):
        raise Refused(Reason.NOT_GRANTED, refusal=FINGERPRINT_MISMATCH.code)
