"""What can be done to webhook endpoints. Nothing is sent here: what is to be sent is written down, and sent by a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from moonlatch import crypto
from moonlatch.crypto import WEBHOOK_SECRET, WEBHOOK_URL
from moonlatch.keyring import Keyring
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.webhooks import PREVIOUS_SECRET_MS, EndpointKind, ExecutionNews, kind_of, shown_url
from moonlatch.operations.changing import Change, Resource, differences, perform, version_of
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.storage import deliveries, endpoints, projects
from moonlatch.storage.deliveries import Delivery
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.events import first_id_at
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.projects import Project
from moonlatch.web.destination import destination_of
from moonlatch.web.outgoing import CallError, ForbiddenAddressError

MAX_ENDPOINTS_PER_PROJECT = 20
MAX_REPLAYED = 10_000
TEST = "endpoint.test"
"""Kind of the delivery that a test is."""

_UNSETTING = frozenset({"executions_until", "failing_since", "secret", "previous_secret", "previous_until", "url"})
_JOB = "webhooks"

_BLACKLISTING = (EventKind.USER_BLACKLISTED, EventKind.USER_UNBLACKLISTED)
_INFORMATION = tuple(
    kind
    for kind in EventKind
    if kind.partition(".")[0] in ("project", "script", "user", "endpoint", "ad_system", "ad_step")
    and kind not in _BLACKLISTING
)
SETTINGS: dict[str, tuple[tuple[EventKind, ...], ExecutionNews]] = {
    "execution_webhook": ((), ExecutionNews.EACH),
    "information_webhook": (_INFORMATION, ExecutionNews.NONE),
    "blacklist_webhook": (_BLACKLISTING, ExecutionNews.NONE),
}
"""The settings of a project that are endpoints, and what each of them hears."""


def version(endpoint: Endpoint) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    plain = msgspec.structs.replace(endpoint, url=b"", secret=b"", previous_secret=None)
    return version_of(plain, without=frozenset({"failing_since", "executions_until"}))


def url_of(keyring: Keyring, endpoint: Endpoint) -> str:
    """Where its deliveries go. Raises UnreadableSecretError."""
    return keyring.open_secret(WEBHOOK_URL, endpoint.id, endpoint.url)


def secrets_of(keyring: Keyring, endpoint: Endpoint, *, now: int) -> list[str]:
    """What its deliveries are signed with at `now` (Unix milliseconds), the newest first. Raises UnreadableSecretError."""
    found = [endpoint.secret]
    if endpoint.previous_secret is not None and (endpoint.previous_until or 0) > now:
        found.append(endpoint.previous_secret)
    return [keyring.open_secret(WEBHOOK_SECRET, endpoint.id, each) for each in found]


async def check_reach(world: World, url: str, field: str = "url") -> None:
    """Raise Invalid for a URL that must not be called as things are now. A name that nobody knows yet may be known later."""
    try:
        destination = destination_of(url)
    except ValueError as error:
        raise Invalid(field, str(error)) from None
    if world.outgoing is not None:
        try:
            await world.outgoing.judge(destination)
        except ForbiddenAddressError as error:
            raise Invalid(field, f"must lead elsewhere: {error}") from None
        except CallError:
            return


async def create(
    change: Change,
    project_id: str,
    *,
    url: str,
    name: str,
    kind: EndpointKind | None = None,
    events: Sequence[EventKind] | None = None,
    executions: ExecutionNews = ExecutionNews.NONE,
) -> tuple[Endpoint, str]:
    """Make an endpoint, and give it with its secret, which is not shown again. Raises NotAllowed, NotFound, Refused, Invalid."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    project = await change.project(project_id)
    await change.require_active()
    if len(await endpoints.list_of_project(change.tx, project.id)) >= MAX_ENDPOINTS_PER_PROJECT:
        raise Refused(Reason.MAX_ENDPOINTS)
    secret = crypto.new_webhook_secret()
    endpoint = _made(
        change.keyring,
        project,
        url=url,
        name=name,
        kind=kind,
        events=events,
        executions=executions,
        secret=secret,
        now=change.now,
    )
    await endpoints.insert(change.tx, endpoint)
    changes = {"url": (None, host_of(url)), "events": (None, endpoint.events), "executions": (None, executions)}
    _record(change, EventKind.ENDPOINT_CREATED, endpoint, changes)
    return endpoint, secret


