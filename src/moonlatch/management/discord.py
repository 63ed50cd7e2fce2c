"""Discord: the account's application, what it lacks, and which server each project is linked to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission, Role
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import ChannelName
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Clean, ClearableSnowflake, Closed, Edit, Empty, OneOf, Snowflake
from moonlatch.management.owned import NamedServer, OwnedProject
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import discord as operations
from moonlatch.operations import discord_check
from moonlatch.operations.discord_check import interactions_url, invite_url
from moonlatch.operations.refusals import Reason
from moonlatch.storage import discord_applications, discord_links
from moonlatch.storage.discord_applications import Application
from moonlatch.storage.discord_links import Link

router = resource_router("discord")

NO_APPLICATION = DocumentedError(1, Reason.NO_APPLICATION, 409)
APPLICATION_TAKEN = DocumentedError(1, Reason.APPLICATION_TAKEN, 409)
DISCORD_AWAY = DocumentedError(2, Reason.DISCORD_AWAY, 409, {"why": "no answer within 10 s"})
CANNOT_EDIT_NOTHING = DocumentedError(2, Reason.NOTHING_TO_EDIT, 400)

Token = Annotated[
    str,
    Field(
        min_length=20, max_length=200, pattern=r"^[A-Za-z0-9._-]+$", description="of the page Bot of the application"
    ),
]
Replaces = Annotated[
    bool, Field(description="have interactions come here even if Discord sends them somewhere else now")
]
GuildId = Annotated[Snowflake, Field(description="the server's id")]


class ConnectDiscord(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"bot_token": "YOUR_BOTS_TOKEN_OF_DISCORD"}]})

    bot_token: Token
    replace_url: Replaces = False


class RegisterDiscord(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"replace_url": True}]})

    replace_url: Replaces = False


class EditDiscordLink(Edit):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "guild_id": "123456789012345678",
                    "customer_role_id": "223456789012345678",
                    "roles": {"323456789012345678": "support"},
                }
            ]
        }
    )

    guild_id: Annotated[Snowflake | None, Field(description="the server's id; needed the first time")] = None
    customer_role_id: Annotated[
        ClearableSnowflake | None, Field(description='what customers with a good key are given; `""`: nothing')
    ] = None
    roles: Annotated[
        dict[Snowflake, Annotated[str, OneOf(Role)]] | None,
        Field(
            max_length=operations.MAX_ROLES, description="what members with a role of the server are here, by its id"
        ),
    ] = None
    channels: Annotated[
        dict[Snowflake, ChannelName] | None,
        Field(
            max_length=operations.MAX_ROLES,
            description="which channel of the project's scripts keys of members with a role of the server are on, by its id; needs `keys:write`",
        ),
    ] = None
    panel_title: Annotated[
        Annotated[str, Field(max_length=200), Clean] | None, Field(description='`""`: the project\'s name')
    ] = None
    panel_text: Annotated[Annotated[str, Field(max_length=2000), Clean] | None, Field(description='`""`: ours')] = None


class ApplicationView(Reply):
    """The account's application with Discord. Its bot's token is never shown."""

    model_config = example(
        application_id="123456789012345678",
        name="Moon bot",
        public_key="9f" * 32,
        interactions_url="https://scripts.example.com/discord/interactions",
        invite_url="https://discord.com/oauth2/authorize?client_id=123456789012345678",
        registered=True,
        problem=None,
        heard_at=1_770_624_500_000,
        created_at=1_770_624_400_000,
    )

    application_id: str
    name: str
    public_key: str = Field(description="what Discord signs interactions with, in hex")
    interactions_url: str = Field(description="where Discord is to send interactions")
    invite_url: str = Field(description="where a server's owner adds the bot")
    registered: bool = Field(description="whether Discord was told of the commands")
    problem: str | None = Field(description="what keeps the bot from working")
    heard_at: int | None = Field(description="Unix milliseconds: when something that Discord signed last came")
    created_at: int

    @classmethod
    def of(cls, application: Application, backend: Backend) -> ApplicationView:
        return cls(
            application_id=application.application_id,
            name=application.name,
            public_key=application.public_key.hex(),
            interactions_url=interactions_url(backend.about.public_url),
            invite_url=invite_url(application.application_id),
            registered=application.commands is not None,
            problem=application.problem,
            heard_at=application.heard_at,
            created_at=application.created_at,
        )


class DiscordLinkView(Reply):
    """A project's server, and what its roles are here."""

    model_config = example(
        project_id="PROJECT_ID",
        guild_id="123456789012345678",
        customer_role_id="223456789012345678",
        roles={"323456789012345678": "support"},
        channels={"423456789012345678": "beta"},
        panel_title=None,
        panel_text=None,
        problem=None,
        members_problem=None,
        created_at=1_770_624_500_000,
    )

    project_id: str
    guild_id: str
    customer_role_id: str | None
    roles: dict[str, str]
    channels: dict[str, str]
    panel_title: str | None
    panel_text: str | None
    problem: str | None = Field(description="what keeps the customers' role from being given")
    members_problem: str | None = Field(description="what keeps it from being read who has which role")
    created_at: int

    @classmethod
    def of(cls, link: Link) -> DiscordLinkView:
        return cls(
            project_id=link.project_id,
            guild_id=link.guild_id,
            customer_role_id=link.customer_role_id,
            roles=link.roles,
            channels=link.channels,
            panel_title=link.panel_title,
            panel_text=link.panel_text,
            problem=link.problem,
            members_problem=link.members_problem,
            created_at=link.created_at,
        )


