"""`moonlatch licence`: has a server make an offline licence, for a program without HTTP."""

from __future__ import annotations

import os
from errno import EISDIR
from pathlib import Path
from typing import Annotated, Any
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
    written = _begin(out)
    try:
        body = {"script_id": script, "device": device, **({} if days is None else {"days": days})}
        reply = _made(f"{url.rstrip('/')}/users/{quote(key, safe='')}/licence", token, body, as_json=as_json)
        made = reply["licence"]
        _finish(written, made.pop("program"), out)
    finally:
        written.unlink(missing_ok=True)
    if as_json:
        write_json(reply)
    else:
        say(f"{shown(out)} starts build {made['build']} on this device until {utc_time(made['expires'])} UTC.")


def _made(address: str, token: str, body: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    """The server's reply. Raises CommandError, typer.Exit."""
    status, reply = posted(address, token, body)
    if reply.get("success") is not True:
        if as_json:
            write_json(reply)
            raise typer.Exit(1)
        raise refusal("the licence was not made", status, reply.get("error") or {}, hint=_HINTS.get(status, ""))
    return reply


def _begin(out: Path) -> Path:
    """An empty file beside `out`: a licence that cannot be written binds the key all the same. Raises CommandError."""
    try:
        if out.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        written = out.with_name(f".{out.name}.{os.getpid()}")
        written.touch()
    except (OSError, ValueError) as error:
        raise _unwritable(out, error) from None
    return written


def _finish(written: Path, program: str, out: Path) -> None:
    """Write the file whole or not at all. Raises CommandError."""
    try:
        written.write_text(program, encoding="utf-8", newline="\n")
        written.replace(out)
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError | ValueError) -> CommandError:
    return CommandError(f"{shown(out)} cannot be written: {getattr(error, 'strerror', None) or error}")
