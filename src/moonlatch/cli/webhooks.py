"""`moonlatch webhooks ...`: endpoints and their deliveries, over the API of a running server, as any other client would."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from moonlatch.cli.calling import DEFAULT_URL, Envelope, Token, Url, asked, changed
from moonlatch.cli.output import CommandError, Json, say, show_table, write_json
from moonlatch.clock import HOUR_MS, now_ms, utc_time

app = typer.Typer(help="Webhook endpoints, and what became of their deliveries.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", help="Id of the project.")]
Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT_ID", help="Its id, as `webhooks list` shows it.")]
_HINTS = {404: "Is the id right, and does it belong to the token's account?"}


@app.command("list")
def list_endpoints(project: Project, *, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """List a project's webhook endpoints, oldest first."""
    reply = asked(url, f"/projects/{_path(project)}/endpoints", token, _HINTS)
    if as_json:
        write_json(reply["endpoints"])
        return
    show_table(
        ["name", "kind", "url", "state", "id"],
        [[each["name"], each["kind"], each["url"], _state(each), each["id"]] for each in reply["endpoints"]],
    )


@app.command("create")
def create(
    project: Project,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="URL that is to be called.")],
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="What people call it.")] = "webhook",
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="A kind of event, as user.blacklisted; may be given several times."),
    ] = None,
    executions: Annotated[str, typer.Option(metavar="HOW", help="Starts: none, each or counts.")] = "none",
    for_scripts: Annotated[
        bool, typer.Option("--for-scripts", help="No events at all: only what scripts send or ask by name.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Create a webhook endpoint, whose secret is shown only now.

    Without --event it gets every event of the project.
    """
    if for_scripts and (event or executions != "none"):
        raise CommandError("--for-scripts is without events", "Leave --event and --executions out, or --for-scripts.")
    events = [] if for_scripts else event or None
    body = {"url": address, "name": name, "events": events, "executions": executions}
    reply = changed(url, f"/projects/{_path(project)}/endpoints", token, body, _HINTS)
    if as_json:
        write_json({"endpoint": reply["endpoint"], "secret": reply["secret"]})
        return
    say(f"A new endpoint (id {reply['endpoint']['id']}). Its secret, shown only now:\n\n    {reply['secret']}\n")


@app.command("test")
def send_test(endpoint: Endpoint, *, url: Url = DEFAULT_URL, token: Token = "", as_json: Json = False) -> None:
    """Send a test; `webhooks deliveries` tells how it went."""
    reply = changed(url, f"/endpoints/{_path(endpoint)}/test", token, {}, _HINTS)
    if as_json:
        write_json(reply["delivery"])
        return
    say(f"A test is on its way (id {reply['delivery']['id']}).")


@app.command("enable")
def enable(endpoint: Endpoint, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Switch an endpoint on, again after its receiver was mended."""
    changed(url, f"/endpoints/{_path(endpoint)}/edit", token, {"enabled": True}, _HINTS)
    say("The endpoint is on. `webhooks replay --failed-hours` sends what was missed.")


@app.command("remove")
def remove(endpoint: Endpoint, *, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Remove an endpoint with its log, and with what waits for it."""
    changed(url, f"/endpoints/{_path(endpoint)}/remove", token, {}, _HINTS)
    say("The endpoint is removed.")


@app.command("deliveries")
def deliveries(
    endpoint: Endpoint,
    *,
    state: Annotated[str, typer.Option(metavar="STATE", help="waiting, delivered or failed; all without.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many, the newest.")] = 20,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """List an endpoint's deliveries, the newest first."""
    reply = asked(url, f"/endpoints/{_path(endpoint)}/deliveries?limit={limit}&state={quote(state)}", token, _HINTS)
    if as_json:
        write_json(reply["deliveries"])
        return
    show_table(
        ["kind", "made", "state", "attempts", "id"],
        [
            [each["kind"], utc_time(each["created_at"]), each["state"], str(each["attempts"]), each["id"]]
            for each in reply["deliveries"]
        ],
    )


@app.command("replay")
def replay(
    endpoint: Endpoint,
    *,
    delivery: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A delivery to send again; may be given several times.")
    ] = None,
    failed_hours: Annotated[
        int | None, typer.Option(metavar="HOURS", min=1, max=720, help="All that were given up in so many hours.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Send deliveries again, under the same ids."""
    if (delivery is None) == (failed_hours is None):
        raise CommandError("say what to send again", "Either --delivery ID, or --failed-hours HOURS.")
    body: dict[str, Any] = {"deliveries": delivery}
    if failed_hours is not None:
        body = {"failed_since": now_ms() - failed_hours * HOUR_MS}
    reply = changed(url, f"/endpoints/{_path(endpoint)}/replay", token, body, _HINTS)
    say(f"{reply['replayed']} deliveries are sent again.")


def _state(endpoint: Envelope) -> str:
    if not endpoint["enabled"]:
        return f"off: {endpoint['disabled_because'] or 'switched off'}"
    if endpoint["failing_since"] is not None:
        return f"failing since {utc_time(endpoint['failing_since'])}"
    return "on"


def _path(name: str) -> str:
    return quote(name, safe="")
