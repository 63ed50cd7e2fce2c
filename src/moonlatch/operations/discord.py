"""What can be done about Discord: connect an application of the account's own, and link projects to servers.

A job tells Discord of the commands; nothing is told within a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from moonlatch.crypto import DISCORD_TOKEN
from moonlatch.keyring import Keyring
from moonlatch.licensing.discord import is_id
from moonlatch.licensing.roles import PERMISSIONS, Permission, Role, exceeding
from moonlatch.operations.changing import Change, Resource, differences, perform, version_of
from moonlatch.operations.context import Actor, ActorKind, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotAllowed, NotFound, Reason, Refused, TryLater
from moonlatch.operations.user_actions import resource as resource_of_user
from moonlatch.storage import discord_applications, discord_channels, discord_links, discord_roles, plans, users
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_links import Link
from moonlatch.storage.interface import UniqueViolation
from moonlatch.web.discord_api import DiscordApi, DiscordBusy, DiscordError, DiscordRefused

MAX_ROLES = 50
"""Roles of one server that mean something here."""

TOKEN_REFUSED = "Discord refuses the bot's token: reset it at the developer portal and connect it again"  # noqa: S105 -- words
PATIENCE_SECONDS = 5.0

_JOB = "discord"
_BY_ITSELF = frozenset({"problem", "members_problem"})


@dataclass(frozen=True, slots=True)
class Found:
    """What Discord says an application is. `bot_id` is its bot's user, `interactions_url` where it sends interactions."""

    application_id: str
    bot_id: str
    public_key: bytes
    name: str
    interactions_url: str | None


def token_of(keyring: Keyring, application: Application) -> str:
    """The bot's token. Raises UnreadableSecretError."""
    return keyring.open_secret(DISCORD_TOKEN, application.account_id, application.bot_token)


def version(link: Link) -> str:
    """What its settings are at, for callers that must not overwrite each other's edits."""
    return version_of(link, without=_BY_ITSELF)


def job_actor(account_id: str) -> Actor:
    """Whom it is ascribed to when Discord was told something, or refuses to work."""
    return Actor(account_id=account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)


def discord_of(world: World) -> DiscordApi:
    """Discord's API. Raises RuntimeError where no server runs."""
    if world.discord is None:
        raise RuntimeError("this needs a running server")
    return world.discord


async def look_up(world: World, bot_token: str) -> Found:
    """Ask Discord whose token that is. Raises Invalid for one that it refuses, TryLater, and Refused where it does not answer."""
    try:
        answer = await discord_of(world).ask(
            "GET", "/applications/@me", route="application", token=bot_token, patience_seconds=PATIENCE_SECONDS
        )
        return found_of(answer)
    except DiscordRefused:
        raise Invalid("bot_token", "is refused by Discord: copy it anew from the page Bot of the application") from None
    except DiscordBusy as busy:
        raise TryLater(max(1, round(busy.retry_after_seconds))) from None
    except (DiscordError, ValueError) as error:
        raise Refused(Reason.DISCORD_AWAY, why=str(error)) from None


def found_of(answer: Any) -> Found:
    """What `GET /applications/@me` answered. Raises ValueError for something else."""
    if not isinstance(answer, dict) or not is_id(str(answer.get("id"))):
        raise ValueError("not an application")
    public_key = bytes.fromhex(str(answer.get("verify_key")))
    if len(public_key) != 32:
        raise ValueError("not a public key")
    url = answer.get("interactions_endpoint_url")
    bot = answer.get("bot")
    bot_id = str(bot.get("id")) if isinstance(bot, dict) else answer["id"]
    if not is_id(bot_id):
        raise ValueError("not a bot")
    return Found(
        application_id=answer["id"],
        bot_id=bot_id,
        public_key=public_key,
        name=str(answer.get("name", ""))[:100],
        interactions_url=url if isinstance(url, str) else None,
    )


