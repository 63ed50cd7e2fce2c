"""What can be done about the build of one key: have it on a channel of a script, and pin it to a build for a time."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.operations.changing import Change, differences
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.operations.scripts import require_servable
from moonlatch.operations.user_actions import resource
from moonlatch.storage import plans, releases
from moonlatch.storage.releases import Pin


async def pin(change: Change, user_id: str, script_id: str, changes: dict[str, Any]) -> Pin:
    """Set `channel`, `build` and `expires_at` (the build's) of a key on a script; None clears one. A build without an end is for good.

    Raises NotAllowed, NotFound, Refused, Invalid.
    """
    change.actor.require(Permission.KEYS_WRITE)
    user = await change.user(user_id)
    script = await change.script(script_id)
    if script.project_id != user.project_id:
        raise NotFound("script")
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    before = await releases.find_pin(change.tx, script_id, user_id)
    before = before or Pin(user_id=user_id, script_id=script_id, created_at=change.now)
    if "build" in changes:
        changes = {"expires_at": None, **changes}
    wanted = msgspec.structs.replace(before, **changes)
    if wanted.expires_at is not None and wanted.build is None:
        raise Invalid("expires", "is the end of a build: give that too")
    if changes.get("build") is not None:
        await require_servable(change, script, changes["build"])
    channel = changes.get("channel")
    if channel not in (None, STABLE) and channel not in await plans.channels_of(change.tx, script_id):
        raise Refused(Reason.NO_SUCH_CHANNEL, channel=channel)
    await releases.put_pin(change.tx, wanted)
    change.record(
        EventKind.USER_PINNED,
        resource(change.keyring, user),
        project_id=user.project_id,
        changes={"script": (None, script_id), **differences(before, wanted)},
    )
    change.tell(lambda live: live.user_changed(user_id))
    return wanted
