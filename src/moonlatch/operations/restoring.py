"""Bringing removed users back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    hashes = {key: change.keyring.user_key_hashes(key) for key in keys}
    taken = {
        key: await removed_users.take(change.tx, project_id, key_hashes, removed_after=oldest)
        for key, key_hashes in hashes.items()
    }
    missing = [key for key, user in taken.items() if user is None]
    if missing:
        raise Refused(Reason.NOT_REMOVED, keys=missing)
    found = {key: user for key, user in taken.items() if user is not None}
    if rivals := await _rivals_for_discord(change, found):
        raise Refused(Reason.DISCORD_TAKEN, keys=rivals)
    if existing := [key for key in keys if await users.find_by_key(change.tx, hashes[key]) is not None]:
        raise Refused(Reason.KEY_TAKEN, keys=existing)
    # A key that has expired goes again no sooner than 15 minutes from now.
    changes: dict[str, Any] = {"expiry_set_at": change.now}
    if key_expires is not None:
        changes |= {"key_expires": key_expires, "key_days": None}
    restored = [msgspec.structs.replace(user, **changes) for user in found.values()]
    written = await users.insert(change.tx, restored)
    if not all(written):  # in that very moment, on a database that many write to at once
        raise Refused(Reason.KEY_TAKEN, keys=[key for key, is_new in zip(found, written, strict=True) if not is_new])
    for user in restored:
        change.record(EventKind.USER_RESTORED, resource(change.keyring, user), project_id=project_id)
        change.tell(_telling(user.id))
    if any(user.blacklisted for user in restored):
        change.tell(lambda live: live.project_changed(project_id))
    return restored


async def _rivals_for_discord(change: Change, restored: Mapping[str, User]) -> list[str]:
    """Keys whose Discord id another key of the project has by now, or an earlier one among them."""
    rivals, seen = [], set()
    for key, user in restored.items():
        if user.discord_id is None:
            continue
        if user.discord_id in seen or await users.has_discord(change.tx, user.project_id, user.discord_id):
            rivals.append(key)
        seen.add(user.discord_id)
    return rivals


def _telling(user_id: str) -> Tell:
    return lambda live: live.user_changed(user_id)
