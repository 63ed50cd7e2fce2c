"""What can be done to projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.licensing import sharing
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource, differences, version_of
from moonlatch.operations.endpoints import SETTINGS, host_of, keep_settings
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.storage import accounts, events, projects
from moonlatch.storage.projects import Project

_COUNTED = frozenset({"total_executions"})


def version(project: Project) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(project, without=_COUNTED)


async def create(change: Change, *, name: str, require_fingerprint: bool = True) -> Project:
    """A project holds scripts, and the users who may run them. Raises Refused, NotAllowed."""
    change.actor.require(Permission.PROJECTS_WRITE)
    change.actor.require_all_projects()
    await change.require_active()
    account = await change.account()
    most = change.world.tier_of(account).projects
    if most is not None and (await accounts.usage(change.tx, account.id)).projects >= most:
        raise Refused(Reason.MAX_PROJECTS)
    project = Project(
        id=crypto.new_id(),
        account_id=account.id,
        name=name,
        created_at=change.now,
        require_fingerprint=require_fingerprint,
    )
    await projects.insert(change.tx, project)
    change.record(EventKind.PROJECT_CREATED, _resource(project), project_id=project.id)
    return project


async def edit(change: Change, project_id: str, changes: dict[str, Any]) -> Project:
    """Set fields of a project by name; of `sharing`, what is new of each rule. Raises NotFound, Refused, NotAllowed, ChangedMeanwhile."""
    change.actor.require(Permission.PROJECTS_WRITE)
    current = await change.project(project_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    change.expect(version(current))
    if "sharing" in changes:
        changes = {**changes, "sharing": sharing.edited(current.sharing, changes["sharing"])}
    changed = msgspec.structs.replace(current, **changes)
    await projects.save(change.tx, changed, now=change.now)
    await keep_settings(change, current, changed)
    change.record(
        EventKind.PROJECT_EDITED,
        _resource(changed),
        project_id=project_id,
        changes=differences(current, changed, masked=_MASKED),
    )
    change.tell(lambda live: live.project_changed(project_id))
    return changed


async def remove(change: Change, project_id: str) -> None:
    """Remove a project with its scripts, users and counters; every session ends. Raises NotFound, NotAllowed."""
    change.actor.require(Permission.PROJECTS_WRITE)
    current = await change.project(project_id)
    change.expect(version(current))
    await events.erase_users(change.tx, project_id)
    if not await projects.remove(change.tx, project_id):
        raise NotFound("project")
    change.record(EventKind.PROJECT_REMOVED, _resource(current), project_id=project_id)
    change.tell(lambda live: live.project_changed(project_id))


def _resource(project: Project) -> Resource:
    return Resource("project", project.id, project.name)


_MASKED: dict[str, Callable[[Any], Any]] = {**dict.fromkeys(SETTINGS, host_of), "sharing": sharing.shown}
