"""What can be done to users: the keys of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.licensing.key import is_blacklisted, masked
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource, differences, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.storage import accounts, events, projects, removed_users, users
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.users import User

_BY_ITSELF = frozenset({"executor", "executions", "ip", "fingerprint", "expiry_set_at"})
"""What starts change, and what follows from an edit."""


def version(user: User) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(user, without=_BY_ITSELF)


async def create(
    change: Change, project_id: str, settings: Sequence[dict[str, Any]], *, keys: Sequence[str | None]
) -> list[User]:
    """Users with these settings, by name of `User`'s fields: all of them or none. A key that is None is made.

    Raises NotAllowed, NotFound, Refused.
    """
    change.actor.require(Permission.KEYS_WRITE)
    await change.require_active()
    await change.project(project_id)
    await require_room(change, len(settings))
    created = [
        User(
            id=crypto.new_id(),
            key=key or crypto.new_id(),
            project_id=project_id,
            created_at=change.now,
            expiry_set_at=change.now,
            **each,
        )
        for each, key in zip(settings, keys, strict=True)
    ]
    for user in created:
        try:
            await users.insert(change.tx, user)
        except UniqueViolation as error:
            taken = Reason.DISCORD_TAKEN if "discord" in error.constraint else Reason.KEY_TAKEN
            raise Refused(taken) from None
        change.record(EventKind.USER_CREATED, resource(user), project_id=project_id)
    return created


async def require_room(change: Change, count: int) -> None:
    """Raise Refused where the account's tier has no room for so many more users."""
    account = await change.account()
    most = change.world.tier_of(account).users
    if most is not None and (await accounts.usage(change.tx, account.id)).users + count > most:
        raise Refused(Reason.MAX_USERS)


async def edit(change: Change, user_id: str, changes: dict[str, Any]) -> User:
    """Set fields of a user by name. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.KEYS_WRITE)
    current = await change.user(user_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    change.expect(version(current))
    is_new_expiry = "key_expires" in changes or "key_days" in changes
    changed = msgspec.structs.replace(
        current, **changes, expiry_set_at=change.now if is_new_expiry else current.expiry_set_at
    )
    try:
        await users.save_settings(change.tx, changed)
    except UniqueViolation:
        raise Refused(Reason.DISCORD_TAKEN) from None
    shown = {name: each for name, each in differences(current, changed).items() if name not in _BY_ITSELF}
    change.record(EventKind.USER_EDITED, resource(changed), project_id=changed.project_id, changes=shown)
    change.tell(lambda live: live.user_changed(changed.key))
    return changed


async def blacklist(change: Change, user_id: str, *, reason: str | None, expires: int | None) -> User:
    """Stop every copy of the key, and bar its device from the project, until `expires` (Unix milliseconds; None: for good).

    Raises NotAllowed, NotFound, Refused, ChangedMeanwhile.
    """
    change.actor.require(Permission.KEYS_WRITE)
    current = await change.user(user_id)
    if _is_blacklisted(change, current):
        raise Refused(Reason.ALREADY_BLACKLISTED)
    await change.require_active()
    change.expect(version(current))
    await users.blacklist(change.tx, current, reason=reason, expires=expires)
    change.record(
        EventKind.USER_BLACKLISTED,
        resource(current),
        project_id=current.project_id,
        changes={"blacklist_reason": (None, reason), "blacklist_expires": (None, expires)},
    )
    change.tell(lambda live: live.user_changed(current.key))
    if current.fingerprint is not None:
        change.tell(lambda live: live.project_changed(current.project_id))
    return msgspec.structs.replace(current, blacklisted=True, blacklist_reason=reason, blacklist_expires=expires)


async def unblacklist(change: Change, user_id: str) -> User:
    """Take the blacklisting back, and the bar on the device. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.KEYS_WRITE)
    current = await change.user(user_id)
    if not _is_blacklisted(change, current):
        raise Refused(Reason.NOT_BLACKLISTED)
    await change.require_active()
    change.expect(version(current))
    await users.unblacklist(change.tx, current.key)
    change.record(
        EventKind.USER_UNBLACKLISTED,
        resource(current),
        project_id=current.project_id,
        changes={"blacklist_reason": (current.blacklist_reason, None)},
    )
    change.tell(lambda live: live.user_changed(current.key))
    return msgspec.structs.replace(current, blacklisted=False, blacklist_reason=None, blacklist_expires=None)


async def reset_fingerprint(change: Change, user_id: str, *, force: bool) -> User:
    """Let the next device become the key's. `force` goes past a disabled or cooling reset.

    Raises NotAllowed, NotFound, Refused, ChangedMeanwhile.
    """
    change.actor.require(Permission.KEYS_WRITE)
    current = await change.user(user_id)
    await change.require_active()
    change.expect(version(current))
    project = await projects.find(change.tx, current.project_id)
    assert project is not None
    if not force:
        if not project.allow_fingerprint_resets:
            raise Refused(Reason.RESETS_DISABLED)
        if current.last_reset is not None and current.last_reset + project.fingerprint_reset_cooldown > change.now:
            raise Refused(Reason.ON_COOLDOWN, retry_at=current.last_reset + project.fingerprint_reset_cooldown)
    if current.fingerprint is None:
        raise Refused(Reason.NO_FINGERPRINT)
    await users.reset_fingerprint(change.tx, current.key, now=change.now)
    change.record(EventKind.USER_FINGERPRINT_RESET, resource(current), project_id=current.project_id)
    change.tell(lambda live: live.user_changed(current.key))
    resets = current.total_fingerprint_resets + 1
    return msgspec.structs.replace(
        current, fingerprint=None, ip=None, last_reset=change.now, total_fingerprint_resets=resets
    )


async def remove(change: Change, user_id: str, *, forever: bool = False) -> User:
    """Stop every copy of the key and remove it; unless it is for ever, it can be brought back for some days.

    Its events lose what identifies it. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile.
    """
    change.actor.require(Permission.KEYS_WRITE)
    current = await change.user(user_id)
    await change.require_active()
    change.expect(version(current))
    await users.remove(change.tx, current.key)
    await events.erase(change.tx, current.id)
    if not forever:
        await removed_users.keep(change.tx, [current], now=change.now, by="developer")
    change.record(EventKind.USER_REMOVED, Resource("user", current.id), project_id=current.project_id)
    change.tell(lambda live: live.user_changed(current.key))
    return current


def resource(user: User) -> Resource:
    """What an event about a user shows of it: never the key."""
    return Resource("user", user.id, masked(user.key))


def _is_blacklisted(change: Change, user: User) -> bool:
    return is_blacklisted(user.blacklisted, user.blacklist_expires, change.now)
