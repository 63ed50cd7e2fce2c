"""`moonlatch discord ...`: the bot and which server each project is linked to, over the API of a running server, as any other client would."""

from __future__ import annotations

from threading import Event
from typing import Annotated
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Envelope, Token, Url, asked, changed
from moonlatch.cli.output import CommandError, Json, say, write_json

app = typer.Typer(help="The Discord bot, and projects' servers.", no_args_is_help=True)

REGISTERED_SECONDS = 30
"""For so long it is waited that Discord is told of the commands."""

_HINTS = {409: "`moonlatch discord setup` connects an application."}

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", help="Id of the project.")]
ReplaceUrl = Annotated[
    bool, typer.Option("--replace-url", help="Have interactions come here even if Discord sends them elsewhere now.")
]


@app.command("setup")
def setup(
    *,
    bot_token: Annotated[
        str,
        typer.Option(
            envvar="MOONLATCH_DISCORD_TOKEN",
            metavar="TOKEN",
            prompt="Bot token (https://discord.com/developers/applications, page Bot)",
            hide_input=True,
            show_default=False,
            help="The bot's token; asked for without showing it, or given by the variable.",
        ),
    ],
    replace_url: ReplaceUrl = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Connect your Discord application.

    Its commands are registered, and interactions come here.
    """
    body = {"bot_token": bot_token.strip(), "replace_url": replace_url}
    application = changed(url, "/account/discord", token, body, _HINTS)["discord"]
    if not as_json:
        say(f"{application['name']} is connected. Discord is told of its commands ...")
    application = _registered(url, token, application)
    if as_json:
        write_json(application)
        return
    if not application["registered"]:
        raise CommandError(
            f"the commands are not registered: {application['problem'] or 'Discord has not answered yet'}",
            "`moonlatch discord check` tells more.",
        )
    say(f"The commands are registered. Add the bot to your server:\n\n    {application['invite_url']}\n")
    say("Then link a project: moonlatch discord link PROJECT_ID --server ID, and look: moonlatch discord check")


@app.command("check")
def check(*, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Tell what the bot lacks, and what to do.

    Discord is asked for everything that it needs. Status 1 where something is missing.
    """
    reply = asked(url, "/account/discord/check", token, _HINTS)
    if as_json:
        write_json({"ok": reply["ok"], "findings": reply["findings"]})
    else:
        for each in reply["findings"]:
            say(f"{'ok     ' if each['good'] else 'missing'}  {each['what']}")
            if each["to_do"]:
                say(f"         {each['to_do']}")
    if not reply["ok"]:
        raise typer.Exit(1)


@app.command("register")
def register(*, replace_url: ReplaceUrl = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Register the commands again.

    For when somebody changed them, or where interactions go, at Discord.
    """
    application = changed(url, "/account/discord/register", token, {"replace_url": replace_url}, _HINTS)["discord"]
    application = _registered(url, token, application)
    if not application["registered"]:
        raise CommandError(
            f"the commands are not registered: {application['problem'] or 'Discord has not answered yet'}"
        )
    say("The commands are registered.")


@app.command("link")
def link(
    project: Project,
    *,
    server: Annotated[str | None, typer.Option(metavar="ID", help="The server's id; needed the first time.")] = None,
    customer_role: Annotated[
        str | None, typer.Option(metavar="ID", help='What customers with a good key are given; "": nothing.')
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=ROLE",
            help="What members with a role of the server are here, as 123=support; may be given several times, and replaces all of before.",
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=CHANNEL",
            help="Which channel keys of members with a role of the server are on, as 123=beta; may be given several times, and replaces all of before.",
        ),
    ] = None,
    no_channels: Annotated[
        bool, typer.Option("--no-channels", help="Let no role put keys on a channel any more.")
    ] = False,
    panel_title: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the panel.")] = None,
    panel_text: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the panel.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Link a project to a server, or change its link."""
    if channel and no_channels:
        raise CommandError("--no-channels takes every channel away", "Leave --channel out, or --no-channels.")
    channels = None if channel is None else dict(_pair(each, "a channel", "beta") for each in channel)
    body = {
        "guild_id": server,
        "customer_role_id": customer_role,
        "roles": None if role is None else dict(_pair(each, "one of ours", "support") for each in role),
        "channels": {} if no_channels else channels,
        "panel_title": panel_title,
        "panel_text": panel_text,
    }
    reply = changed(url, f"/projects/{quote(project, safe='')}/discord", token, body, _HINTS)
    if as_json:
        write_json(reply["link"])
        return
    say(
        "The project is linked. `moonlatch discord check` tells whether the bot can do its part; `/panel` posts the panel."
    )


@app.command("unlink")
def unlink(project: Project, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Remove a project's link.

    Roles that its customers have by it are taken.
    """
    changed(url, f"/projects/{quote(project, safe='')}/discord/remove", token, {})
    say("The link is removed. Roles that customers have by it are taken within minutes.")


@app.command("remove")
def remove(*, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Disconnect the application.

    With every project's link. Roles that customers have stay.
    """
    changed(url, "/account/discord/remove", token, {}, _HINTS)
    say("The application is disconnected, and its token forgotten.")


def _pair(text: str, what: str, example: str) -> tuple[str, str]:
    server_role, mark, meaning = text.partition("=")
    if not mark:
        raise CommandError(
            f"{text} is not a role of the server and {what}", f"Write it like 123456789012345678={example}."
        )
    return server_role.strip(), meaning.strip()


def _registered(url: str, token: str, application: Envelope) -> Envelope:
    """The application once Discord was told of its commands, or as it is when that takes too long."""
    for _ in range(REGISTERED_SECONDS):
        if application["registered"] or application["problem"] is not None:
            break
        Event().wait(1)
        application = asked(url, "/account/discord", token)["discord"]
    return application
