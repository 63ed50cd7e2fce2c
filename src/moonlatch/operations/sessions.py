"""What can be done to running copies and their sessions."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import Instance, Live, Session
from moonlatch.operations.changing import Change, Resource, Tell
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound


async def disconnect(change: Change, sessions: Sequence[Session]) -> None:
    """Close sessions and stop their copies for good; the caller has seen that they are the account's. Raises NotAllowed, NotFound."""
    change.actor.require(Permission.SESSIONS_STOP)
    for session in sessions:
        if not change.actor.reaches(session.project_id):
            raise NotFound("session")
        change.record(
            EventKind.SESSION_DISCONNECTED,
            Resource("session", session.id, session.job_id),
            project_id=session.project_id,
        )
        change.tell(_ending(session.id))


async def stop(change: Change, instance: Instance) -> None:
    """Stop a running copy for good; the caller has seen that it is the account's. Raises NotAllowed, NotFound."""
    change.actor.require(Permission.SESSIONS_STOP)
    if not change.actor.reaches(instance.project_id):
        raise NotFound("instance")
    change.record(EventKind.INSTANCE_STOPPED, Resource("instance", instance.id), project_id=instance.project_id)

    async def end(live: Live) -> None:
        await live.stop_copy(instance.id)  # one that has ended by now counts as stopped

    change.tell(end)


def _ending(session_id: str) -> Tell:
    async def end(live: Live) -> None:
        await live.disconnect(session_id)  # one that is gone by now counts as disconnected

    return end
