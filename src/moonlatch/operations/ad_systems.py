"""What can be done to ad systems and their steps. What visitors do there is `visits`' business."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.crypto import AD_STEP_SECRETS
from moonlatch.keyring import Keyring
from moonlatch.licensing.checkpoints import MOST_STEPS, MOST_WAYS, ProviderName, checked_settings
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource, differences, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.storage import ad_systems
from moonlatch.storage.ad_systems import AdStep, AdSystem
from moonlatch.storage.interface import UniqueViolation

MAX_SYSTEMS_PER_PROJECT = 20
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{2,38})[a-z0-9]")
"""Where a page may stand; shorter ones are kept for pages of our own."""

_POSTBACK, _SIGNING_SECRET = "postback", "signing_secret"
_BY_ITSELF = frozenset({"down_until", "down_told_at", "hurried_at", "secrets", "postback_hash"})


def version(system: AdSystem) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(system, without=frozenset())


def step_version(step: AdStep) -> str:
    """As `version`, of a step; what it is sealed with is no part of it."""
    return version_of(msgspec.structs.replace(step, secrets=b"", postback_hash=b""), without=_BY_ITSELF)


def secrets_of(keyring: Keyring, step: AdStep) -> dict[str, str]:
    """A step's secrets by name, `postback` and `signing_secret` among them. Raises UnreadableSecretError."""
    text = keyring.open_secret(AD_STEP_SECRETS, step.id, step.secrets)
    return msgspec.json.decode(text, type=dict[str, str])


async def create(change: Change, project_id: str, *, slug: str | None = None, **settings: Any) -> AdSystem:
    """Make a system, which gives no key before it has steps. Raises NotAllowed, NotFound, Refused, Invalid."""
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    project = await change.project(project_id)
    await change.require_active()
    if await ad_systems.count_of_project(change.tx, project.id) >= MAX_SYSTEMS_PER_PROJECT:
        raise Refused(Reason.MAX_AD_SYSTEMS)
    if slug is not None and SLUG.fullmatch(slug) is None:
        raise Invalid("slug", "must be 4 to 40 of a-z, 0-9 and -, without - at its ends")
    system_id = crypto.new_id()
    system = AdSystem(
        id=system_id,
        account_id=project.account_id,
        project_id=project.id,
        slug=slug or crypto.new_id()[:16].lower(),
        created_at=change.now,
        **settings,
    )
    _check(system)
    if await ad_systems.find_at(change.tx, system.slug) is not None:
        raise Invalid("slug", "is taken by another page of this server")
    try:
        await ad_systems.insert(change.tx, system)
    except UniqueViolation:
        raise Invalid("slug", "is taken by another page of this server") from None
    _record(change, EventKind.AD_SYSTEM_CREATED, system, {"slug": (None, system.slug)})
    return system


