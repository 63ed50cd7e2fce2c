"""Publishing a text as a script's next build, and looking through one that may become it."""

from __future__ import annotations

from typing import Any

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
from moonlatch.clock import utc_time
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.live.interface import LiveUnavailableError
from moonlatch.operations.changing import Change, Intent, perform
from moonlatch.operations.channels import require_room
from moonlatch.operations.context import Actor, World
from moonlatch.operations.explaining import sealed
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.marking import sealed as sealed_template
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused, TooLarge, TryLater
from moonlatch.operations.rollouts import require_no_rollout
from moonlatch.operations.scheduling import EVERYBODY, Audience, check_audience, publish_to, put
from moonlatch.operations.scripts import resource, version
from moonlatch.storage import accounts, builds, line_maps, loaders, quota, scheduled_builds, templates
from moonlatch.storage.builds import UNNAMED, Publisher, Release
from moonlatch.storage.rollouts import Rollout
from moonlatch.storage.scripts import Script

MOST_COPIES = 10_000
"""Copies of a script that are looked at before builds of it are removed: those that run for longest have the oldest builds."""

_COPIES_AT_ONCE = 1_000


async def publish(
    world: World,
    actor: Actor,
    script: Script,
    source: str,
    *,
    asked: Asked | None = None,
    release: Release = UNNAMED,
    audience: Audience = EVERYBODY,
    intent: Intent[Published] | None = None,
) -> Published:
    """Check, protect and publish a text as the script's next build, for its audience: all of it or nothing.

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
    check_audience(script, audience)
    if audience.steps is not None and audience.publish_at is None:
        await require_no_rollout(world.database, script.id)

    async def store(prepared: Prepared) -> Published | Unpublished:
        running = await _running_builds(world, script.id)
        try:
            return await perform(
                world,
                actor,
                lambda change: _publish(change, script.id, prepared, release, audience, running=running),
                intent,
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


async def _running_builds(world: World, script_id: str) -> frozenset[int] | None:
    """The builds that copies run, of the copies that run for longest; None where that cannot be told just now.

    A build that is removed while copies run it takes along what their errors are explained by.
    """
    if world.live is None:
        return frozenset()
    found: set[int] = set()
    try:
        for offset in range(0, MOST_COPIES, _COPIES_AT_ONCE):
            copies = await world.live.copies(script_id, offset, _COPIES_AT_ONCE)
            found.update(each.instance.build for each in copies)
            if len(copies) < _COPIES_AT_ONCE:
                break
    except LiveUnavailableError:
        return None
    return frozenset(found)


async def _publish(
    change: Change,
    script_id: str,
    prepared: Prepared,
    release: Release,
    audience: Audience,
    *,
    running: frozenset[int] | None,
) -> Published:
    change.actor.require(Permission.SCRIPTS_PUBLISH)  # protecting took its time
    try:
        current = await change.script(script_id)
    except NotFound:
        raise _UnpublishedError(Gone()) from None
    change.expect(version(current))
    account = await change.account()
    tier = change.world.tier_of(account)
    loader = prepared.loader
    number = await builds.number_next(change.tx, script_id, loader_id=None if loader is None else loader[0].id)
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
        source_lines=prepared.source_lines,
        now=change.now,
        release=release,
        source_hash=prepared.source_hash,
        payload_hash=prepared.payload_hash,
        publisher=Publisher(kind=change.actor.kind, id=change.actor.id, name=change.actor.name),
        run_lock=prepared.build.lock or None,
    )
    if prepared.build.line_map:
        await line_maps.insert(change.tx, script_id, number, sealed(change.keyring, prepared.build.line_map))
    if prepared.build.places:
        template = sealed_template(change.keyring, prepared.build.template)
        places = prepared.build.places
        await templates.insert(change.tx, script_id, number, template, places=places, now=change.now)
    if loader is not None:
        await loaders.insert(change.tx, loader[0], script_id, source=loader[1], now=change.now)
    about: dict[str, tuple[Any, Any]] = {"profile": (None, prepared.protection.profile)}
    if release.label is not None:
        about["label"] = (None, release.label)
    rollout, warnings = await _release(change, current, number, audience, about=about)
    if running is not None:
        await builds.prune(change.tx, script_id, keep=tier.build_history, running=running)
    return Published(
        build=number,
        warnings=[*prepared.build.warnings, *warnings],
        readable=prepared.build.readable,
        rollout=None if rollout is None else rollout.id,
        source_bytes=prepared.source_bytes,
        source_lines=prepared.source_lines,
        payload_bytes=len(prepared.build.text),
        places=prepared.build.places if current.mark_copies else None,
    )


async def _release(
    change: Change, script: Script, number: int, audience: Audience, *, about: dict[str, tuple[Any, Any]]
) -> tuple[Rollout | None, list[str]]:
    """Give a new build to its audience, or write down when; gives the rollout that begins, and what its publisher should know."""
    if audience.publish_at is not None:
        await put(change, script, number, audience, more=about)
        return None, []
    replaced, channel = None, {}
    if audience.channel != STABLE:
        replaced = await require_room(change, script.id, audience.channel)
        channel = {"channel": (None, audience.channel)}
    elif audience.steps is None:
        replaced = script.build or None
    else:
        await require_no_rollout(change.tx, script.id)
    changes = {"build": (replaced, number), **channel, **about}
    change.record(EventKind.SCRIPT_PUBLISHED, resource(script), project_id=script.project_id, changes=changes)
    rollout = await publish_to(change, script, number, audience)
    change.tell(lambda live: live.script_changed(script.id))
    later = await scheduled_builds.list_of_script(change.tx, script.id) if audience.is_everybody_now else []
    return rollout, [
        f"build {one.build} is scheduled to take its place at {utc_time(one.publish_at)} UTC"
        for one in later
        if one.channel == STABLE
    ]


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
