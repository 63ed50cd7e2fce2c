"""What the passing of time does to users: no call asks for it, a job does it."""

from __future__ import annotations

from moonlatch.operations.changing import Resource, new_event
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import events, expiry, projects
from moonlatch.storage.interface import Transaction
from moonlatch.storage.users import User

_JOB = "expiry"


async def expire(tx: Transaction, *, expired_by: int, now: int, most: int) -> list[User]:
    """Remove up to `most` users as `storage.expiry` has it, each with its event; gives them. Times in Unix milliseconds."""
    removed = await expiry.remove_expired(tx, expired_by=expired_by, now=now, most=most)
    actors: dict[str, Actor] = {}
    for project_id in {user.project_id for user in removed}:
        project = await projects.find(tx, project_id)
        assert project is not None  # its users are gone with it
        actors[project_id] = Actor(account_id=project.account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)
    await events.erase(tx, [user.id for user in removed])
    await events.append(
        tx,
        [
            new_event(
                actors[user.project_id],
                EventKind.USER_REMOVED,
                Resource("user", user.id),
                now=now,
                project_id=user.project_id,
                changes=None,
            )
            for user in removed
        ],
    )
    return removed