async def edit(change: Change, system_id: str, changes: Mapping[str, Any]) -> AdSystem:
    """Set fields of a system by name. Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile."""
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    current = await found(change, system_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    change.expect(version(current))
    changed = msgspec.structs.replace(current, **changes)
    _check(changed)
    await ad_systems.save(change.tx, changed)
    _record(change, EventKind.AD_SYSTEM_EDITED, changed, differences(current, changed))
    return changed


async def remove(change: Change, system_id: str) -> None:
    """Remove a system with its steps; keys that were earned there stay. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    current = await found(change, system_id)
    change.expect(version(current))
    await ad_systems.remove(change.tx, current.id)
    _record(change, EventKind.AD_SYSTEM_REMOVED, current)


async def add_step(
    change: Change,
    system_id: str,
    *,
    provider: ProviderName,
    settings: Mapping[str, str],
    number: int | None = None,
    minimum_seconds: int,
) -> AdStep:
    """Add a step at the end or, with the number of one that is there, another way through that one.

    Raises NotAllowed, NotFound, Refused, Invalid.
    """
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    system = await found(change, system_id)
    await change.require_active()
    steps = await ad_systems.steps_of(change.tx, system.id)
    last = max((step.number for step in steps), default=0)
    number = last + 1 if number is None else number
    if not 1 <= number <= last + 1:
        raise Invalid("number", f"must be from 1 to {last + 1}: steps are numbered without gaps")
    if len(steps) >= MOST_WAYS or number > MOST_STEPS:
        raise Refused(Reason.MAX_AD_STEPS)
    shown, secret = _settings(provider, settings)
    secret[_POSTBACK] = crypto.new_id()
    if provider is ProviderName.CUSTOM:
        secret[_SIGNING_SECRET] = crypto.new_id()
    step_id = crypto.new_id()
    step = AdStep(
        id=step_id,
        system_id=system.id,
        number=number,
        provider=provider,
        settings=shown,
        secrets=_sealed(change.keyring, step_id, secret),
        postback_hash=crypto.sha256(secret[_POSTBACK].encode()),
        minimum_seconds=minimum_seconds,
        created_at=change.now,
    )
    await ad_systems.add_step(change.tx, step)
    _record_step(
        change, EventKind.AD_STEP_ADDED, system, step, {"provider": (None, provider), "number": (None, number)}
    )
    return step


async def edit_step(
    change: Change, step_id: str, changes: Mapping[str, Any], settings: Mapping[str, str] | None = None
) -> AdStep:
    """Set fields of a step by name; of its settings those that are given, the empty text taking one away.

    Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.
    """
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    current, system = await found_step(change, step_id)
    await change.require_active()
    if not changes and not settings:
        raise Refused(Reason.NOTHING_TO_EDIT)
    change.expect(step_version(current))
    values = dict(changes)
    if settings:
        kept = secrets_of(change.keyring, current)
        own = {name: kept.pop(name) for name in (_POSTBACK, _SIGNING_SECRET) if name in kept}
        shown, secret = _settings(ProviderName(current.provider), {**current.settings, **kept, **settings})
        values |= {"settings": shown, "down_until": None}
        if secret != kept:
            values["secrets"] = _sealed(change.keyring, current.id, {**secret, **own})
    changed = msgspec.structs.replace(current, **values)
    await ad_systems.save_step(change.tx, changed)
    shown_changes = {name: each for name, each in differences(current, changed).items() if name not in _BY_ITSELF}
    if changed.secrets != current.secrets:
        shown_changes["secrets"] = ("…", "…")
    _record_step(change, EventKind.AD_STEP_EDITED, system, changed, shown_changes)
    return changed


async def remove_step(change: Change, step_id: str) -> None:
    """Remove a step; those behind it move up where it was the only way through it. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.CHECKPOINTS_WRITE)
    current, system = await found_step(change, step_id)
    change.expect(step_version(current))
    await ad_systems.remove_step(change.tx, current.id)
    left = await ad_systems.steps_of(change.tx, system.id)
    if all(step.number != current.number for step in left):
        for step in left:
            if step.number > current.number:
                await ad_systems.save_step(change.tx, msgspec.structs.replace(step, number=step.number - 1))
    _record_step(change, EventKind.AD_STEP_REMOVED, system, current)


async def found(change: Change, system_id: str) -> AdSystem:
    """A system of the account that the actor reaches. Raises NotFound."""
    system = await ad_systems.find_owned(change.tx, system_id, change.actor.account_id)
    if system is None or not change.actor.reaches(system.project_id):
        raise NotFound("system")
    return system


async def found_step(change: Change, step_id: str) -> tuple[AdStep, AdSystem]:
    """A step of the account that the actor reaches, with its system. Raises NotFound."""
    step = await ad_systems.find_step(change.tx, step_id)
    if step is None:
        raise NotFound("step")
    try:
        return step, await found(change, step.system_id)
    except NotFound:
        raise NotFound("step") from None


def resource(system: AdSystem) -> Resource:
    """What an event about a system shows of it."""
    return Resource("ad_system", system.id, system.name)


def _check(system: AdSystem) -> None:
    if system.max_duration < system.key_duration:
        raise Invalid("max_duration", "must not be less than key_duration")


def _settings(provider: ProviderName, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    try:
        return checked_settings(provider, given)
    except ValueError as error:
        name, _, message = str(error).partition(" ")
        raise Invalid(f"settings.{name}", message) from None


def _sealed(keyring: Keyring, step_id: str, secret: dict[str, str]) -> bytes:
    return keyring.seal_secret(AD_STEP_SECRETS, step_id, msgspec.json.encode(secret).decode())


def _record(
    change: Change, kind: EventKind, system: AdSystem, changes: Mapping[str, tuple[Any, Any]] | None = None
) -> None:
    change.record(kind, resource(system), project_id=system.project_id, changes=changes)


def _record_step(
    change: Change,
    kind: EventKind,
    system: AdSystem,
    step: AdStep,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
) -> None:
    label = f"{system.name}, step {step.number} ({step.provider})"
    change.record(kind, Resource("ad_step", step.id, label), project_id=system.project_id, changes=changes)
