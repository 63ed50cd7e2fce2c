"""`moonlatch remotes ...`: server webhooks and functions that scripts call by name, over the API of a running server."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, asked, changed
from moonlatch.cli.output import CommandError, Json, say, show_table, write_json
from moonlatch.cli.variables import HINTS, Name, Project, Script, owner_path

app = typer.Typer(help="Server webhooks and functions that scripts call by name.", no_args_is_help=True)


@app.command("list")
def list_remotes(
    *,
    project: Project = "",
    script: Script = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List server webhooks and functions by name."""
    found = asked(url, f"{owner_path(project, script)}/remotes", token, HINTS)["remotes"]
    if as_json:
        write_json(found)
        return
    show_table(
        ["name", "kind", "endpoint", "id"],
        [[each["name"], each["kind"], each["endpoint_id"], each["id"]] for each in found],
    )


@app.command("set")
def set_remote(
    name: Name,
    *,
    endpoint: Annotated[str, typer.Option(metavar="ID", help="The webhook endpoint that it leads to.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="webhook or function.")] = "webhook",
    template: Annotated[str, typer.Option(metavar="JSON", help="Body of a webhook, with {{name}} for data.")] = "",
    per_key: Annotated[int, typer.Option(metavar="N", min=1, max=600, help="Calls of one key in a minute.")] = 30,
    per_instance: Annotated[
        int, typer.Option(metavar="N", min=1, max=600, help="Calls of one running copy in a minute.")
    ] = 10,
    timeout: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=15, help="How long a function may take to answer.")
    ] = 5,
    project: Project = "",
    script: Script = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Set a server webhook or a server function."""
    body: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "endpoint_id": endpoint,
        "template": _template(template),
        "per_key": per_key,
        "per_instance": per_instance,
        "timeout_seconds": timeout,
    }
    made = changed(url, f"{owner_path(project, script)}/remotes", token, body, HINTS)["remote"]
    if as_json:
        write_json(made)
        return
    say(f"{name} is set (id {made['id']}).")


@app.command("remove")
def remove_remote(
    remote: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `remotes list` shows it.")],
    *,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Remove one; its endpoint stays."""
    changed(url, f"/remotes/{quote(remote, safe='')}/remove", token, {}, HINTS)
    say("It is removed.")


def _template(text: str) -> Any:
    """Raises CommandError."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        raise CommandError("the template is not JSON", 'Write it like {"content": "{{player}} won"}.') from None