async def connect(change: Change, found: Found, bot_token: str, *, replaces_url: bool = False) -> Application:
    """Connect the application whose bot has this token, as `look_up` found it, in place of the account's one before.

    With `replaces_url` its interactions come here even if they go somewhere else now. Raises NotAllowed, Refused.
    """
    change.actor.require(Permission.DISCORD_WRITE)
    change.actor.require_all_projects()
    await change.require_active()
    before = await discord_applications.find(change.tx, change.actor.account_id)
    if before is not None and before.application_id != found.application_id:
        # Its roles cannot be taken by another bot, whose links are to servers that it may not be on.
        await discord_roles.forget_account(change.tx, before.account_id)
    application = Application(
        account_id=change.actor.account_id,
        application_id=found.application_id,
        public_key=found.public_key,
        name=found.name,
        bot_token=change.keyring.seal_secret(DISCORD_TOKEN, change.actor.account_id, bot_token),
        replaces_url=replaces_url,
        created_at=change.now if before is None else before.created_at,
    )
    try:
        await discord_applications.put(change.tx, application)
    except UniqueViolation:
        raise Refused(Reason.APPLICATION_TAKEN) from None
    for link in await discord_links.list_of_account(change.tx, application.account_id):
        await discord_links.note_problem(change.tx, link.account_id, link.guild_id, None)
        await _make_due(change, link)
    _record(change, EventKind.DISCORD_CONNECTED, application)
    return application


async def register(change: Change, *, replaces_url: bool) -> Application:
    """Have Discord told of the commands again, and of where interactions go. Raises NotAllowed, Refused."""
    change.actor.require(Permission.DISCORD_WRITE)
    change.actor.require_all_projects()
    await change.require_active()
    current = await _application(change)
    changed = msgspec.structs.replace(current, commands=None, replaces_url=replaces_url, problem=None)
    await discord_applications.put(change.tx, changed)
    _record(change, EventKind.DISCORD_REGISTERED, changed)
    return changed


async def disconnect(change: Change) -> None:
    """Forget the account's application, its token and every link. Roles that customers have stay. Raises NotAllowed, Refused."""
    change.actor.require(Permission.DISCORD_WRITE)
    change.actor.require_all_projects()
    current = await _application(change)
    links = await discord_links.list_of_account(change.tx, current.account_id)
    await discord_roles.forget_account(change.tx, current.account_id)
    await discord_links.remove_all(change.tx, current.account_id)
    for link in links:
        if link.channels:
            await _channels_changed(change, link.project_id)
    await discord_applications.remove(change.tx, current.account_id)
    _record(change, EventKind.DISCORD_DISCONNECTED, current)


async def link(change: Change, project_id: str, changes: dict[str, Any]) -> Link:
    """Link a project to a server, or change fields of its link by name. Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile.

    Nobody hands on more than they may themselves: neither by a role's new meaning nor by changing one that means more.
    """
    change.actor.require(Permission.DISCORD_WRITE)
    project = await change.project(project_id)
    await change.require_active()
    await _application(change)
    current = await discord_links.find(change.tx, project_id)
    if current is not None:
        change.expect(version(current))
    if not changes:
        raise Refused(Reason.NOTHING_TO_EDIT)
    if current is None and not changes.get("guild_id"):
        raise Invalid("guild_id", "is required")
    if changes.get("channels", {}) != ({} if current is None else current.channels) and "channels" in changes:
        # What `POST /users/{key}/pin` does to one key.
        change.actor.require(Permission.KEYS_WRITE)
    if "roles" in changes:
        _require_own(change.actor, {} if current is None else current.roles, changes["roles"])
    base = current or Link(project_id=project_id, account_id=project.account_id, guild_id="", created_at=change.now)
    changed = msgspec.structs.replace(base, **changes, problem=None, members_problem=None)
    if current is not None and current.guild_id != changed.guild_id:
        if "roles" not in changes:
            # Ids of the other server's roles mean nothing on this one.
            changed = msgspec.structs.replace(changed, roles={})
        if "customer_role_id" not in changes:
            changed = msgspec.structs.replace(changed, customer_role_id=None)
        if "channels" not in changes:
            changed = msgspec.structs.replace(changed, channels={})
        await discord_links.remove(change.tx, project_id)
        current = None
    if current is None:
        await discord_links.insert(change.tx, changed)
    else:
        await discord_links.save(change.tx, changed)
    if current is None or current.customer_role_id != changed.customer_role_id:
        await _make_due(change, changed)
    if base.channels != changed.channels:
        if not base.channels.items() <= changed.channels.items():
            # Whose channels they were is not kept: within seconds those who still have one are found again.
            await discord_channels.remove_all(change.tx, project_id)
        await discord_channels.make_due(change.tx, project_id)
        await _channels_changed(change, project_id)
    is_new = base.guild_id == ""
    _record_link(change, EventKind.DISCORD_LINKED if is_new else EventKind.DISCORD_EDITED, base, changed)
    return changed