class DiscordFindingView(Reply):
    """One thing that was looked at."""

    model_config = example(
        good=False,
        what="the bot can give the role Customer on The server",
        to_do="Drag the bot's role above it, under Server Settings, Roles.",
        project_ids=["PROJECT_ID"],
    )

    good: bool
    what: str
    to_do: str | None = Field(description="what would mend it")
    project_ids: list[str] = Field(description="those that it concerns; empty: all")


class DiscordServerView(Reply):
    model_config = example(id="123456789012345678", name="The server")

    id: str
    name: str


class DiscordRoleView(Reply):
    model_config = example(id="223456789012345678", name="Customer", managed=False)

    id: str
    name: str
    managed: bool = Field(description="by Discord: nobody can give it")


class DiscordReply(Success):
    discord: ApplicationView | None = Field(description="null: none is connected")


class DiscordLinkReply(Success):
    link: DiscordLinkView | None = Field(description="null: the project is not linked")


class DiscordCheckReply(Success):
    ok: bool = Field(description="whether all of it is good", examples=[False])
    findings: list[DiscordFindingView]


class DiscordServersReply(Success):
    servers: list[DiscordServerView]


class DiscordRolesReply(Success):
    roles: list[DiscordRoleView] = Field(description="the highest first")


@router.get("/account/discord", summary="Get the Discord application", openapi_extra=needs(Permission.DISCORD_READ))
async def get_discord(caller: CurrentCaller, backend: CurrentBackend) -> DiscordReply:
    """Which application the account's commands and panels are of."""
    found = await discord_applications.find(backend.database, caller.account.id)
    return DiscordReply(discord=None if found is None else ApplicationView.of(found, backend))


@router.post(
    "/account/discord",
    summary="Connect a Discord application",
    responses=refusing(ACCOUNT_EXPIRED, APPLICATION_TAKEN, DISCORD_AWAY),
    openapi_extra=needs(Permission.DISCORD_WRITE),
)
async def connect_discord(
    new: Annotated[ConnectDiscord, Depends(JsonBody(ConnectDiscord))], call: CurrentCall
) -> DiscordReply:
    """Discord is asked which application the bot's token is of; within seconds it is told of the commands, and to send interactions here."""
    found = await operations.look_up(call.world, new.bot_token)
    return await call.change(
        lambda change: operations.connect(change, found, new.bot_token, replaces_url=new.replace_url),
        lambda application: DiscordReply(discord=ApplicationView.of(application, call.backend)),
    )


@router.post(
    "/account/discord/register",
    summary="Register the Discord commands again",
    responses=refusing(ACCOUNT_EXPIRED, NO_APPLICATION),
    openapi_extra=needs(Permission.DISCORD_WRITE),
)
async def register_discord(
    body: Annotated[RegisterDiscord, Depends(JsonBody(RegisterDiscord))], call: CurrentCall
) -> DiscordReply:
    """For when somebody changed them, or where interactions go, at Discord. `check` tells how it went."""
    return await call.change(
        lambda change: operations.register(change, replaces_url=body.replace_url),
        lambda application: DiscordReply(discord=ApplicationView.of(application, call.backend)),
    )


