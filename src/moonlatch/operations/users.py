"""What can be done to users: the keys of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from moonlatch import crypto
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.operations.user_actions import (
    BY_ITSELF,
    Action,
    Blacklist,
    Edit,
    Extend,
    Release,
    Remove,
    ResetFingerprint,
    ResetOneDevice,
    RevokeInstances,
    Unblacklist,
    bars_device,
    leave_event,
    resource,
)
from moonlatch.storage import accounts, key_devices, users
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.user_keys import as_stored
from moonlatch.storage.users import User

_HANDED_ON = (
    "note",
    "key_expires",
    "key_days",
    "max_instances",
    "max_executions",
    "max_devices",
    "fingerprintless",
)
"""Settings of a key that the one in its place gets."""


def version(user: User) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(user, without=BY_ITSELF)


async def create(
    change: Change, project_id: str, settings: Sequence[dict[str, Any]], *, keys: Sequence[str | None]
) -> list[User]:
    """Users with these settings, by name of `User`'s fields: all of them or none. A key that is None is made.

    Raises NotAllowed, NotFound, Refused with the `rows` (from 0) whose key or Discord id is taken.
    """
    change.actor.require(Permission.KEYS_WRITE)
    await change.require_active()
    await change.project(project_id)
    await require_room(change, len(settings))
    created = [_new_user(change, project_id, each, key) for each, key in zip(settings, keys, strict=True)]
    # A key that is somebody's id would take their place wherever users are named.
    if ids := [row for row, key in enumerate(keys) if key is not None and await _is_taken(change, key)]:
        raise Refused(Reason.KEY_TAKEN, rows=ids)
    written = await users.insert(change.tx, created)
    if not all(written):
        await _refuse(change, [(row, user) for row, user in enumerate(created) if not written[row]])
    for user in created:
        change.record(EventKind.USER_CREATED, resource(change.keyring, user), project_id=project_id)
    return created


def _new_user(change: Change, project_id: str, settings: dict[str, Any], key: str | None) -> User:
    user_id = crypto.new_id()
    return User(
        id=user_id,
        **as_stored(change.keyring, key or crypto.new_id(), user_id=user_id, project_id=project_id),
        project_id=project_id,
        created_at=change.now,
        expiry_set_at=change.now,
        **settings,
    )


async def _is_taken(change: Change, key: str) -> bool:
    """Whether it is somebody's id, or somebody's key under an older master key, where the database's index does not meet it."""
    under_older = change.keyring.user_key_hashes(key)[1:]
    return (len(key) == crypto.ID_LENGTH and await users.has_id(change.tx, key)) or (
        bool(under_older) and await users.find_by_key(change.tx, under_older) is not None
    )


async def _refuse(change: Change, taken: Sequence[tuple[int, User]]) -> NoReturn:
    """Raise Refused for users who were not written, of one reason that there is."""
    with_key = [row for row, user in taken if await users.find_by_key(change.tx, [user.key_hash]) is not None]
    if with_key:
        raise Refused(Reason.KEY_TAKEN, rows=with_key)
    raise Refused(Reason.DISCORD_TAKEN, rows=[row for row, _ in taken])


async def require_room(change: Change, count: int) -> None:
    """Raise Refused where the account's tier has no room for so many more users."""
    account = await change.account()
    most = change.world.tier_of(account).users
    if most is not None and (await accounts.usage(change.tx, account.id)).users + count > most:
        raise Refused(Reason.MAX_USERS)


async def edit(change: Change, user_id: str, changes: dict[str, Any]) -> User:
    """Set fields of a user by name. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    try:
        return await _carry_out(change, user_id, Edit(changes))
    except UniqueViolation:
        raise Refused(Reason.DISCORD_TAKEN) from None


async def extend(change: Change, user_id: str, *, milliseconds: int) -> User:
    """As `Extend`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _carry_out(change, user_id, Extend(milliseconds))