async def unlink(change: Change, project_id: str) -> None:
    """Remove a project's link; the job takes the roles that its customers have by it. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.DISCORD_WRITE)
    await change.project(project_id)
    current = await discord_links.find(change.tx, project_id)
    if current is None:
        raise NotFound("link")
    change.expect(version(current))
    await discord_links.remove(change.tx, project_id)
    if current.channels:
        await _channels_changed(change, project_id)
    _record_link(change, EventKind.DISCORD_UNLINKED, current, current)


async def note_registered(change: Change, application: Application, commands: str, problem: str | None) -> None:
    """Write down that Discord was told of these commands; for jobs."""
    await discord_applications.note_registered(
        change.tx, application, commands=commands, replaces_url=False, problem=problem
    )
    _record(change, EventKind.DISCORD_REGISTERED, application)


async def note_problem(change: Change, application: Application, problem: str) -> None:
    """Write down why the bot does not work, with an event the first time; for jobs."""
    current = await discord_applications.find(change.tx, application.account_id)
    if current is None or current.bot_token != application.bot_token or current.problem == problem:
        return
    await discord_applications.note_problem(change.tx, application, problem)
    _record(change, EventKind.DISCORD_FAILED, application, {"problem": (current.problem, problem)})


async def note_token_refused(world: World, application: Application) -> None:
    """As `note_problem`, of a token that Discord refuses."""
    actor = job_actor(application.account_id)
    await perform(world, actor, lambda change: note_problem(change, application, TOKEN_REFUSED))


async def put_on_channels(change: Change, link: Link, found: Mapping[str, list[str]]) -> bool:
    """Write which channels members of a server are on by their roles, by Discord's id; for jobs.

    False, and nothing is written, where the link is no longer what it was read as.
    """
    current = await discord_links.find(change.tx, link.project_id)
    if current is None or (current.guild_id, current.channels) != (link.guild_id, link.channels):
        return False
    for discord_id, channels in found.items():
        user = await users.find_by_discord(change.tx, link.project_id, discord_id)
        before = [] if user is None else await discord_channels.of_user(change.tx, user.id)
        await discord_channels.put(change.tx, link.project_id, discord_id, channels)
        if user is not None:
            changes = {"role_channels": (before, channels)}
            about = resource_of_user(change.keyring, user)
            change.record(EventKind.DISCORD_CHANNELS_CHANGED, about, project_id=link.project_id, changes=changes)
            change.tell(lambda live, user_id=user.id: live.user_changed(user_id))  # type: ignore[misc]
    return True


async def _channels_changed(change: Change, project_id: str) -> None:
    """Have starts know whether roles put keys on channels, and running copies looked at that may be outdated now."""
    await plans.write_of_project(change.tx, project_id)
    change.tell(lambda live: live.project_changed(project_id))


def _require_own(actor: Actor, before: dict[str, str], roles: dict[str, str]) -> None:
    """Raise NotAllowed where the meaning of a role changes to or from one that may more than the actor."""
    changed = {each for pair in before.items() ^ roles.items() for each in (pair[1],)}
    for name in changed:
        more = exceeding(PERMISSIONS[Role(name)], actor.permissions)
        if more:
            raise NotAllowed(f"the role {name} may more than you: {', '.join(more)}")


async def _application(change: Change) -> Application:
    found = await discord_applications.find(change.tx, change.actor.account_id)
    if found is None:
        raise Refused(Reason.NO_APPLICATION)
    return found


async def _make_due(change: Change, link: Link) -> None:
    """Have the roles of everybody looked at whom a link concerns."""
    await discord_roles.make_project_due(change.tx, link.account_id, link.guild_id, link.project_id)
    await discord_roles.make_granted_due(change.tx, link.account_id, link.guild_id)


def _record(
    change: Change, kind: EventKind, application: Application, changes: dict[str, tuple[Any, Any]] | None = None
) -> None:
    change.record(kind, Resource("discord", application.application_id, application.name), changes=changes)


def _record_link(change: Change, kind: EventKind, before: Link, after: Link) -> None:
    found = {name: each for name, each in differences(before, after).items() if name not in _BY_ITSELF}
    change.record(kind, Resource("discord_server", after.guild_id), project_id=after.project_id, changes=found)
