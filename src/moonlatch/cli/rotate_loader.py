"""`moonlatch rotate-loader`: has a server give a script's loader a new secret."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, posted, refusal, require_token
from moonlatch.cli.output import Json, say, write_json
from moonlatch.clock import HOUR_MS

_HINTS = {404: "Is the script's id right, and does the script belong to the token's account?"}


def rotate_loader(
    *,
    script: Annotated[str, typer.Option(metavar="ID", help="Id of the script.", show_default=False)],
    grace_hours: Annotated[
        float,
        typer.Option(
            metavar="HOURS", min=0, max=720, help="How long loaders that somebody kept still start it; 0: not at all."
        ),
    ] = 24,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Give a script's loader a new secret.

    Its address stays the same. Copies that run go on.
    """
    require_token(token)
    address = f"{url.rstrip('/')}/scripts/{quote(script, safe='')}/rotate_loader"
    status, reply = posted(address, token, {"grace": round(grace_hours * HOUR_MS)})
    if as_json:
        write_json(reply)
    if reply.get("success") is not True:
        if as_json:
            raise typer.Exit(1)
        raise refusal("the loader was not rotated", status, reply.get("error") or {}, hint=_HINTS.get(status, ""))
    if not as_json:
        say("The script's loader has a new secret.")
        say(
            f"Earlier loaders start it for {grace_hours:g} h more."
            if grace_hours
            else "Earlier loaders start it no more."
        )
