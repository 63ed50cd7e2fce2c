"""`moonlatch licence`: has a server make an offline licence, for a program without HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, posted, refusal, require_token
from moonlatch.cli.output import CommandError, Json, say, shown, write_json
from moonlatch.clock import utc_time

_HINTS = {404: "Is the key right, and does it belong to the token's account?"}


def licence(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, or the user's id.", show_default=False)],
    *,
    script: Annotated[str, typer.Option(metavar="ID", help="Id of the script.", show_default=False)],
    device: Annotated[
        str,
        typer.Option(
            metavar="FINGERPRINT", help="What the program's host table gives as the device.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the Lua program.", show_default=False)],
    days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=1, max=366, help="How long it lasts; the script's offline_days without it."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Make a Lua file that starts a script without the server.

    It binds the key to the device, which cannot be reset until the licence has ended.
    """
    require_token(token)
    body = {"script_id": script, "device": device, **({} if days is None else {"days": days})}
    status, reply = posted(f"{url.rstrip('/')}/users/{quote(key, safe='')}/licence", token, body)
    if reply.get("success") is not True:
        if as_json:
            write_json(reply)
            raise typer.Exit(1)
        raise refusal("the licence was not made", status, reply.get("error") or {}, hint=_HINTS.get(status, ""))
    made = reply["licence"]
    _write(out, made.pop("program"))
    if as_json:
        write_json(reply)
    else:
        say(f"{shown(out)} starts build {made['build']} on this device until {utc_time(made['expires'])} UTC.")


def _write(out: Path, program: str) -> None:
    """Write the file whole or not at all. Raises CommandError."""
    written = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        written.write_text(program, encoding="utf-8", newline="\n")
        written.replace(out)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise CommandError(f"{shown(out)} cannot be written: {error.strerror}") from None
