"""`moonlatch channels ...` and `moonlatch pin`: which keys are given another build than the current one, over the API of a running server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from moonlatch.cli.calling import (
    DEFAULT_URL,
    BuildNumber,
    ScriptId,
    Token,
    Url,
    address,
    got,
    is_done,
    posted,
    require_token,
)
from moonlatch.cli.output import CommandError, Json, say, show_table
from moonlatch.clock import HOUR_MS, now_ms, utc_time

app = typer.Typer(help="Builds for some keys: channels, and who is on them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the channel.", show_default=False)]


@app.command("list")
def list_channels(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """List a script's channels with the build of each."""
    require_token(token)
    status, reply = got(address(url, "scripts", script, "channels"), token)
    if is_done(status, reply, "the channels were not listed", as_json=as_json):
        for channel in reply["channels"]:
            say(f"{channel['name']}: build {channel['build']}")


@app.command("set")
def set_channel(
    name: Name,
    *,
    script: ScriptId,
    build: BuildNumber,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Have a channel serve a build that is kept."""
    require_token(token)
    status, reply = posted(address(url, "scripts", script, "channels"), token, {"name": name, "build": build})
    if is_done(status, reply, f"{name} serves what it did", as_json=as_json):
        say(f"Keys on {name} are given build {build} from the next start on.")


@app.command("remove")
def remove(name: Name, *, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Remove a channel: its keys are given what others are."""
    require_token(token)
    status, reply = posted(address(url, "scripts", script, "channels", name, "remove"), token, {})
    if is_done(status, reply, f"{name} was not removed", as_json=as_json):
        say(f"{name} is removed: its keys are given what others are.")


@app.command("pins")
def pins(
    *,
    script: ScriptId,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, the oldest.")] = 100,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List the keys that are on a channel or pinned to a build."""
    require_token(token)
    status, reply = got(address(url, "scripts", script, "pins") + f"?limit={limit}", token)
    if is_done(status, reply, "the pins were not listed", as_json=as_json):
        show_table(["key", "channel", "build", "until"], [_row(pin) for pin in reply["pins"]])


def pin(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, or its id.", show_default=False)],
    *,
    script: ScriptId,
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="The channel that the key is on.", show_default=False)
    ] = None,
    build: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="The build that the key is given.", show_default=False)
    ] = None,
    hours: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=87_600, help="For how long it is given the build.", show_default=False),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Give the key what others are given.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Put a key on a channel of a script, or pin it to a build."""
    require_token(token)
    if clear and (channel, build, hours) != (None, None, None):
        raise CommandError("--clear takes everything away", "Leave the other options out, or --clear.")
    body: dict[str, Any] = {"script": script}
    if clear:
        body |= {"channel": "", "build": ""}
    if channel is not None:
        body["channel"] = channel
    if build is not None:
        body["build"] = build
    if hours is not None:
        body["expires"] = now_ms() + hours * HOUR_MS
    status, reply = posted(address(url, "users", key, "pin"), token, body)
    if is_done(status, reply, "the key is given what it was", as_json=as_json):
        say("The key is given what others are." if clear else "The key is given its own build from its next start on.")


def _row(pin: dict[str, Any]) -> list[str]:
    until = "for good" if pin["expires"] is None else utc_time(pin["expires"])
    build = pin["build"]
    return [pin["user_key"] or pin["user_id"], pin["channel"] or "", str(build or ""), until if build else ""]
