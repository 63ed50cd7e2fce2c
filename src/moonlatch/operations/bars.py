"""What can be done about the devices and networks that a project keeps out."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import bars

_SHOWN = 100
"""Bars that an event names."""


async def lift(change: Change, project_id: str, hashes: Sequence[bytes]) -> int:
    """Let devices and networks in again; gives how many were kept out. Their keys stay blacklisted. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.KEYS_WRITE)
    project = await change.project(project_id)
    await change.require_active()
    lifted = await bars.lift(change.tx, project_id, hashes)
    if lifted:
        change.record(
            EventKind.PROJECT_BARS_LIFTED,
            Resource("project", project.id, project.name),
            project_id=project_id,
            changes={"bars": (len(lifted), 0), "lifted": (None, [each.hex() for each in lifted[:_SHOWN]])},
        )
    return len(lifted)
