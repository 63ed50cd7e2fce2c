"""What can be done to a script's builds: serve another one, and yank one."""

from __future__ import annotations

from typing import Any

from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.operations.rollouts import give_way, serve
from moonlatch.operations.scripts import require_servable, resource, version
from moonlatch.storage import builds, plans, releases, scheduled_builds
from moonlatch.storage.scripts import Script


async def roll_back(change: Change, script_id: str, number: int) -> Script:
    """Serve an earlier (or later) build that is kept, from the next start on; nothing is protected anew. A rollout is over by it.

    Raises NotAllowed, NotFound, Refused, ChangedMeanwhile.
    """
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    await require_servable(change, current, number)
    if number == current.build:
        raise Refused(Reason.BUILD_CURRENT)
    await serve(change, current, number)
    change.record(
        EventKind.SCRIPT_ROLLED_BACK,
        resource(current),
        project_id=current.project_id,
        changes={"build": (current.build, number)},
    )
    change.tell(lambda live: live.script_changed(script_id))
    return await change.script(script_id)


async def yank(change: Change, script_id: str, number: int, *, successor: int | None = None) -> Script:
    """Never serve a build again. The current one gives its place to `successor`, and so does one that a channel serves.

    Without a successor, such a channel ends. Keys that are pinned to the build get what others get, a rollout of it is over, and it is
    published at no time.

    Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.
    """
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    if await builds.find(change.tx, script_id, number) is None:
        raise NotFound("build")
    await require_servable(change, current, number)
    if successor is not None:
        if successor == number:
            raise Invalid("successor", "must be another build")
        await require_servable(change, current, successor)
    changes: dict[str, tuple[Any, Any]] = {"yanked": (None, number)}
    if number == current.build:
        if successor is None:
            raise Refused(Reason.NO_SUCCESSOR)
        await serve(change, current, successor)
        changes["build"] = (number, successor)
    await give_way(change, current, of=number)
    if await scheduled_builds.remove(change.tx, script_id, number):
        changes["scheduled"] = (number, None)
    channels = await plans.channels_of(change.tx, script_id)
    moved = [name for name, build in channels.items() if build == number]
    unpinned = await releases.take_build_away(change.tx, script_id, number, successor=successor)
    if moved:
        changes["channels"] = (moved, [] if successor is None else moved)
    if unpinned:
        changes["pinned_keys"] = (unpinned, 0)
    await builds.yank(change.tx, script_id, number, now=change.now)
    change.record(EventKind.SCRIPT_BUILD_YANKED, resource(current), project_id=current.project_id, changes=changes)
    change.tell(lambda live: live.script_changed(script_id))
    return await change.script(script_id)
