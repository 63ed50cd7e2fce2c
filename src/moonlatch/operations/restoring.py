"""Bringing removed users back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from moonlatch.licensing.key import RESTORABLE_MS
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Tell
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.operations.user_actions import resource
from moonlatch.operations.users import require_room
from moonlatch.storage import removed_users, users
from moonlatch.storage.users import User


async def restore(change: Change, project_id: str, keys: Sequence[str], *, key_expires: int | None) -> list[User]:
    """Bring users back as they were, all of them or none; `key_expires` (Unix milliseconds) is a new end for all of them.

    Raises NotAllowed, NotFound, Refused.
    """
    change.actor.require(Permission.KEYS_WRITE)
    await change.require_active()
    await change.project(project_id)
    await require_room(change, len(keys))
    oldest = change.now - RESTORABLE_MS
    taken = {key: await removed_users.take(change.tx, project_id, key, removed_after=oldest) for key in keys}
    missing = [key for key, user in taken.items() if user is None]
    if missing:
        raise Refused(Reason.NOT_REMOVED, keys=missing)
    found = [user for user in taken.values() if user is not None]
    if rivals := await _rivals_for_discord(change, found):
        raise Refused(Reason.DISCORD_TAKEN, keys=rivals)
    if existing := [user.key for user in found if await users.find(change.tx, user.key) is not None]:
        raise Refused(Reason.KEY_TAKEN, keys=existing)
    # A key that has expired goes again no sooner than 15 minutes from now.
    changes: dict[str, Any] = {"expiry_set_at": change.now}
    if key_expires is not None:
        changes |= {"key_expires": key_expires, "key_days": None}
    restored = [msgspec.structs.replace(user, **changes) for user in found]
    written = await users.insert(change.tx, restored)
    if not all(written):  # in that very moment, on a database that many write to at once
        raise Refused(
            Reason.KEY_TAKEN, keys=[user.key for user, is_new in zip(restored, written, strict=True) if not is_new]
        )
    for user in restored:
        change.record(EventKind.USER_RESTORED, resource(user), project_id=project_id)
        change.tell(_telling(user.key))
    if any(user.blacklisted for user in restored):
        change.tell(lambda live: live.project_changed(project_id))
    return restored


async def _rivals_for_discord(change: Change, restored: Sequence[User]) -> list[str]:
    """Keys whose Discord id another key of the project has by now, or an earlier one among them."""
    rivals, seen = [], set()
    for user in restored:
        if user.discord_id is None:
            continue
        if user.discord_id in seen or await users.has_discord(change.tx, user.project_id, user.discord_id):
            rivals.append(user.key)
        seen.add(user.discord_id)
    return rivals


def _telling(key: str) -> Tell:
    return lambda live: live.user_changed(key)