@router.post(
    "/account/discord/remove",
    summary="Disconnect the Discord application",
    responses=refusing(NO_APPLICATION),
    openapi_extra=needs(Permission.DISCORD_WRITE),
)
async def remove_discord(_body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall) -> Success:
    """With every project's link. Roles that customers have stay; remove the links first, and wait, to have them taken."""
    return await call.change(operations.disconnect, lambda _: Success())


@router.get(
    "/account/discord/check",
    summary="Check the Discord application",
    responses=refusing(NO_APPLICATION),
    openapi_extra=needs(Permission.DISCORD_READ),
)
async def check_discord(call: CurrentReading, backend: CurrentBackend) -> DiscordCheckReply:
    """Asks Discord for everything that the bot needs, and says in words what is missing."""
    found = await discord_check.check(backend.world, call.actor, backend.about.public_url)
    return DiscordCheckReply(
        ok=all(each.is_good for each in found),
        findings=[
            DiscordFindingView(good=each.is_good, what=each.what, to_do=each.to_do, project_ids=list(each.project_ids))
            for each in found
        ],
    )


@router.get(
    "/account/discord/servers",
    summary="List the bot's Discord servers",
    responses=refusing(NO_APPLICATION, DISCORD_AWAY),
    openapi_extra=needs(Permission.DISCORD_READ),
)
async def list_servers(call: CurrentReading, backend: CurrentBackend) -> DiscordServersReply:
    """Those that somebody has added the bot to."""
    found = await discord_check.servers(backend.world, call.actor)
    return DiscordServersReply(servers=[DiscordServerView(id=each.id, name=each.name) for each in found])


@router.get(
    "/account/discord/servers/{guild_id}/roles",
    summary="List a Discord server's roles",
    responses=refusing(NO_APPLICATION, DISCORD_AWAY),
    openapi_extra=needs(Permission.DISCORD_READ),
)
async def list_roles(guild_id: NamedServer, call: CurrentReading, backend: CurrentBackend) -> DiscordRolesReply:
    """The highest first; without the one that everybody has."""
    found = await discord_check.roles(backend.world, call.actor, guild_id)
    return DiscordRolesReply(
        roles=[DiscordRoleView(id=each.id, name=each.name, managed=each.is_managed) for each in found]
    )


@router.get(
    "/projects/{project_id}/discord",
    summary="Get a project's Discord server",
    openapi_extra=needs(Permission.DISCORD_READ),
)
async def get_link(project: OwnedProject, call: CurrentReading) -> DiscordLinkReply:
    """And what the roles of that server are here."""
    found = await discord_links.find(call.backend.database, project.id)
    if found is not None:
        call.tag(operations.version(found))
    return _shown(found)


@router.post(
    "/projects/{project_id}/discord",
    summary="Link a project to a Discord server",
    responses=refusing(ACCOUNT_EXPIRED, NO_APPLICATION, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.DISCORD_WRITE, is_conditional=True),
)
async def link_project(
    project: OwnedProject, edit: Annotated[EditDiscordLink, Depends(JsonBody(EditDiscordLink))], call: CurrentCall
) -> DiscordLinkReply:
    """Or change the link: fields left out or null stay as they are. No role may come to mean more than you may yourself.

    A key's own channel wins over those of its owner's roles; of several roles the highest whose channel the script has.
    """
    changes: dict[str, Any] = edit.changes()
    return await call.change(
        lambda change: operations.link(change, project.id, changes), _shown, version=operations.version
    )


@router.post(
    "/projects/{project_id}/discord/remove",
    summary="Remove a project's link to Discord",
    openapi_extra=needs(Permission.DISCORD_WRITE, is_conditional=True),
)
async def unlink_project(
    project: OwnedProject, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Its customers' roles are taken."""
    return await call.change(lambda change: operations.unlink(change, project.id), lambda _: Success())


def _shown(link: Link | None) -> DiscordLinkReply:
    return DiscordLinkReply(link=None if link is None else DiscordLinkView.of(link))
