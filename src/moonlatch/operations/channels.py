"""What can be done to a script's channels: have one serve a build, and end one."""

from __future__ import annotations

from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.operations.scripts import require_servable, resource, version
from moonlatch.storage import plans, releases
from moonlatch.storage.scripts import Script

MAX_CHANNELS = 20
"""Of one script, besides `stable`: a start reads them all."""


async def put(change: Change, script_id: str, name: str, number: int) -> Script:
    """Have a channel serve a build that is kept; one that is not there comes to be. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    await require_servable(change, current, number)
    before = await require_room(change, script_id, name)
    await releases.put_channel(change.tx, script_id, name, number)
    change.record(
        EventKind.SCRIPT_CHANNEL_SET,
        resource(current),
        project_id=current.project_id,
        changes={"channel": (None, name), "build": (before, number)},
    )
    change.tell(lambda live: live.script_changed(script_id))
    return current


async def remove(change: Change, script_id: str, name: str) -> Script:
    """End a channel: its keys get what others get. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    before = (await plans.channels_of(change.tx, script_id)).get(name)
    if before is None:
        raise NotFound("channel")
    await releases.remove_channel(change.tx, script_id, name)
    change.record(
        EventKind.SCRIPT_CHANNEL_REMOVED,
        resource(current),
        project_id=current.project_id,
        changes={"channel": (name, None), "build": (before, None)},
    )
    change.tell(lambda live: live.script_changed(script_id))
    return current


async def require_room(change: Change, script_id: str, name: str) -> int | None:
    """Raise Refused where a script has no room for a channel of that name; gives the build that it serves already."""
    found = await plans.channels_of(change.tx, script_id)
    if name not in found and len(found) >= MAX_CHANNELS:
        raise Refused(Reason.MAX_CHANNELS)
    return found.get(name)
