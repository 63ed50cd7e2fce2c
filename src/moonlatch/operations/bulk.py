"""One action on many users at once: those whom the rules refuse keep what they had, the others are changed together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Tell
from moonlatch.operations.refusals import Invalid, Reason, Refused
from moonlatch.operations.user_actions import Action, bars_device, leave_event
from moonlatch.storage import user_lists, users
from moonlatch.storage.user_lists import TooManyAlike, UserFilter
from moonlatch.storage.users import User

MOST_USERS = 2_000
"""Whom one call changes, at most: until they are all written, nobody else writes."""

_TOLD_ONE_BY_ONE = 100
"""Above this many, every running copy of the project is looked at instead."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A user who keeps what they had; one who is not there was named so."""

    user: User | str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a bulk call."""

    matched: int
    changed: int
    failures: list[Failure]


async def act_on_many(change: Change, project_id: str, whom: UserFilter | Sequence[str], action: Action) -> Outcome:
    """Do to each user what the single call does, to those who fit a filter or are named by key or id (each once).

    Raises NotAllowed, NotFound, Invalid; Refused where the account has expired, and where more than `MOST_USERS` fit.
    """
    change.actor.require(Permission.KEYS_WRITE)
    await change.require_active()
    project = await change.project(project_id)
    failures: list[Failure] = []
    if isinstance(whom, UserFilter):
        found = await _fitting(change, project_id, whom)
    else:
        by_name = await users.find_all_named(change.tx, change.keyring, project_id, whom)
        # One may be named by the key and by the id.
        found = list({user.id: user for user in by_name.values()}.values())
        failures += [Failure(name, "user not found") for name in whom if name not in by_name]
    done: list[tuple[User, User]] = []
    for user in found:
        try:
            done.append((user, action.judge(user, project, change.now)))
        except Refused as refused:
            failures.append(Failure(user, refused.reason))
    await action.write(change.tx, [after for _, after in done], change.now)
    for before, after in done:
        leave_event(change, action, before, after)
    _tell(change, project_id, done)
    return Outcome(len(found), len(done), failures)


async def _fitting(change: Change, project_id: str, where: UserFilter) -> list[User]:
    try:
        found = await user_lists.list_of_project(
            change.tx, change.keyring, project_id, where, now=change.now, offset=0, limit=MOST_USERS + 1
        )
    except TooManyAlike as error:
        raise Invalid("filter", str(error)) from None
    if len(found) > MOST_USERS:
        raise Refused(Reason.TOO_MANY_MATCHED, limit=MOST_USERS)
    return found


def _tell(change: Change, project_id: str, done: Sequence[tuple[User, User]]) -> None:
    if len(done) > _TOLD_ONE_BY_ONE or any(bars_device(*each) for each in done):
        change.tell(lambda live: live.project_changed(project_id))
    else:
        for before, _ in done:
            change.tell(_telling(before.id))


def _telling(user_id: str) -> Tell:
    return lambda live: live.user_changed(user_id)
