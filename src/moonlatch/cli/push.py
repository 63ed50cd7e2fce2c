"""`moonlatch push`: uploads a script to a server over its HTTP API, as any other client would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from moonlatch.bundler.bundle import Bundle
from moonlatch.cli.calling import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    DEFAULT_URL,
    Envelope,
    Token,
    Url,
    address,
    envelope,
    got,
    reaching,
    refusal,
    require_token,
)
from moonlatch.cli.check import what_cannot_be_sent
from moonlatch.cli.choices import EngineName, Profile, Target
from moonlatch.cli.folder import Entry, FileOrFolder, source_of
from moonlatch.cli.output import CommandError, Json, remark, remarks, say, shown, write_json
from moonlatch.cli.steps import percentage, steps_of
from moonlatch.clock import utc_time

_CHUNK_BYTES = 64 * 1024
STEP_MINUTES = 60
"""Of the steps of a rollout that do not say their own."""

_HINTS = {
    404: "Is the script's id right, and does the script belong to the token's account?",
    413: "The script is too large for the account's tier, or for the server's management.max_body_bytes.",
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send it, and by whose right."""

    url: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How a text is to be published: fields of the update's body, those that are None left out, and its query."""

    options: dict[str, Any]
    channel: str | None = None
    is_dry_run: bool = False


def push(
    file: FileOrFolder,
    *,
    script: Annotated[str, typer.Option(metavar="ID", help="Id of the script to update.", show_default=False)],
    entry: Entry = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    profile: Annotated[
        Profile | None, typer.Option(help="How this build is protected; without it as the script is set.")
    ] = None,
    target: Annotated[
        Target | None, typer.Option(help="Language of this build; without it as the script is set.")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="What protects this build; without it as the script is set.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What people call this build, as 1.4.2.", show_default=False)
    ] = None,
    notes: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What is new in this build.", show_default=False)
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose keys are given it; without it everybody is, as with stable.", show_default=False
        ),
    ] = None,
    rollout: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT,...",
            help="Give it to a part of the keys first, as 5,25,100 or 5:30,25,100.",
            show_default=False,
        ),
    ] = None,
    publish_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Publish it then, as 2027-01-15T18:00Z.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have it protected, and publish nothing; it costs nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upload a script: the server protects and publishes it.

    A folder of modules is made one script first. Exit status 1 when it refuses, and tells why.
    """
    require_token(token)
    release = Release(
        options={
            "profile": profile,
            "target": target,
            "engine": engine,
            "label": label,
            "notes": notes,
            "steps": None if rollout is None else steps_of(rollout, STEP_MINUTES),
            "publish_at": None if publish_at is None else _moment(publish_at),
        },
        channel=channel,
        is_dry_run=dry_run,
    )
    server = Server(url, token)
    text, bundled = text_of(file, entry)
    before = None if as_json else current_build(server, script)
    status, reply = upload(server, script, text, release, file.name)
    if as_json:
        write_json(reply)
    elif reply.get("success") is True:
        tell(reply, release, shown(file), before, bundled)
    if reply.get("success") is not True:
        if as_json:
            raise typer.Exit(1)
        raise refused(status, reply.get("error") or {}, file, bundled)


def text_of(file: Path, entry: str | None) -> tuple[str, Bundle | None]:
    """The script as it is sent, and of a folder how it was put together. Raises CommandError."""
    source, bundled = source_of(file, entry)
    for warning in [] if bundled is None else bundled.warnings:
        remark(f"warning: {warning}", "yellow")
    unsendable = what_cannot_be_sent(source)
    if unsendable is not None:
        hint = f"{unsendable.hint} Nothing was sent." if unsendable.hint else "Nothing was sent."
        raise CommandError(f"{file}:{unsendable.line}: {unsendable.message}", hint)
    return source.decode(), bundled


def _moment(text: str) -> int:
    """A time in Unix milliseconds. Raises CommandError for one without a zone: nobody's clock is guessed at."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is not a time", "Write it like 2027-01-15T18:00Z, or with +02:00.") from None
    if moment.tzinfo is None:
        raise CommandError(f"{text!r} does not say in which zone", "Add Z for UTC, or an offset like +02:00.")
    return round(moment.timestamp() * 1_000)


