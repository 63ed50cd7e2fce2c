"""`moonlatch checkpoints ...`: ad systems and how their steps go, over the API of a running server, as any other client would."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, asked, changed
from moonlatch.cli.output import Json, say, show_table, write_json
from moonlatch.clock import HOUR_MS

app = typer.Typer(help="Pages at which visitors earn keys, and how their steps go.", no_args_is_help=True)

System = Annotated[str, typer.Argument(metavar="SYSTEM_ID", help="Its id, as `checkpoints list` shows it.")]
_HINTS = {404: "Is the id right, and does it belong to the token's account?"}


@app.command("list")
def list_checkpoints(*, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """List the account's checkpoints, oldest first."""
    reply = asked(url, "/ads/systems", token, _HINTS)
    if as_json:
        write_json(reply["systems"])
        return
    show_table(
        ["name", "state", "keys last", "page", "id"],
        [
            [
                each["name"],
                "on" if each["enabled"] else "off",
                f"{each['key_duration'] / HOUR_MS:g} h",
                each["url"],
                each["id"],
            ]
            for each in reply["systems"]
        ],
    )


@app.command("show")
def show(system: System, *, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Show a checkpoint's steps, and how they went in the last day.

    The median is of how long visitors took: when it falls, there is a way around the step.
    """
    reply = asked(url, f"/ads/systems/{quote(system, safe='')}", token, _HINTS)
    if as_json:
        write_json({name: reply[name] for name in ("system", "steps", "statistics", "keys_today")})
        return
    went = {each["step_id"]: each for each in reply["statistics"]}
    say(f"{reply['system']['name']}: {reply['keys_today']} keys in the last 24 hours.")
    show_table(
        ["step", "provider", "state", "begun", "done", "median", "id"],
        [
            [
                str(step["number"]),
                step["provider"],
                "off" if not step["enabled"] else "does not answer" if step["down_until"] else "on",
                str(went[step["id"]]["begun"]),
                str(went[step["id"]]["done"]),
                "" if went[step["id"]]["median_seconds"] is None else f"{went[step['id']]['median_seconds']:g} s",
                step["id"],
            ]
            for step in reply["steps"]
        ],
    )


@app.command("enable")
def enable(system: System, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Have a checkpoint give keys."""
    _switch(url, system, token, is_on=True)
    say("The checkpoint gives keys, as soon as it has a step.")


@app.command("disable")
def disable(system: System, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Have a checkpoint give no keys; those that it gave stay."""
    _switch(url, system, token, is_on=False)
    say("The checkpoint is off.")


def _switch(url: str, system: str, token: str, *, is_on: bool) -> None:
    changed(url, f"/ads/systems/{quote(system, safe='')}/edit", token, {"enabled": is_on}, _HINTS)
