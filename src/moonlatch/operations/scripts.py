"""What can be done to scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.builds.drafts import MAX_BYTES
from moonlatch.builds.outcomes import (
    Broken,
    Busy,
    Gone,
    NoBuildTime,
    NotProtected,
    OverQuota,
    Prepared,
    Published,
    Sound,
    Unpublished,
)
from moonlatch.builds.protection import Asked
from moonlatch.builds.publisher import Update
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.operations.changing import Change, Intent, Resource, differences, perform, version_of
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused, TooLarge, TryLater
from moonlatch.storage import accounts, builds, loaders, quota, releases, scripts
from moonlatch.storage.builds import UNNAMED, Publisher, Release
from moonlatch.storage.scripts import Script

MINIMUM_LOADER_VERSION = 1
MAX_CHANNELS = 20
"""Of one script, besides `stable`: a start reads them all."""

_COUNTED = frozenset({"total_executions", "loader"})


def version(script: Script) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(script, without=_COUNTED)


async def create(change: Change, project_id: str, *, name: str, settings: Mapping[str, Any] | None = None) -> Script:
    """A script without a build, disabled until its first update; `settings` by name of `Script`'s fields.

    Raises NotAllowed, NotFound, Refused.
    """
    change.actor.require(Permission.SCRIPTS_WRITE)
    await change.require_active()
    await change.project(project_id)
    account = await change.account()
    tier = change.world.tier_of(account)
    if tier.scripts is not None and (await accounts.usage(change.tx, account.id)).scripts >= tier.scripts:
        raise Refused(Reason.MAX_SCRIPTS)
    script = Script(id=crypto.new_id(), project_id=project_id, name=name, created_at=change.now, **dict(settings or {}))
    if script.free_for_all and not tier.free_for_all:
        raise Refused(Reason.NO_FREE_FOR_ALL)
    await scripts.insert(change.tx, script)
    change.record(EventKind.SCRIPT_CREATED, resource(script), project_id=project_id)
    return script


async def edit(change: Change, script_id: str, changes: dict[str, Any]) -> Script:
    """Set fields of a script by name. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    if changes.get("free_for_all") and not change.world.tier_of(await change.account()).free_for_all:
        raise Refused(Reason.NO_FREE_FOR_ALL)
    change.expect(version(current))
    return await _save(change, current, changes, EventKind.SCRIPT_EDITED)


async def toggle(change: Change, script_id: str, *, enabled: bool) -> Script:
    """Let it start, or stop every copy. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    if enabled:
        loader = await loaders.find_served(change.tx, script_id)
        if current.build == 0 or loader is None or loader.version < MINIMUM_LOADER_VERSION:
            raise Refused(Reason.UPDATE_REQUIRED)
    kind = EventKind.SCRIPT_ENABLED if enabled else EventKind.SCRIPT_DISABLED
    return await _save(change, current, {"enabled": enabled}, kind)


async def remove(change: Change, script_id: str) -> None:
    """Remove a script and its builds; its executions stay counted. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    change.expect(version(current))
    if not await scripts.remove(change.tx, script_id):
        raise NotFound("script")
    change.record(EventKind.SCRIPT_REMOVED, resource(current), project_id=current.project_id)
    change.tell(lambda live: live.script_changed(script_id))


async def publish(
    world: World,
    actor: Actor,
    script: Script,
    source: str,
    *,
    asked: Asked | None = None,
    release: Release = UNNAMED,
    channel: str = STABLE,
    intent: Intent[Published] | None = None,
) -> Published:
    """Check, protect and publish a text as the script's next build, for the keys of a channel: all of it or nothing.

    It takes seconds, and its transaction is the end of it. A dry run stops before that, and costs no obfuscation.
    Raises NotAllowed, NotFound, Invalid, TooLarge, Refused, TryLater.
    """
    actor.require(Permission.SCRIPTS_PUBLISH)
    account = await accounts.find(world.database, actor.account_id)
    if account is None or world.publisher is None:
        raise NotFound("script")
    tier = world.tier_of(account)
    text = _checked(source, tier.script_bytes)
    if account.is_expired(world.clock()):
        raise Refused(Reason.ACCOUNT_EXPIRED)
    if channel != STABLE and script.build == 0:
        raise Refused(Reason.UPDATE_REQUIRED)

    async def store(prepared: Prepared) -> Published | Unpublished:
        try:
            return await perform(
                world, actor, lambda change: _serve(change, script.id, prepared, release, channel), intent
            )
        except _UnpublishedError as error:
            return error.outcome

    update = Update(account=account, tier=tier, script=script, source=text, asked=asked)
    outcome = await world.publisher.update(update, store)
    if isinstance(outcome, Published):
        return outcome
    raise refusal_of(outcome)


async def look_through(
    world: World, actor: Actor, script: Script, source: str, *, asked: Asked | None = None
) -> Sound | Broken:
    """What an update with this text would be refused for or warned of, as far as that is found without protecting it.

    It changes nothing and is charged to nobody. Raises NotAllowed, NotFound, Invalid, TooLarge, Refused, TryLater.
    """
    actor.require(Permission.SCRIPTS_PUBLISH)
    account = await accounts.find(world.database, actor.account_id)
    if account is None or world.publisher is None:
        raise NotFound("script")
    tier = world.tier_of(account)
    text = _checked(source, min(tier.script_bytes, MAX_BYTES))
    draft = Update(account=account, tier=tier, script=script, source=text, asked=asked)
    outcome = await world.publisher.look_through(draft)
    match outcome:
        case Sound() | Broken():
            return outcome
        case NotProtected():
            raise Refused(Reason.NOT_CHECKED, luraph_errors=_told(outcome))
        case _:
            raise refusal_of(outcome)