async def edit(change: Change, endpoint_id: str, changes: dict[str, Any]) -> Endpoint:
    """Set fields of an endpoint by name. Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    current = await _found(change, endpoint_id)
    await change.require_active()
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    change.expect(version(current))
    values = dict(changes)
    if "url" in values:
        url = values.pop("url")
        values |= _place(change.keyring, current.id, url)
        values.setdefault("kind", kind_of(url))
        await _set_project(change, current, url)
    if values.get("enabled") and not current.enabled:
        values |= {"disabled_because": None, "failing_since": None, "executions_until": change.now}
    elif values.get("executions", "none") != "none" and current.executions == "none":
        values["executions_until"] = change.now
    changed = msgspec.structs.replace(current, **values)
    await endpoints.save(change.tx, changed)
    if current.enabled and not changed.enabled:
        await deliveries.give_up(change.tx, current.id)
    _record(change, EventKind.ENDPOINT_EDITED, changed, _shown_differences(current, changed))
    return changed


async def remove(change: Change, endpoint_id: str) -> None:
    """Remove an endpoint with everything that waits for it. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    current = await _found(change, endpoint_id)
    change.expect(version(current))
    await _set_project(change, current, None)
    await endpoints.remove(change.tx, current.id)
    _record(change, EventKind.ENDPOINT_REMOVED, current)


async def rotate_secret(change: Change, endpoint_id: str) -> tuple[Endpoint, str]:
    """Sign with a new secret, for a day with the one before as well. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    current = await _found(change, endpoint_id)
    await change.require_active()
    change.expect(version(current))
    secret = crypto.new_webhook_secret()
    changed = msgspec.structs.replace(
        current,
        secret=change.keyring.seal_secret(WEBHOOK_SECRET, current.id, secret),
        previous_secret=current.secret,
        previous_until=change.now + PREVIOUS_SECRET_MS,
    )
    await endpoints.save(change.tx, changed)
    _record(change, EventKind.ENDPOINT_SECRET_ROTATED, changed)
    return changed, secret


async def test(change: Change, endpoint_id: str) -> Delivery:
    """Have something sent that says that it is a test. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    endpoint = await _enabled(change, endpoint_id)
    body = {"endpoint_id": endpoint.id, "project_id": endpoint.project_id, "requested_by": change.actor.name}
    delivery = new_delivery(endpoint, TEST, body, now=change.now)
    await deliveries.insert(change.tx, delivery)
    _record(change, EventKind.ENDPOINT_TESTED, endpoint)
    return delivery


async def replay(change: Change, delivery_id: str) -> Delivery:
    """Have one delivery made again, under the same id. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    found = await deliveries.find_owned(change.tx, delivery_id, change.actor.account_id)
    if found is None:
        raise NotFound("delivery")
    try:
        await replay_some(change, found.endpoint_id, [delivery_id])
    except NotFound:
        raise NotFound("delivery") from None
    again = await deliveries.find_owned(change.tx, delivery_id, change.actor.account_id)
    assert again is not None
    return again


async def replay_some(change: Change, endpoint_id: str, delivery_ids: Sequence[str]) -> int:
    """Have these deliveries of an endpoint made again; gives how many. Raises NotAllowed, NotFound, Refused."""
    change.actor.require(Permission.WEBHOOKS_WRITE)
    endpoint = await _enabled(change, endpoint_id)
    again = await deliveries.replay(change.tx, endpoint.id, delivery_ids, now=change.now)
    _record(change, EventKind.ENDPOINT_REPLAYED, endpoint, {"deliveries": (None, again)})
    return again


async def replay_failed(change: Change, endpoint_id: str, *, since: int) -> int:
    """Have what was given up since a time (Unix milliseconds) made again, `MAX_REPLAYED` at most; gives how many.

    Raises NotAllowed, NotFound, Refused.
    """
    change.actor.require(Permission.WEBHOOKS_WRITE)
    endpoint = await _enabled(change, endpoint_id)
    again = await deliveries.replay_failed(
        change.tx, endpoint.id, first_id=first_id_at(since), now=change.now, most=MAX_REPLAYED
    )
    _record(change, EventKind.ENDPOINT_REPLAYED, endpoint, {"deliveries": (None, again)})
    return again


async def keep_settings(change: Change, before: Project, project: Project) -> None:
    """Make endpoints of what a project's settings name now. Raises Invalid."""
    for field in SETTINGS:
        url = getattr(project, field)
        if url != getattr(before, field):
            await _keep_setting(change, project, field, url)


async def keep_old_settings(world: World) -> None:
    """Make endpoints of settings that were written down before there were any; those that nobody could call stay settings."""
    for unkept in await endpoints.unkept_settings(world.database):
        project = await projects.find(world.database, unkept.project_id)
        if project is None:
            continue
        actor = job_actor(project.account_id)

        async def keep(change: Change, project: Project = project, field: str = unkept.field) -> None:
            await _keep_setting(change, project, field, getattr(project, field))

        try:
            await perform(world, actor, keep)
        except (Invalid, UniqueViolation):  # another process was faster
            continue


async def switch_off(change: Change, endpoint_id: str, because: str) -> None:
    """Switch an endpoint off to which nothing arrives any more, and end what waits for it. For jobs; does nothing twice."""
    current = await endpoints.find_owned(change.tx, endpoint_id, change.actor.account_id)
    if current is None or not current.enabled:
        return
    changed = msgspec.structs.replace(current, enabled=False, disabled_because=because)
    await endpoints.save(change.tx, changed)
    await deliveries.give_up(change.tx, current.id)
    _record(change, EventKind.ENDPOINT_DISABLED, changed, {"disabled_because": (None, because)})


