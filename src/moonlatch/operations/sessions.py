"""What can be done to running copies and their sessions."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.verdict import DISCONNECTED
from moonlatch.live.interface import Instance, Session
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound
from moonlatch.storage import executions
from moonlatch.storage.executions import Started


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
        await _stop(change, _copy_of(session))


async def stop(change: Change, instance: Instance) -> None:
    """Stop a running copy for good; the caller has seen that it is the account's. Raises NotAllowed, NotFound."""
    change.actor.require(Permission.SESSIONS_STOP)
    if not change.actor.reaches(instance.project_id):
        raise NotFound("instance")
    change.record(EventKind.INSTANCE_STOPPED, Resource("instance", instance.id), project_id=instance.project_id)
    await _stop(change, instance)


async def _stop(change: Change, copy: Started) -> None:
    """Also one that nobody knows of at this moment: its next beat would bring it back."""
    await executions.stop(change.tx, copy, DISCONNECTED.code)
    change.tell(lambda live: live.end_copy(copy.id))


def _copy_of(session: Session) -> Instance:
    """What a session says of its copy."""
    return Instance(
        id=session.instance_id,
        script_id=session.script_id,
        project_id=session.project_id,
        user_id=session.user_id,
        build=session.build,
        started_at=session.created_at,
        alive_until=0,
    )
