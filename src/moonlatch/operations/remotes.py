"""What can be done to remotes, which scripts reach through the server by name: server webhooks and server functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moonlatch import crypto
from moonlatch.licensing.remotes import MAX_PER_OWNER, MAX_TEMPLATE_BYTES, RemoteKind, UnfitError, as_text, check_shape
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.webhooks import EndpointKind
from moonlatch.operations.changing import Change, Resource, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.storage import endpoints, remotes
from moonlatch.storage.remotes import Remote

_NONE = "none"
"""Version of a remote that is not there."""

_SHOWN = ("script_id", "endpoint_id", "kind", "per_key", "per_instance", "timeout_seconds")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a remote is to be. `template` is any JSON, None for none; limits are calls in a minute."""

    kind: RemoteKind
    endpoint_id: str
    template: Any
    per_key: int
    per_instance: int
    timeout_seconds: int


def version(remote: Remote | None) -> str:
    """What it is at, for callers that must not overwrite each other's settings."""
    return _NONE if remote is None else version_of(remote, without=frozenset())


async def put(change: Change, project_id: str, script_id: str | None, name: str, wanted: Settings) -> Remote:
    """Set a remote of a project or one of its scripts, which comes to be by this.

    Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.
    """
    change.actor.require(Permission.WEBHOOKS_WRITE)
    if script_id is None:
        await change.project(project_id)
    else:
        await change.script(script_id)
    await change.require_active()
    await _check_endpoint(change, project_id, wanted)
    found = await remotes.list_of(change.tx, project_id, script_id=script_id)
    before = next((each for each in found if each.name == name), None)
    change.expect(version(before))
    if before is None and len(found) >= MAX_PER_OWNER:
        raise Refused(Reason.MAX_REMOTES)
    after = Remote(
        id=crypto.new_id() if before is None else before.id,
        account_id=change.actor.account_id,
        project_id=project_id,
        script_id=script_id,
        endpoint_id=wanted.endpoint_id,
        kind=wanted.kind,
        name=name,
        template=_template_of(wanted),
        per_key=wanted.per_key,
        per_instance=wanted.per_instance,
        timeout_seconds=wanted.timeout_seconds,
        revision=1 if before is None else before.revision + 1,
        created_at=change.now if before is None else before.created_at,
        updated_at=change.now,
    )
    await (remotes.insert if before is None else remotes.save)(change.tx, after)
    _record(change, EventKind.REMOTE_SET, after, _changes(before, after))
    return after


async def remove(change: Change, remote_id: str) -> None:
    """Remove a remote: scripts reach that of the project, or nothing. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    current = await remotes.find_owned(change.tx, remote_id, change.actor.account_id)
    if current is None or not change.actor.reaches(current.project_id):
        raise NotFound("remote")
    change.expect(version(current))
    await remotes.remove(change.tx, current.id)
    _record(change, EventKind.REMOTE_REMOVED, current)


async def _check_endpoint(change: Change, project_id: str, wanted: Settings) -> None:
    """Raise Invalid for an endpoint that is not the project's, or that cannot answer."""
    endpoint = await endpoints.find_owned(change.tx, wanted.endpoint_id, change.actor.account_id)
    if endpoint is None or endpoint.project_id != project_id:
        raise Invalid("endpoint_id", "must be a webhook endpoint of the same project")
    if wanted.kind is RemoteKind.FUNCTION and endpoint.kind == EndpointKind.DISCORD:
        raise Invalid("endpoint_id", "must be an endpoint of yours: Discord answers no questions")


def _template_of(wanted: Settings) -> str | None:
    """Raises Invalid for a template that is none, or too large a one."""
    if wanted.template is None:
        return None
    if wanted.kind is RemoteKind.FUNCTION:
        raise Invalid("template", "is for webhooks; a function is given the script's data as it is")
    try:
        check_shape(wanted.template)
    except UnfitError as error:
        raise Invalid("template", str(error)) from None
    text = as_text(wanted.template)
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise Invalid("template", f"may have at most {MAX_TEMPLATE_BYTES} bytes as JSON, has {len(text.encode())}")
    return text


def _changes(before: Remote | None, after: Remote) -> dict[str, tuple[Any, Any]]:
    """What an event shows; of a template, which may hold anything, only that there is one."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in _SHOWN:
        old, new = None if before is None else getattr(before, name), getattr(after, name)
        if old != new:
            found[name] = (old, new)
    if (before and before.template) != after.template:
        found["template"] = (None if before is None else before.template is not None, after.template is not None)
    return found


def _record(change: Change, kind: EventKind, remote: Remote, changes: dict[str, tuple[Any, Any]] | None = None) -> None:
    change.record(kind, Resource("remote", remote.id, remote.name), project_id=remote.project_id, changes=changes)