def job_actor(account_id: str) -> Actor:
    """Whom it is ascribed to when an endpoint is switched off."""
    return Actor(account_id=account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)


def new_delivery(endpoint: Endpoint, kind: str, body: Any, *, now: int) -> Delivery:
    """Something to be delivered that is no event."""
    return Delivery(
        id=f"{crypto.new_ordered_id(now)}-{endpoint.id[:16]}",
        endpoint_id=endpoint.id,
        kind=kind,
        body=msgspec.json.encode(body).decode(),
        created_at=now,
        next_at=now,
    )


def signed_headers(message_id: str, body: bytes, secrets: Sequence[str], *, now_seconds: int) -> dict[str, str]:
    """The headers of one attempt to send a body (Standard Webhooks 1.0): a signature with each secret that is good."""
    signed = f"{message_id}.{now_seconds}.".encode() + body
    return {
        "Content-Type": "application/json",
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(now_seconds),
        "Webhook-Signature": " ".join(crypto.webhook_signature(secret, signed) for secret in secrets),
    }


def host_of(url: str | None) -> str | None:
    """What events show of a URL: who has all of it can post there."""
    return None if url is None else f"{urlsplit(url).hostname}/…"


async def _found(change: Change, endpoint_id: str) -> Endpoint:
    found = await endpoints.find_owned(change.tx, endpoint_id, change.actor.account_id)
    if found is None or not change.actor.reaches(found.project_id):
        raise NotFound("endpoint")
    return found


async def _enabled(change: Change, endpoint_id: str) -> Endpoint:
    endpoint = await _found(change, endpoint_id)
    await change.require_active()
    if not endpoint.enabled:
        raise Refused(Reason.ENDPOINT_DISABLED)
    return endpoint


async def _keep_setting(change: Change, project: Project, field: str, url: str | None) -> None:
    kept = await endpoints.find_of_field(change.tx, project.id, field)
    if not url:
        if kept is not None:
            await endpoints.remove(change.tx, kept.id)
        return
    if kept is None:
        events, executions = SETTINGS[field]
        secret = crypto.new_webhook_secret()
        made = _made(
            change.keyring,
            project,
            url=url,
            name=field,
            events=events,
            executions=executions,
            secret=secret,
            now=change.now,
            field=field,
        )
        await endpoints.insert(change.tx, made)
        return
    values = _place(change.keyring, kept.id, url, field)
    changed = msgspec.structs.replace(
        kept, **values, kind=kind_of(url), enabled=True, disabled_because=None, failing_since=None
    )
    await endpoints.save(change.tx, changed)


def _made(
    keyring: Keyring,
    project: Project,
    *,
    url: str,
    name: str,
    secret: str,
    now: int,
    kind: EndpointKind | None = None,
    events: Sequence[EventKind] | None = None,
    executions: ExecutionNews = ExecutionNews.NONE,
    field: str | None = None,
) -> Endpoint:
    endpoint_id = crypto.new_id()
    return Endpoint(
        id=endpoint_id,
        account_id=project.account_id,
        project_id=project.id,
        name=name,
        field=field,
        kind=kind or kind_of(url),
        **_place(keyring, endpoint_id, url, field or "url"),
        events=None if events is None else tuple(events),
        executions=executions,
        executions_until=now,
        secret=keyring.seal_secret(WEBHOOK_SECRET, endpoint_id, secret),
        created_at=now,
    )


def _place(keyring: Keyring, endpoint_id: str, url: str, field: str = "url") -> dict[str, Any]:
    """What is kept of a URL. Raises Invalid for one that could never be called."""
    try:
        destination_of(url)
    except ValueError as error:
        raise Invalid(field, str(error)) from None
    return {"url": keyring.seal_secret(WEBHOOK_URL, endpoint_id, url), "shown_url": shown_url(url)}


async def _set_project(change: Change, endpoint: Endpoint, url: str | None) -> None:
    """Have the project's setting say what its endpoint does."""
    if endpoint.field is not None:
        project = await change.project(endpoint.project_id)
        await projects.save(change.tx, msgspec.structs.replace(project, **{endpoint.field: url}), now=change.now)


def _shown_differences(before: Endpoint, after: Endpoint) -> dict[str, tuple[Any, Any]]:
    found = {name: each for name, each in differences(before, after).items() if name not in _UNSETTING}
    if "shown_url" in found or before.url != after.url:
        found["url"] = (host_of(before.shown_url), host_of(after.shown_url))
    found.pop("shown_url", None)
    return found


def _record(
    change: Change, kind: EventKind, endpoint: Endpoint, changes: dict[str, tuple[Any, Any]] | None = None
) -> None:
    change.record(
        kind, Resource("endpoint", endpoint.id, endpoint.name), project_id=endpoint.project_id, changes=changes
    )
