"""What can be done about builds that are to be published later: say when, take it back, and publish what is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE, Step
from moonlatch.operations.changing import Change
from moonlatch.operations.channels import require_room
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, Reason, Refused
from moonlatch.operations.rollouts import begin, check_steps, serve
from moonlatch.operations.scripts import require_servable, resource, version
from moonlatch.storage import releases, scheduled_builds
from moonlatch.storage.rollouts import Rollout
from moonlatch.storage.scheduled_builds import ScheduledBuild
from moonlatch.storage.scripts import Script

MAX_SCHEDULED = 20
"""Of one script."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who is given a build: the keys of a channel, or with steps a growing part of all; at once, or from a time on (Unix milliseconds)."""

    channel: str = STABLE
    steps: tuple[Step, ...] | None = None
    publish_at: int | None = None

    @property
    def is_everybody_now(self) -> bool:
        return self.channel == STABLE and self.steps is None and self.publish_at is None


EVERYBODY = Audience()


async def schedule(change: Change, script_id: str, number: int, audience: Audience) -> ScheduledBuild:
    """Have a build that is kept be published later; one that is to be already, at that time instead.

    Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.
    """
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    script = await change.script(script_id)
    await change.require_active()
    change.expect(version(script))
    check_audience(script, audience)
    await require_servable(change, script, number)
    if number == script.build and audience.channel == STABLE:
        raise Refused(Reason.BUILD_CURRENT)
    return await put(change, script, number, audience)


async def unschedule(change: Change, script_id: str, number: int) -> Script:
    """Have a build be published at no time. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    script = await change.script(script_id)
    await change.require_active()
    change.expect(version(script))
    if not await scheduled_builds.remove(change.tx, script_id, number):
        raise Refused(Reason.NOT_SCHEDULED)
    _record(change, script, EventKind.SCRIPT_BUILD_UNSCHEDULED, {"build": (number, None)})
    return script


async def publish_due(change: Change, script_id: str, number: int) -> bool:
    """Publish a build that is due. False: it is not due any more, or cannot be published as it was to be, which an event tells.

    For a job: the passing of time asks nobody.
    """
    script = await change.script(script_id)
    due = {one.build: one for one in await scheduled_builds.list_of_script(change.tx, script_id)}.get(number)
    if due is None or due.publish_at > change.now:
        return False
    await scheduled_builds.remove(change.tx, script_id, number)
    try:
        await publish_to(change, script, number, Audience(channel=due.channel, steps=due.steps))
    except Refused as refused:
        why = {"build": (number, None), "refused": (None, refused.reason)}
        _record(change, script, EventKind.SCRIPT_BUILD_UNSCHEDULED, why)
        return False
    changes: dict[str, tuple[Any, Any]] = {
        "build": (None if due.steps or due.channel != STABLE else script.build or None, number)
    }
    if due.channel != STABLE:
        changes["channel"] = (None, due.channel)
    _record(change, script, EventKind.SCRIPT_PUBLISHED, changes)
    change.tell(lambda live: live.script_changed(script_id))
    return True


def check_audience(script: Script, audience: Audience) -> None:
    """Raise Invalid for an audience that makes none, Refused for one that the script cannot have yet."""
    if audience.steps is not None:
        if audience.channel != STABLE:
            raise Invalid("steps", "are for the current build: a channel is given a build at once")
        check_steps(audience.steps)
    if script.build == 0 and (audience.steps is not None or audience.channel != STABLE):
        raise Refused(Reason.UPDATE_REQUIRED)


async def put(
    change: Change,
    script: Script,
    number: int,
    audience: Audience,
    *,
    more: Mapping[str, tuple[Any, Any]] = {},
) -> ScheduledBuild:
    """Write when a build is to be published; the event tells `more` of it. Raises Refused where too many are."""
    assert audience.publish_at is not None  # or it is published now
    others = [one for one in await scheduled_builds.list_of_script(change.tx, script.id) if one.build != number]
    if len(others) >= MAX_SCHEDULED:
        raise Refused(Reason.MAX_SCHEDULED)
    scheduled = ScheduledBuild(
        script_id=script.id,
        build=number,
        channel=audience.channel,
        steps=audience.steps,
        publish_at=audience.publish_at,
    )
    await scheduled_builds.put(change.tx, scheduled)
    changes = {"build": (None, number), "publish_at": (None, audience.publish_at), **more}
    if audience.channel != STABLE:
        changes["channel"] = (None, audience.channel)
    _record(change, script, EventKind.SCRIPT_BUILD_SCHEDULED, changes)
    return scheduled


async def publish_to(change: Change, script: Script, number: int, audience: Audience) -> Rollout | None:
    """Give a build to its audience now; gives the rollout that begins. Raises Refused and has written nothing then."""
    if audience.steps is not None:
        return await begin(change, script, number, audience.steps)
    if audience.channel == STABLE:
        await serve(change, script, number)
    else:
        await require_room(change, script.id, audience.channel)
        await releases.put_channel(change.tx, script.id, audience.channel, number)
    return None


def _record(change: Change, script: Script, kind: EventKind, changes: dict[str, tuple[Any, Any]]) -> None:
    change.record(kind, resource(script), project_id=script.project_id, changes=changes)
