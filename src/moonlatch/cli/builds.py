"""`moonlatch builds`, `rollback` and `yank`: which builds a script has on a server, and which of them it serves."""

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
from moonlatch.cli.output import Json, say


def builds(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """List the builds of a script that are kept, newest first."""
    require_token(token)
    status, reply = got(address(url, "scripts", script, "builds"), token)
    if is_done(status, reply, "the builds were not listed", as_json=as_json):
        for build in reply["builds"]:
            say(_line(build))


def rollback(
    *, script: ScriptId, build: BuildNumber, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False
) -> None:
    """Serve another build that is kept, from the next start on."""
    require_token(token)
    status, reply = posted(address(url, "scripts", script, "rollback"), token, {"build": build})
    if is_done(status, reply, f"build {build} is not served", as_json=as_json):
        say(f"Build {build} is served from the next start on.")


def yank(
    *,
    script: ScriptId,
    build: BuildNumber,
    successor: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER", min=1, help="The build to serve in its place, where it is current.", show_default=False
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Never serve a build again. This is for good."""
    require_token(token)
    body = {} if successor is None else {"successor": successor}
    status, reply = posted(address(url, "scripts", script, "builds", build, "yank"), token, body)
    if is_done(status, reply, f"build {build} was not yanked", as_json=as_json):
        say(f"Build {build} is never served again.")


def _line(build: dict[str, Any]) -> str:
    label = f" {build['label']}" if build["label"] else ""
    marks = [mark for mark, is_so in (("current", build["current"]), ("yanked", build["state"] == "yanked")) if is_so]
    shown = f" ({', '.join(marks)})" if marks else ""
    return f"{build['number']}{label}{shown}: {build['profile']}, {build['payload_bytes']:,} bytes"
