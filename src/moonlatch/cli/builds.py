"""`moonlatch builds`, `rollback` and `yank`: which builds a script has on a server, and which of them it serves."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Envelope, Token, Url, got, posted, refusal, require_token
from moonlatch.cli.output import Json, say, write_json

_HINTS = {404: "Are the ids right, and does the script belong to the token's account?"}

ScriptId = Annotated[str, typer.Option("--script", metavar="ID", help="Id of the script.", show_default=False)]
Build = Annotated[
    int, typer.Option("--build", metavar="NUMBER", min=1, help="Number of the build.", show_default=False)
]


def builds(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """List the builds of a script that are kept, newest first."""
    require_token(token)
    status, reply = got(_address(url, script, "builds"), token)
    if _is_done(status, reply, "the builds were not listed", as_json=as_json):
        for build in reply["builds"]:
            say(_line(build))


def rollback(
    *, script: ScriptId, build: Build, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False
) -> None:
    """Serve another build that is kept, from the next start on."""
    require_token(token)
    status, reply = posted(_address(url, script, "rollback"), token, {"build": build})
    if _is_done(status, reply, f"build {build} is not served", as_json=as_json):
        say(f"Build {build} is served from the next start on.")


def yank(
    *,
    script: ScriptId,
    build: Build,
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
    status, reply = posted(_address(url, script, f"builds/{build}/yank"), token, body)
    if _is_done(status, reply, f"build {build} was not yanked", as_json=as_json):
        say(f"Build {build} is never served again.")


def _address(url: str, script: str, path: str) -> str:
    return f"{url.rstrip('/')}/scripts/{quote(script, safe='')}/{path}"


def _is_done(status: int, reply: Envelope, what: str, *, as_json: bool) -> bool:
    """Return whether there is something to say of a success. Raises CommandError, or typer.Exit where JSON was asked for."""
    is_success = reply.get("success") is True
    if as_json:
        write_json(reply)
        if not is_success:
            raise typer.Exit(1)
        return False
    if not is_success:
        raise refusal(what, status, reply.get("error") or {}, hint=_HINTS.get(status, ""))
    return True


def _line(build: dict[str, Any]) -> str:
    label = f" {build['label']}" if build["label"] else ""
    marks = [mark for mark, is_so in (("current", build["current"]), ("yanked", build["state"] == "yanked")) if is_so]
    shown = f" ({', '.join(marks)})" if marks else ""
    return f"{build['number']}{label}{shown}: {build['profile']}, {build['payload_bytes']:,} bytes"
