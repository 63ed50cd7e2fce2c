"""What can be done to scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource, differences, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.storage import accounts, builds, loaders, scripts
from moonlatch.storage.scripts import Script

MINIMUM_LOADER_VERSION = 1

_COUNTED = frozenset({"total_executions", "loader"})


def version(script: Script) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(script, without=_COUNTED)


async def create(change: Change, project_id: str, *, name: str, settings: Mapping[str, Any] | None = None) -> Script:
    """A script without a build, disabled until its first update; `settings` by name of `Script`'s fields.

    Raises NotAllowed, NotFound, Refused.
    """
    change.actor.require(Permission.SCRIPTS_WRITE)
    await change.require_active()
    await change.project(project_id)
    account = await change.account()
    tier = change.world.tier_of(account)
    if tier.scripts is not None and (await accounts.usage(change.tx, account.id)).scripts >= tier.scripts:
        raise Refused(Reason.MAX_SCRIPTS)
    script = Script(id=crypto.new_id(), project_id=project_id, name=name, created_at=change.now, **dict(settings or {}))
    if script.free_for_all and not tier.free_for_all:
        raise Refused(Reason.NO_FREE_FOR_ALL)
    await scripts.insert(change.tx, script)
    change.record(EventKind.SCRIPT_CREATED, resource(script), project_id=project_id)
    return script


async def edit(change: Change, script_id: str, changes: dict[str, Any]) -> Script:
    """Set fields of a script by name. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    if changes.get("free_for_all") and not change.world.tier_of(await change.account()).free_for_all:
        raise Refused(Reason.NO_FREE_FOR_ALL)
    change.expect(version(current))
    return await _save(change, current, changes, EventKind.SCRIPT_EDITED)


async def toggle(change: Change, script_id: str, *, enabled: bool) -> Script:
    """Let it start, or stop every copy. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    await change.require_active()
    change.expect(version(current))
    if enabled:
        loader = await loaders.find_served(change.tx, script_id)
        if current.build == 0 or loader is None or loader.version < MINIMUM_LOADER_VERSION:
            raise Refused(Reason.UPDATE_REQUIRED)
    kind = EventKind.SCRIPT_ENABLED if enabled else EventKind.SCRIPT_DISABLED
    return await _save(change, current, {"enabled": enabled}, kind)


async def remove(change: Change, script_id: str) -> None:
    """Remove a script and its builds; its executions stay counted. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await change.script(script_id)
    change.expect(version(current))
    if not await scripts.remove(change.tx, script_id):
        raise NotFound("script")
    change.record(EventKind.SCRIPT_REMOVED, resource(current), project_id=current.project_id)
    change.tell(lambda live: live.script_changed(script_id))


async def _save(change: Change, current: Script, changes: dict[str, Any], kind: EventKind) -> Script:
    changed = msgspec.structs.replace(current, **changes)
    await scripts.save_settings(change.tx, changed)
    change.record(kind, resource(changed), project_id=current.project_id, changes=differences(current, changed))
    change.tell(lambda live: live.script_changed(current.id))
    return changed


async def require_servable(change: Change, script: Script, number: int) -> None:
    """Raise Refused for a build that is not kept, or was yanked."""
    build = await builds.find(change.tx, script.id, number)
    if build is None:
        raise Refused(Reason.NO_SUCH_BUILD, build=number)
    if build.yanked_at is not None:
        raise Refused(Reason.BUILD_YANKED, build=number)


def resource(script: Script) -> Resource:
    """What an event says it is about."""
    return Resource("script", script.id, script.name)
