"""Asks Discord what an account's bot has: whether that is all it needs, in words, and which servers and roles there are. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moonlatch.licensing.discord import cut
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import Actor, World
from moonlatch.operations.discord import PATIENCE_SECONDS, TOKEN_REFUSED, Found, discord_of, found_of, token_of
from moonlatch.operations.refusals import NotFound, Reason, Refused, TryLater
from moonlatch.storage import discord_applications, discord_links
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_links import Link
from moonlatch.web.discord_api import DiscordAway, DiscordBusy, DiscordError, DiscordRefused

MOST_SERVERS = 20
"""Of an account's, how many are asked about."""

_ADMINISTRATOR = 1 << 3
_MANAGE_ROLES = 1 << 28
BOT_PERMISSIONS = _MANAGE_ROLES
"""What the bot is invited with."""

_NAME = 60
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `to_do` says what would mend it. `project_ids` are those that it concerns, empty for all."""

    is_good: bool
    what: str
    to_do: str | None = None
    project_ids: tuple[str, ...] = ()


def interactions_url(public_url: str) -> str:
    """Where Discord is to send interactions."""
    return f"{public_url}/discord/interactions"


def invite_url(application_id: str) -> str:
    """Where a server's owner adds the bot to it."""
    return (
        f"https://discord.com/oauth2/authorize?client_id={application_id}"
        f"&scope=bot+applications.commands&permissions={BOT_PERMISSIONS}"
    )


async def check(world: World, actor: Actor, public_url: str) -> list[Finding]:
    """Everything that has to be so for the account's bot to work, as far as the actor's projects go. Raises Refused without an application."""
    application = await discord_applications.find(world.database, actor.account_id)
    if application is None:
        raise Refused(Reason.NO_APPLICATION)
    token = token_of(keyring_of(world), application)
    try:
        answer = await discord_of(world).ask(
            "GET", "/applications/@me", route="application", token=token, patience_seconds=PATIENCE_SECONDS
        )
        found = found_of(answer)
    except DiscordRefused:
        return [Finding(False, "Discord takes the bot's token", f"{TOKEN_REFUSED}.")]
    except (DiscordError, ValueError) as error:
        return [Finding(False, "Discord answers", f"{error}. Try again in a minute.")]
    findings = _of_application(application, found, public_url)
    links = await discord_links.list_of_account(world.database, actor.account_id)
    servers: dict[str, list[Link]] = {}
    for link in links:
        if actor.reaches(link.project_id):
            servers.setdefault(link.guild_id, []).append(link)
    if not servers:
        findings.append(
            Finding(False, "a project is linked to a server", "Link one, by the server's id and its roles.")
        )
    for guild_id, together in list(servers.items())[:MOST_SERVERS]:
        findings += await _of_server(world, found, token, guild_id, together)
    return findings


def _of_application(application: Application, found: Found, public_url: str) -> list[Finding]:
    findings = [Finding(True, f"Discord takes the bot's token: it is that of {cut(found.name, _NAME)}")]
    if found.public_key != application.public_key:
        findings.append(
            Finding(False, "the public key is the one that Discord signs with", "Connect the application again.")
        )
    wanted = interactions_url(public_url)
    if not public_url.startswith("https://"):
        findings.append(
            Finding(
                False,
                "this server has an https:// address",
                f"Discord calls https:// only. Set `public_url`, now {public_url}, to such an address.",
            )
        )
    elif found.interactions_url == wanted:
        findings.append(Finding(True, f"Discord sends interactions to {wanted}"))
    else:
        other = f", now {found.interactions_url}," if found.interactions_url else ""
        findings.append(
            Finding(
                False,
                f"Discord sends interactions to {wanted}",
                f"Register again with `replace_url`, or set the Interactions Endpoint URL{other} at the developer portal.",
            )
        )
    is_registered = application.commands is not None
    findings.append(
        Finding(
            is_registered,
            "the commands are registered",
            None if is_registered else application.problem or "That takes some seconds; look again then.",
        )
    )
    if application.problem is not None and is_registered:
        findings.append(Finding(False, "nothing went wrong last", application.problem))
    has_come = application.heard_at is not None
    findings.append(
        Finding(
            has_come,
            "something signed has come from Discord",
            None if has_come else "Nothing has yet: use a command, and look again.",
        )
    )
    return findings