def current_build(server: Server, script: str) -> Envelope | None:
    """The build to compare with; None where there is none, or the token may not see it."""
    status, reply = got(address(server.url, "scripts", script, "builds"), server.token)
    if status != HTTPStatus.OK:
        return None
    return next((build for build in reply.get("builds", []) if build["current"]), None)


def tell(reply: Envelope, release: Release, name: str, before: Envelope | None, bundled: Bundle | None) -> None:
    """Say what was published, for whom, and what has changed since the current build."""
    for warning in reply.get("warnings", []):
        remark(f"warning: {warning if bundled is None else bundled.in_files(warning)}", "yellow")
    build, options = reply.get("build"), release.options
    if release.is_dry_run:
        say(f"{name} would be published as build {build}. Nothing was.")
    elif options.get("publish_at") is not None:
        say(f"{name} is build {build}, and published at {utc_time(options['publish_at'])} UTC.")
    elif options.get("steps"):
        share = percentage(options["steps"][0]["basis_points"])
        say(f"Published {name} as build {build}, to {share} of the keys. `rollout halt` takes it back.")
    elif release.channel is not None:
        say(f"Published {name} as build {build}, to the keys on {release.channel}.")
    else:
        say(f"Published {name} as build {build}.")
    shown_counts = [
        f"source: {_count(reply, before, 'source_lines', 'lines')}, {_count(reply, before, 'source_bytes', 'bytes')}",
        f"protected: {_count(reply, before, 'payload_bytes', 'bytes')}",
    ]
    readable = reply.get("readable", [])
    if readable:
        shown_counts.append(f"readable for their speed: {len(readable)} functions or their loops")
    remark("; ".join(shown_counts), "dim")


def upload(server: Server, script: str, text: str, release: Release, name: str) -> tuple[int, Envelope]:
    """Status and JSON of the answer. Raises CommandError when the server cannot be reached or is none of ours."""
    import httpx

    query = {"channel": release.channel, "dry_run": "true" if release.is_dry_run else None}
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items() if value is not None)
    url = address(server.url, "scripts", script, "update") + (f"?{asked}" if asked else "")
    given = {key: choice for key, choice in release.options.items() if choice is not None}
    body = json.dumps({"script": text, **given}).encode()
    columns = (
        SpinnerColumn(finished_text="[green]*"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
    )
    screen = remarks()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(f"uploading {name}", total=len(body))

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(body), _CHUNK_BYTES):
                chunk = body[start : start + _CHUNK_BYTES]
                yield chunk
                progress.advance(task, len(chunk))
            progress.update(task, description=f"checking and protecting {name}", total=None)

        headers = {"token": server.token, "Content-Type": "application/json", "Content-Length": str(len(body))}
        with reaching(url):
            timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
            answer = httpx.post(url, content=chunks(), headers=headers, timeout=timeout)
    return answer.status_code, envelope(answer)


def refused(status: int, error: Envelope, file: Path, bundled: Bundle | None) -> CommandError:
    """What the server's error object says, for people."""
    output = str(error.get("parser_output") or "").splitlines()
    details = [
        # Luau calls every chunk "script"; here the file's own name leads to the place.
        *(
            str(file) + line.removeprefix("script") if bundled is None else str(file / bundled.in_files(line))
            for line in output
        ),
        *(f"hint: {line}" for line in str(error.get("hint") or "").splitlines()),
        *(_luraph_line(one) for one in error.get("luraph_errors", [])),
    ]
    return refusal(f"{shown(file)} was not published", status, error, details=details, hint=_HINTS.get(status, ""))


def _luraph_line(error: Envelope) -> str:
    param = error.get("param")
    return f"{param}: {error.get('message')}" if param else str(error.get("message"))


def _count(reply: Envelope, before: Envelope | None, field: str, unit: str) -> str:
    """A number of the new build, with its difference to the current one's: `180 lines (+7)`."""
    number = reply.get(field)
    if number is None:  # an older server
        return f"? {unit}"
    earlier = None if before is None else before.get(field)
    return f"{number:,} {unit}" + ("" if earlier is None else f" ({number - earlier:+,})")
