"""What customers can do with their own key, from Discord: it is theirs by their Discord id, and no permission is asked for."""

from __future__ import annotations

import dataclasses

import msgspec

from moonlatch.licensing.key import has_passed, is_blacklisted
from moonlatch.operations.changing import Change
from moonlatch.operations.context import ActorKind
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotAllowed, NotFound, Reason, Refused
from moonlatch.operations.user_actions import ResetFingerprint, leave_event, resource
from moonlatch.storage import discord_links, discord_roles, users
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.projects import Project
from moonlatch.storage.users import User

_CUSTOMER = "customer"


async def redeem(change: Change, project_id: str, key: str) -> User:
    """Make a key that belongs to nobody the customer's. Of one that they had and that has expired, it takes the place.

    Raises NotAllowed, NotFound, Refused: also for whoever is blacklisted, and for a second key beside a good one.
    """
    await _project(change, project_id)
    await change.require_active()
    user = await users.find_by_key(change.tx, change.keyring.user_key_hashes(key))
    if user is None or user.project_id != project_id:
        raise Refused(Reason.NO_SUCH_KEY)
    held = await users.find_by_discord(change.tx, project_id, change.actor.id)
    if user.discord_id is not None:
        raise Refused(Reason.HAS_KEY if user == held else Reason.KEY_REDEEMED)
    for each in (user, held):
        if each is not None and is_blacklisted(each.blacklisted, each.blacklist_expires, change.now):
            raise Refused(Reason.ALREADY_BLACKLISTED)
    if has_passed(user.key_expires, change.now):
        raise Refused(Reason.KEY_EXPIRED)
    if held is not None:
        if not has_passed(held.key_expires, change.now):
            raise Refused(Reason.HAS_KEY, expires=held.key_expires)
        await users.save_settings(change.tx, [msgspec.structs.replace(held, discord_id=None)])
    redeemed = msgspec.structs.replace(user, discord_id=change.actor.id)
    try:
        await users.save_settings(change.tx, [redeemed])
    except UniqueViolation:
        raise Refused(Reason.DISCORD_TAKEN) from None
    _act_as(change, user)
    change.record(
        EventKind.USER_REDEEMED,
        resource(change.keyring, user),
        project_id=project_id,
        changes={"discord_id": (None, redeemed.discord_id)},
    )
    change.tell(lambda live: live.user_changed(user.id))
    return redeemed


async def reset_device(change: Change, project_id: str) -> User:
    """Unbind the customer's key from its devices, by the project's rules. Raises NotAllowed, NotFound, Refused."""
    project = await _project(change, project_id)
    await change.require_active()
    user = await own_key(change, project_id)
    if is_blacklisted(user.blacklisted, user.blacklist_expires, change.now):
        raise Refused(Reason.ALREADY_BLACKLISTED)
    action = ResetFingerprint(force=False)
    changed = action.judge(user, project, change.now)
    await action.write(change.tx, [changed], change.now)
    _act_as(change, user)
    leave_event(change, action, user, changed)
    change.tell(lambda live: live.user_changed(user.id))
    return changed


async def ask_for_role(change: Change, project_id: str) -> User:
    """Have the customer given their role now. Raises NotAllowed, NotFound, Refused where the key is not good."""
    await _project(change, project_id)
    user = await own_key(change, project_id)
    if is_blacklisted(user.blacklisted, user.blacklist_expires, change.now):
        raise Refused(Reason.ALREADY_BLACKLISTED)
    if has_passed(user.key_expires, change.now):
        raise Refused(Reason.KEY_EXPIRED)
    link = await discord_links.find(change.tx, project_id)
    if link is None or link.customer_role_id is None:
        raise NotFound("role")
    await discord_roles.ask_again(change.tx, link.account_id, link.guild_id, change.actor.id, link.customer_role_id)
    return user


async def own_key(change: Change, project_id: str) -> User:
    """The customer's key. Raises Refused without one."""
    found = await users.find_by_discord(change.tx, project_id, change.actor.id)
    if found is None:
        raise Refused(Reason.NO_KEY)
    return found


def _act_as(change: Change, user: User) -> None:
    """Ascribe what follows to the key's owner by the key's id: what an event says of who acted outlives the key, and must not identify them."""
    change.actor = dataclasses.replace(change.actor, id=user.id, name=_CUSTOMER)


async def _project(change: Change, project_id: str) -> Project:
    if change.actor.kind is not ActorKind.DISCORD or change.actor.guild_member is None:
        raise NotAllowed("this is for customers, from Discord")
    return await change.project(project_id)
