"""What can be done to a script's channels: have one serve a build, and end one."""

from __future__ import annotations

from moonlatch.licensing.roles import Permission
from moonlatch.operations.builds import require_servable
from moonlatch.operations.changing import Change
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound
from moonlatch.operations.scripts import require_room_for_channel, resource, version
from moonlatch.storage import releases
from moonlatch.storage.scripts import Script


async def put(change: Change, script_id: str, name: str, number: int) -> Script:
    """Have a channel serve a build that is kept; one that is not there comes to be. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_PUBLISH)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    await require_servable(change, current, number)
    before = await require_room_for_channel(change, script_id, name)
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
    before = (await releases.channels(change.tx, script_id)).get(name)
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