async def _of_server(world: World, found: Found, token: str, guild_id: str, links: list[Link]) -> list[Finding]:
    projects = tuple(link.project_id for link in links)
    api = discord_of(world)
    try:
        guild = await api.ask(
            "GET", f"/guilds/{guild_id}", route=f"guild {guild_id}", token=token, patience_seconds=PATIENCE_SECONDS
        )
        me = await api.ask(
            "GET",
            f"/guilds/{guild_id}/members/{found.bot_id}",
            route=f"member {guild_id}",
            token=token,
            patience_seconds=PATIENCE_SECONDS,
        )
        roles = {each["id"]: each for each in guild["roles"]}
        name = cut(str(guild["name"]), _NAME)
        mine = [roles[each] for each in [guild_id, *me["roles"]] if each in roles]
    except DiscordRefused:
        to_do = f"Add it at {invite_url(found.application_id)}, or mend the server's id."
        return [Finding(False, f"the bot is on the server {guild_id}", to_do, projects)]
    except (DiscordError, KeyError, TypeError) as error:
        return [Finding(False, f"Discord tells of the server {guild_id}", f"{error}. Try again in a minute.", projects)]
    findings = [Finding(True, f"the bot is on the server {name}", None, projects)]
    for link in links:
        findings += [
            Finding(
                False,
                f"the role {role} is one of the server {name}",
                "Choose another role: this one was deleted, or is another server's.",
                (link.project_id,),
            )
            for role in sorted(
                {*link.roles, *link.channels, *([link.customer_role_id] if link.customer_role_id else [])}
                - roles.keys()
            )
        ]
        role = roles.get(link.customer_role_id or "")
        if role is not None:
            findings.append(_can_give(role, mine, name, link))
        if link.channels:
            what = f"the bot can read who has which role on {name}"
            problem = link.members_problem
            findings.append(Finding(problem is None, what, problem, (link.project_id,)))
    return findings


def _can_give(role: dict[str, Any], mine: list[dict[str, Any]], server: str, link: Link) -> Finding:
    """Whether the bot, which has these roles, can give that one."""
    what = f"the bot can give the role {cut(str(role['name']), _NAME)} on {server}"
    projects = (link.project_id,)
    permissions = 0
    for each in mine:
        permissions |= int(each["permissions"])
    if role.get("managed"):
        return Finding(False, what, "Nobody can: Discord manages it. Choose another role.", projects)
    if not permissions & (_MANAGE_ROLES | _ADMINISTRATOR):
        return Finding(False, what, "Give the bot's role the permission Manage Roles.", projects)
    highest = max((int(each["position"]) for each in mine), default=0)
    if int(role["position"]) >= highest:
        return Finding(False, what, "Drag the bot's role above it, under Server Settings, Roles.", projects)
    if link.problem is not None:
        return Finding(False, what, link.problem, projects)
    return Finding(True, what, None, projects)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that the bot is on."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ServerRole:
    """A role of a server; one that is `managed` can be given by nobody."""

    id: str
    name: str
    is_managed: bool


async def servers(world: World, actor: Actor) -> list[Server]:
    """The servers that the account's bot is on, 200 at most. Raises Refused, TryLater."""
    answer = await _asked(world, actor, "/users/@me/guilds", "servers")
    return [Server(str(each["id"]), str(each["name"])) for each in answer]


async def roles(world: World, actor: Actor, guild_id: str) -> list[ServerRole]:
    """The roles of a server that the account's bot is on, the highest first. Raises NotFound, Refused, TryLater."""
    answer = await _asked(world, actor, f"/guilds/{guild_id}/roles", f"guild {guild_id}")
    try:
        found = roles_of(answer)
    except DiscordError as error:
        raise Refused(Reason.DISCORD_AWAY, why=str(error)) from None
    return [role for role in found if role.id != guild_id]  # everybody has that one


def roles_of(answer: Any) -> list[ServerRole]:
    """What `GET /guilds/{id}/roles` answered, the highest first. Raises DiscordAway for something else."""
    try:
        ordered = sorted(answer, key=lambda each: (-int(each["position"]), str(each["id"])))
        return [ServerRole(str(each["id"]), str(each["name"]), bool(each.get("managed"))) for each in ordered]
    except (KeyError, TypeError, ValueError):
        raise DiscordAway("Discord's answer is not a list of roles") from None


async def _asked(world: World, actor: Actor, path: str, route: str) -> list[dict[str, Any]]:
    application = await discord_applications.find(world.database, actor.account_id)
    if application is None:
        raise Refused(Reason.NO_APPLICATION)
    token = token_of(keyring_of(world), application)
    try:
        answer = await discord_of(world).ask("GET", path, route=route, token=token, patience_seconds=PATIENCE_SECONDS)
    except DiscordRefused as error:
        if error.status == _UNAUTHORIZED:
            raise Refused(Reason.DISCORD_AWAY, why=TOKEN_REFUSED) from None
        raise NotFound("server") from None
    except DiscordBusy as busy:
        raise TryLater(max(1, round(busy.retry_after_seconds))) from None
    except DiscordError as error:
        raise Refused(Reason.DISCORD_AWAY, why=str(error)) from None
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise Refused(Reason.DISCORD_AWAY, why="its answer is not a list")
    return answer
