"""`moonlatch rollout ...`: gives a build to a part of the keys, step by step, over the API of a running server, as any other client would."""

from __future__ import annotations

import sys
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
from moonlatch.cli.output import CommandError, Json, say
from moonlatch.cli.steps import percentage, steps_of
from moonlatch.clock import utc_time

app = typer.Typer(help="Give a build to a part of the keys first, step by step.", no_args_is_help=True)

_OPEN = ("rolling", "paused", "halted")
_SHOWN = 10


@app.command("start")
def start(
    *,
    script: ScriptId,
    build: BuildNumber,
    steps: Annotated[
        str, typer.Option(metavar="PERCENT,...", help="The part of the keys at each step, as 5,25,100 or 5:30,25,100.")
    ] = "5,25,100",
    minutes: Annotated[
        int, typer.Option(metavar="N", min=0, max=43_200, help="How long a step without minutes of its own lasts.")
    ] = 60,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Give a build that is kept to a part of the keys first."""
    require_token(token)
    body = {"build": build, "steps": steps_of(steps, minutes)}
    status, reply = posted(address(url, "scripts", script, "rollouts"), token, body)
    if is_done(status, reply, f"build {build} is not rolled out", as_json=as_json):
        say(_line(reply["rollout"]))


@app.command("show")
def show(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Tell how far a script's rollout is."""
    require_token(token)
    status, reply = got(address(url, "scripts", script, "rollouts") + f"?limit={_SHOWN}", token)
    if is_done(status, reply, "the rollouts are not shown", as_json=as_json):
        for rollout in reply["rollouts"]:
            say(_line(rollout))
        if not reply["rollouts"]:
            say("There is no rollout.")


@app.command("pause")
def pause(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Stay at the step there is: nobody else is given the build."""
    _tell(url, token, script, "pause", as_json=as_json)


@app.command("resume")
def resume(
    *,
    script: ScriptId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Go on with a rollout that was paused or halted."""
    require_token(token)
    rollout = _open(url, token, script)
    if not yes:
        if not sys.stdin.isatty():
            raise CommandError(
                f"build {rollout['build']} would be given to people again", "--yes resumes without asking."
            )
        typer.confirm(f"Build {rollout['build']} was {rollout['state']}. Give it to people again?", abort=True)
    _tell(url, token, script, "resume", {"confirm": True}, as_json=as_json)


@app.command("finish")
def finish(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Give the build to everybody now."""
    _tell(url, token, script, "finish", as_json=as_json)


@app.command("halt")
def halt(*, script: ScriptId, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Give the build to nobody, from the next start on."""
    _tell(url, token, script, "halt", as_json=as_json)


def _tell(url: str, token: str, script: str, verb: str, body: Any = None, *, as_json: bool) -> None:
    require_token(token)
    rollout = _open(url, token, script)
    status, reply = posted(address(url, "rollouts", rollout["id"], verb), token, body or {})
    if is_done(status, reply, f"nothing was done, it is {rollout['state']}", as_json=as_json):
        say(_line(reply["rollout"]))


def _open(url: str, token: str, script: str) -> dict[str, Any]:
    """The script's open rollout: nobody has to look for its id at night. Raises CommandError."""
    status, reply = got(address(url, "scripts", script, "rollouts") + "?limit=1", token)
    is_done(status, reply, "nothing was done", as_json=False)
    rollouts: list[dict[str, Any]] = reply["rollouts"]
    if not rollouts or rollouts[0]["state"] not in _OPEN:
        raise CommandError(
            "the script has no open rollout", "`rollout start` begins one, `rollback` serves another build."
        )
    return rollouts[0]


def _line(rollout: dict[str, Any]) -> str:
    shares = [percentage(step["basis_points"]) for step in rollout["steps"]]
    match rollout["state"]:
        case "rolling":
            then = "until it is finished"
            if rollout["next_at"] is not None:
                is_last = rollout["step"] + 1 == len(shares)
                then = f"from {utc_time(rollout['next_at'])} UTC on {'it is current' if is_last else shares[rollout['step'] + 1]}"
            return f"Build {rollout['build']}: {shares[rollout['step']]} of the keys are given it, {then}."
        case "paused":
            return f"Build {rollout['build']}: paused, {shares[rollout['step']]} of the keys are given it."
        case "halted":
            return f"Build {rollout['build']}: halted, nobody is given it."
        case ended:
            at = utc_time(rollout["ended_at"])
            return f"Build {rollout['build']}: {ended} at {at} UTC, at step {rollout['step'] + 1} of {len(shares)}."
