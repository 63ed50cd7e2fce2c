"""`moonlatch variables ...`: values that scripts ask for by name, over the API of a running server."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, asked, changed
from moonlatch.cli.output import CommandError, Json, say, show_table, write_json

app = typer.Typer(help="Values that scripts ask the server for by name.", no_args_is_help=True)

Project = Annotated[str, typer.Option(metavar="ID", help="Of this project, for all of its scripts.")]
Script = Annotated[str, typer.Option(metavar="ID", help="Of this script alone.")]
Key = Annotated[str, typer.Option(metavar="KEY", help="Of this key alone.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What scripts call it.", show_default=False)]
HINTS = {404: "Is the id right, and does it belong to the token's account?"}


@app.command("list")
def list_variables(
    *,
    project: Project = "",
    script: Script = "",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List server variables by name, without their values."""
    found = asked(url, f"{owner_path(project, script, key)}/variables", token, HINTS)["variables"]
    if as_json:
        write_json(found)
        return
    show_table(
        ["name", "bytes", "kept for", "id"],
        [[each["name"], str(each["value_bytes"]), f"{each['cache_seconds']} s", each["id"]] for each in found],
    )


@app.command("set")
def set_variable(
    name: Name,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="JSON; what is none is taken as text.", show_default=False)
    ],
    *,
    project: Project = "",
    script: Script = "",
    key: Key = "",
    cache_seconds: Annotated[int, typer.Option(metavar="N", min=0, max=86_400, help="How long a copy keeps it.")] = 300,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Set a server variable, which comes to be by this."""
    body = {"name": name, "value": _json_or_text(value), "cache_seconds": cache_seconds}
    made = changed(url, f"{owner_path(project, script, key)}/variables", token, body, HINTS)["variable"]
    if as_json:
        write_json(made)
        return
    say(f"{name} is set (id {made['id']}).")


@app.command("show")
def show_variable(
    variable: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `variables list` shows it.")],
    *,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Print a server variable's value, as JSON."""
    write_json(asked(url, f"/variables/{quote(variable, safe='')}", token, HINTS)["value"])


@app.command("remove")
def remove_variable(
    variable: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `variables list` shows it.")],
    *,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Remove a server variable."""
    changed(url, f"/variables/{quote(variable, safe='')}/remove", token, {}, HINTS)
    say("The variable is removed.")


def owner_path(project: str, script: str, key: str = "") -> str:
    """Whose it is, as a path of the API has it. Raises CommandError where not exactly one is named."""
    named = [
        f"/{place}/{quote(each, safe='')}"
        for place, each in (("projects", project), ("scripts", script), ("users", key))
        if each
    ]
    if len(named) != 1:
        raise CommandError("say whose it is", "Give one of --project, --script and, of variables, --key.")
    return named[0]


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