async def replace_unused(change: Change, project_id: str, *, most: int) -> list[User]:
    """Put new keys in place of up to `most` that nobody used or was given, with their settings: the old ones start nothing any more.

    Raises NotAllowed, NotFound, Refused.
    """
    replaced = await remove_unused(change, project_id, most=most)
    settings = [{name: getattr(user, name) for name in _HANDED_ON} for user in replaced]
    return await create(change, project_id, settings, keys=[None] * len(replaced)) if replaced else []


async def remove_unused(change: Change, project_id: str, *, most: int) -> list[User]:
    """Remove up to `most` keys that nobody used or was given; gives them. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.KEYS_WRITE)
    await change.require_active()
    await change.project(project_id)
    action = Remove(forever=False)
    found = await users.list_unused(change.tx, project_id, most=most)
    await action.write(change.tx, found, change.now)
    for user in found:
        leave_event(change, action, user, user)
    if found:
        change.tell(lambda live: live.project_changed(project_id))
    return found


async def blacklist(
    change: Change, user_id: str, *, reason: str | None, expires: int | None, bar_networks: bool = False
) -> User:
    """As `Blacklist`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _carry_out(change, user_id, Blacklist(reason, expires, bar_networks), state_first=True)


async def unblacklist(change: Change, user_id: str) -> User:
    """As `Unblacklist`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _carry_out(change, user_id, Unblacklist(), state_first=True)


async def release(change: Change, user_id: str) -> User:
    """As `Release`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _carry_out(change, user_id, Release(), state_first=True)


async def reset_fingerprint(change: Change, user_id: str, *, force: bool, device: bytes | None = None) -> User:
    """As `ResetFingerprint` or, with a device, `ResetOneDevice`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    if device is None:
        return await _carry_out(change, user_id, ResetFingerprint(force))
    change.actor.require(Permission.KEYS_WRITE)
    further = [each.fingerprint for each in await key_devices.further(change.tx, user_id)]
    return await _carry_out(change, user_id, ResetOneDevice(force, device, further))


async def name_device(change: Change, user_id: str, device: bytes, name: str | None) -> None:
    """Call a device that a key is bound to, or was used on, so; None takes its name away. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.KEYS_WRITE)
    user = await change.user(user_id)
    await change.require_active()
    change.expect(version(user))
    if not await key_devices.is_known(change.tx, user_id, device):
        raise NotFound("device")
    names = await key_devices.names(change.tx, user_id)
    if name is not None and device not in names and len(names) >= key_devices.MOST_NAMES:
        raise Refused(Reason.MAX_NAMES)
    await key_devices.set_name(change.tx, user_id, device, name)
    change.record(
        EventKind.USER_DEVICE_NAMED,
        resource(change.keyring, user),
        project_id=user.project_id,
        changes={"name": (names.get(device), name), "device": (device.hex(), device.hex())},
    )


async def remove(change: Change, user_id: str, *, forever: bool = False) -> User:
    """As `Remove`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    return await _carry_out(change, user_id, Remove(forever))


async def revoke_instances(change: Change, user_id: str) -> User:
    """As `RevokeInstances`. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    changed = await _carry_out(change, user_id, RevokeInstances(), needs=Permission.SESSIONS_STOP)
    change.tell(lambda live: live.stop_copies_of(user_id))
    return changed


async def _carry_out(
    change: Change,
    user_id: str,
    action: Action,
    *,
    state_first: bool = False,
    needs: Permission = Permission.KEYS_WRITE,
) -> User:
    """`state_first`: what the user's state refuses is said before that the account has expired."""
    change.actor.require(needs)
    current = await change.user(user_id)
    project = await change.project(current.project_id)
    if state_first:
        action.judge(current, project, change.now)
    await change.require_active()
    change.expect(version(current))
    changed = action.judge(current, project, change.now)
    await action.write(change.tx, [changed], change.now)
    leave_event(change, action, current, changed)
    change.tell(lambda live: live.user_changed(current.id))
    if bars_device(current, changed):
        change.tell(lambda live: live.project_changed(current.project_id))
    return changed
