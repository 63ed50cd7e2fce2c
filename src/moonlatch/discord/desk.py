"""Takes an interaction to whoever handles it: finds the projects of its server, picks one, and looks up what the member may there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from moonlatch.discord import panel
from moonlatch.discord.catalogue import COMMANDS, PROJECT, Command
from moonlatch.discord.interactions import Interaction, InteractionType
from moonlatch.discord.messages import MOST_CHOICES, Choices, Dialog, Reply
from moonlatch.discord.refusal_words import said
from moonlatch.discord.visit import Server, Visit, named, visit_of
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Resource, note
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotAllowed
from moonlatch.operations.standing import still_standing
from moonlatch.storage import discord_links, projects
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_links import Link
from moonlatch.storage.projects import Project
from moonlatch.web.limits import RateLimits

CALLS_PER_SECOND, CALLS_BURST = 1.0, 10
"""Of one member."""

REDEEMS_PER_SECOND, REDEEMS_BURST = 1 / 30, 10
"""Of one member: keys that customers brought along can be short enough to be guessed."""

REFUSALS_PER_SECOND = 1 / 60
"""Events of one member's lack of one permission."""

_ONLY_ON_SERVERS = Reply("Use this on a server.")
_NOT_LINKED = Reply("This server is not linked to a project. Whoever runs it links it in the dashboard, under Discord.")
_GONE = Reply("This button is of a project that is no longer linked to this server. Ask for a new panel.")
_UNKNOWN = Reply(
    "This command is not one that the server knows any more. Try again in an hour, when Discord has the new ones."
)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done for an interaction; its answer may come late, `is_public` or for one person's eyes."""

    run: Callable[[], Awaitable[Reply]]
    is_public: bool = False


Said = Reply | Dialog | Choices


class Desk:
    """Answers at once, or says what is to be done. Holds nothing between two interactions."""

    def __init__(self, world: World, public_url: str, limits: RateLimits) -> None:
        self._world = world
        self._public_url = public_url
        self._calls = limits("discord member", per_second=CALLS_PER_SECOND, burst=CALLS_BURST)
        self._redeems = limits("discord redeem", per_second=REDEEMS_PER_SECOND, burst=REDEEMS_BURST)
        self._refusals = limits("discord refusal", per_second=REFUSALS_PER_SECOND, burst=1)

    async def take(self, application: Application, interaction: Interaction) -> Said | Task:
        """What an interaction that Discord signed is answered with. Raises StorageError."""
        is_suggestion = interaction.type == InteractionType.AUTOCOMPLETE
        if interaction.member is None or interaction.guild_id is None:
            return Choices(()) if is_suggestion else _ONLY_ON_SERVERS
        links = await discord_links.list_of_guild(self._world.database, application.account_id, interaction.guild_id)
        server = Server(self._world, self._public_url, application, interaction, interaction.member, links)
        if is_suggestion:
            return await self._suggested(server)
        if not links:
            return _NOT_LINKED
        wait = (await self._calls.take(f"{application.account_id} {interaction.member.user.id}")).retry_after_seconds
        if wait:
            return Reply(f"Slowly: try again in {wait} s.")
        if interaction.type == InteractionType.COMMAND:
            command = COMMANDS.get(interaction.data.name)
            return _UNKNOWN if command is None else await self._commanded(server, command)
        return await self._pressed(server)

    # --- commands

    async def _commanded(self, server: Server, command: Command) -> Said | Task:
        link = await self._picked(server)
        if isinstance(link, Reply):
            return link
        if command.needs is None and (wait := await self._redeeming(server)):
            return wait

        async def run() -> Reply:
            try:
                visit = await self._visit(server, link, command.needs, command.name)
                return await command.handle(visit)
            except Exception as error:
                return said(error)

        return Task(run, command.is_public)

    async def _picked(self, server: Server) -> Link | Reply:
        """The project that was picked, or the only one."""
        wanted = next((each.value for each in server.interaction.data.options if each.name == PROJECT), None)
        if wanted is None and len(server.links) == 1:
            return server.links[0]
        names = await self._names(server.links)
        for link, project in names:
            if wanted in (project.id, project.name):
                return link
        listed = ", ".join(f"`{named(project.name).replace('`', '')}`" for _, project in names[:MOST_CHOICES])
        if wanted is None:
            return Reply(f"Say which project, by the option `{PROJECT}`: {listed}.")
        return Reply(f"There is no such project here. There are: {listed}.")

    async def _names(self, links: Sequence[Link]) -> list[tuple[Link, Project]]:
        found = []
        for link in links:
            project = await projects.find(self._world.database, link.project_id)
            if project is not None:
                found.append((link, project))
        return found

    async def _suggested(self, server: Server) -> Choices:
        """Projects of the server whose names have what was typed."""
        typed = next((each.value for each in server.interaction.data.options if each.focused), "")
        typed = typed.casefold() if isinstance(typed, str) else ""
        names = await self._names(server.links)
        return Choices([(project.name, project.id) for _, project in names if typed in project.name.casefold()])

    # --- buttons and dialogs

    async def _pressed(self, server: Server) -> Said | Task:
        interaction = server.interaction
        called = panel.named_by(interaction.data.custom_id)
        link = None if called is None else next((each for each in server.links if each.project_id == called[1]), None)
        if called is None or link is None:
            return _GONE
        action, project_id = called
        if action == panel.REDEEM:
            if interaction.type == InteractionType.COMPONENT:
                return panel.redeem_dialog(project_id)
            if wait := await self._redeeming(server):
                return wait

        async def run() -> Reply:
            try:
                return await panel.HANDLERS[action](await self._visit(server, link, None, action))
            except Exception as error:
                return said(error)

        return Task(run)

    async def _redeeming(self, server: Server) -> Reply | None:
        member = f"{server.application.account_id} {server.member.user.id}"
        wait = (await self._redeems.take(member)).retry_after_seconds
        return Reply(f"Too many keys were tried. Try again in {wait} s.") if wait else None

    async def _visit(self, server: Server, link: Link, needs: Permission | None, what: str) -> Visit:
        """Raises NotAllowed for a member without the permission, which leaves an event, and NotFound."""
        now = self._world.clock()
        actor = await still_standing(self._world.database, server.actor(link), now=now)
        if needs is not None and not actor.may(needs):
            await self._note_refusal(actor, link, needs, what)
            raise NotAllowed(f"this needs the permission {needs}", needs)
        return await visit_of(server, link, actor)

    async def _note_refusal(self, actor: Actor, link: Link, needs: Permission, what: str) -> None:
        if (await self._refusals.take(f"{link.account_id} {actor.id} {needs}")).allowed:
            command = Resource("discord_command", f"/{what}", f"/{what} ({needs})")
            await note(self._world, actor, EventKind.PERMISSION_REFUSED, command, project_id=link.project_id)
