"""One use of a command, button or dialog: who it is, on which server, for which project, with what they gave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from moonlatch.discord.interactions import Interaction, Member
from moonlatch.licensing.discord import cut, discord_user_id, is_id, plain
from moonlatch.licensing.durations import duration_ms
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import Actor, ActorKind, GuildMember, World
from moonlatch.operations.refusals import Invalid, NotFound
from moonlatch.storage import projects
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_links import Link
from moonlatch.storage.projects import Project

T = TypeVar("T")

MOST_TEXT = 255
"""Characters of a note or reason."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server that something was used on, by whom, and which projects are linked to it."""

    world: World
    public_url: str
    application: Application
    interaction: Interaction
    member: Member
    links: Sequence[Link]

    @property
    def guild_id(self) -> str:
        assert self.interaction.guild_id is not None
        return self.interaction.guild_id

    def actor(self, link: Link) -> Actor:
        """The member for one project. What they may there is looked up where it is needed."""
        user = self.member.user
        return Actor(
            account_id=link.account_id,
            kind=ActorKind.DISCORD,
            id=user.id,
            name=user.username.replace("\0", "") or user.id,
            permissions=frozenset(),
            projects=frozenset({link.project_id}),
            guild_member=GuildMember(self.guild_id, frozenset(self.member.roles)),
            request_id=self.interaction.id,
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """What a handler works with: `actor` may what their roles on the server say at this moment."""

    server: Server
    link: Link
    project: Project
    actor: Actor

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def now(self) -> int:
        return self.world.clock()

    async def change(self, operation: Callable[[Change], Awaitable[T]]) -> T:
        """Carry an operation out as the member, and give its result."""
        return await perform(self.world, self.actor, operation)

    # What was given. Each raises Invalid, naming the option.

    def text(self, name: str, *, most: int = MOST_TEXT) -> str | None:
        """A text; None where there is none."""
        for option in self.server.interaction.data.options:
            if option.name == name and option.value is not None and option.value != "":
                if not isinstance(option.value, str):
                    raise Invalid(name, "must be text")
                if len(option.value) > most:
                    raise Invalid(name, f"must have at most {most} characters")
                if "\0" in option.value or not _is_text(option.value):
                    raise Invalid(name, "must be text that can be kept")
                return option.value
        return None

    def required(self, name: str, *, most: int = MOST_TEXT) -> str:
        found = self.text(name, most=most)
        if found is None:
            raise Invalid(name, "is required")
        return found

    def person(self, name: str = "user") -> str | None:
        """A Discord user id."""
        given = self.text(name)
        if given is None:
            return None
        try:
            return discord_user_id(given)
        except ValueError as error:
            raise Invalid(name, str(error)) from None

    def role(self, name: str) -> str:
        """The id of a role."""
        given = self.required(name)
        if not is_id(given):
            raise Invalid(name, "must be a role")
        return given

    def duration(self, name: str = "duration") -> int | None:
        """Milliseconds."""
        given = self.text(name)
        if given is None:
            return None
        try:
            return duration_ms(given)
        except ValueError as error:
            raise Invalid(name, str(error)) from None

    def number(self, name: str, *, least: int, most: int) -> int | None:
        for option in self.server.interaction.data.options:
            if option.name == name and option.value is not None:
                value = option.value
                if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                    raise Invalid(name, f"must be a number from {least} to {most}")
                return value
        return None


async def visit_of(server: Server, link: Link, actor: Actor) -> Visit:
    """Raises NotFound for a project that was removed meanwhile."""
    project = await projects.find(server.world.database, link.project_id)
    if project is None:
        raise NotFound("project")
    return Visit(server, link, project, actor)


def named(text: str, most: int = 60) -> str:
    """Somebody else's words on one line, without formatting or mentions."""
    return plain(cut(" ".join(text.split()), most)) or "…"


def moment(at_ms: int) -> str:
    """A time as each reader's Discord shows it, in their own zone."""
    return f"<t:{at_ms // 1000}:f> (<t:{at_ms // 1000}:R>)"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