class _UnpublishedError(Exception):
    """Ends the transaction of an update that came too late."""

    def __init__(self, outcome: Unpublished) -> None:
        super().__init__()
        self.outcome = outcome


async def _serve(change: Change, script_id: str, prepared: Prepared, release: Release, channel: str) -> Published:
    change.actor.require(Permission.SCRIPTS_PUBLISH)  # protecting took its time
    try:
        current = await change.script(script_id)
    except NotFound:
        raise _UnpublishedError(Gone()) from None
    change.expect(version(current))
    account = await change.account()
    tier = change.world.tier_of(account)
    loader = prepared.loader
    replaced = current.build or None
    if channel != STABLE:
        replaced = await require_room_for_channel(change, script_id, channel)
    numbered = builds.serve_next if channel == STABLE else builds.number_next
    number = await numbered(change.tx, script_id, loader_id=None if loader is None else loader[0].id)
    assert number is not None  # it was found in this transaction
    # Claimed here and not before: what was left has been taken by another update since, for all we know.
    limit = tier.obfuscations_per_period
    if not await quota.claim(change.tx, account.id, prepared.cost, limit=limit, now=change.now):
        left = await quota.find(change.tx, account.id, tier, now=change.now)
        raise _UnpublishedError(OverQuota(0 if left is None else left.left or 0))
    await builds.insert(
        change.tx,
        script_id,
        number,
        payload=prepared.build.text,
        protection=prepared.protection,
        source_bytes=prepared.source_bytes,
        now=change.now,
        release=release,
        source_hash=prepared.source_hash,
        payload_hash=prepared.payload_hash,
        publisher=Publisher(kind=change.actor.kind, id=change.actor.id, name=change.actor.name),
    )
    if channel != STABLE:
        await releases.put_channel(change.tx, script_id, channel, number)
    if loader is not None:
        await loaders.insert(change.tx, loader[0], script_id, source=loader[1], now=change.now)
    await builds.prune(change.tx, script_id, keep=tier.build_history)
    changes: dict[str, tuple[Any, Any]] = {
        "build": (replaced, number),
        "profile": (None, prepared.protection.profile),
    }
    if channel != STABLE:
        changes["channel"] = (None, channel)
    if release.label is not None:
        changes["label"] = (None, release.label)
    change.record(EventKind.SCRIPT_PUBLISHED, resource(current), project_id=current.project_id, changes=changes)
    change.tell(lambda live: live.script_changed(script_id))
    return Published(build=number, warnings=prepared.build.warnings)


async def require_room_for_channel(change: Change, script_id: str, name: str) -> int | None:
    """Raise Refused where a script has no room for a channel of that name; gives the build that it serves already."""
    found = await releases.channels(change.tx, script_id)
    if name not in found and len(found) >= MAX_CHANNELS:
        raise Refused(Reason.MAX_CHANNELS)
    return found.get(name)


async def _save(change: Change, current: Script, changes: dict[str, Any], kind: EventKind) -> Script:
    changed = msgspec.structs.replace(current, **changes)
    await scripts.save_settings(change.tx, changed)
    change.record(kind, resource(changed), project_id=current.project_id, changes=differences(current, changed))
    change.tell(lambda live: live.script_changed(current.id))
    return changed


def _checked(source: str, limit_bytes: int) -> bytes:
    """The source as UTF-8. It may hold any byte but lone surrogates; those have no UTF-8."""
    if not source:
        raise Invalid("script", "must not be empty")
    try:
        encoded = source.encode()
    except UnicodeEncodeError as error:
        raise Invalid("script", f"has a lone surrogate at character {error.start}") from None
    if len(encoded) > limit_bytes:
        raise TooLarge("script", limit_bytes=limit_bytes, has_bytes=len(encoded))
    return encoded


def refusal_of(outcome: Unpublished) -> Exception:
    """What is raised for an update that came to nothing."""
    match outcome:
        case Broken():
            hint = {"hint": outcome.hint} if outcome.hint else {}
            return Refused(Reason.SCRIPT_INVALID, parser_output=outcome.parser_output, **hint)
        case NotProtected():
            reason = Reason.LOADER_NOT_PROTECTED if outcome.is_loader else Reason.NOT_PROTECTED
            return Refused(reason, luraph_errors=_told(outcome))
        case OverQuota():
            return Refused(Reason.NOT_ENOUGH_FOR_LOADER if outcome.left else Reason.MAX_OBFUSCATIONS)
        case NoBuildTime():
            return Refused(Reason.NO_BUILD_TIME)
        case Busy():
            return TryLater(outcome.retry_after_seconds)
        case Gone():
            return NotFound("script")


def _told(outcome: NotProtected) -> list[dict[str, str | None]]:
    return [{"param": fault.param, "message": fault.message} for fault in outcome.faults]


def resource(script: Script) -> Resource:
    """What an event says it is about."""
    return Resource("script", script.id, script.name)
