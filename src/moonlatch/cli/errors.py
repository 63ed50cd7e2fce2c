"""`moonlatch errors ...`: what went wrong in running scripts, over the API of a running server, as any other client would."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from moonlatch.cli.calling import DEFAULT_URL, ScriptId, Token, Url, asked, changed
from moonlatch.cli.output import Json, say, show_table, write_json

app = typer.Typer(help="What went wrong in running scripts.", no_args_is_help=True)

MOST = 1_000

Error = Annotated[str, typer.Argument(metavar="ERROR_ID", help="Its id, as `errors list` shows it.")]
_HINTS = {404: "Is the id right, and does it belong to the token's account?"}


class State(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


@app.command("list")
def list_errors(
    *,
    script: ScriptId,
    state: Annotated[
        State | None, typer.Option(help="How they stand; without it however they do.", show_default=False)
    ] = None,
    build: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Those of one build.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List the errors that a script's copies told of, last seen first."""
    query = urlencode({"limit": MOST, **({"state": state} if state else {}), **({"build": build} if build else {})})
    found = asked(url, f"/scripts/{quote(script, safe='')}/errors?{query}", token, _HINTS)["errors"]
    if as_json:
        write_json(found)
        return
    show_table(
        ["error", "where", "build", "copies", "keys", "state", "id"],
        [
            [
                each["message"],
                where(each),
                str(each["build"]),
                str(each["instances"]),
                str(each["keys"]),
                each["state"],
                each["id"],
            ]
            for each in found
        ],
    )


@app.command("show")
def show(error: Error, *, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Show an error: where it is, and which builds had it."""
    reply = asked(url, f"/errors/{quote(error, safe='')}", token, _HINTS)
    if as_json:
        write_json({name: reply[name] for name in ("error", "builds", "hours")})
        return
    found = reply["error"]
    say(f"{found['message']}\n{where(found)}, {found['state']}")
    show_table(
        ["build", "where", "copies", "keys", "programs"],
        [
            [
                str(each["build"]),
                where(each),
                str(each["instances"]),
                str(each["keys"]),
                ", ".join(f"{name} {number}" for name, number in each["executors"].items()),
            ]
            for each in reply["builds"]
        ],
    )


@app.command("resolve")
def resolve(error: Error, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Take an error for mended, until a newer build has it."""
    _stand(url, error, token, "resolve")
    say("It is resolved, until a newer build has it.")


@app.command("ignore")
def ignore(error: Error, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Count an error on, and tell of it no more."""
    _stand(url, error, token, "ignore")
    say("It is ignored, in all builds.")


@app.command("reopen")
def reopen(error: Error, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Open an error again."""
    _stand(url, error, token, "reopen")
    say("It is open again.")


def where(found: dict[str, Any]) -> str:
    """Where an error, or a place, is in the source; where that is not known, in the build."""
    if found["line"] is None:
        return f"line {found['place']} of the build" if found["place"] else "no place told"
    function = f" in {found['function']}" if found["function"] else ""
    return f"{found['file'] or 'line'}{':' if found['file'] else ' '}{found['line']}{function}"


def _stand(url: str, error: str, token: str, verb: str) -> None:
    changed(url, f"/errors/{quote(error, safe='')}/{verb}", token, {}, _HINTS)
