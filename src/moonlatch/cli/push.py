"""`moonlatch push`: uploads a script to a server over its HTTP API, as any other client would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from moonlatch.cli.calling import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    DEFAULT_URL,
    Envelope,
    Token,
    Url,
    envelope,
    reaching,
    refusal,
    require_token,
)
from moonlatch.cli.check import ScriptFile, what_cannot_be_sent
from moonlatch.cli.choices import EngineName, Profile, Target
from moonlatch.cli.output import CommandError, Json, read_script, remark, remarks, say, shown, write_json

_CHUNK_BYTES = 64 * 1024

_HINTS = {
    404: "Is the script's id right, and does the script belong to the token's account?",
    413: "The script is too large for the account's tier, or for the server's management.max_body_bytes.",
}


def push(
    file: ScriptFile,
    *,
    script: Annotated[str, typer.Option(metavar="ID", help="Id of the script to update.", show_default=False)],
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
    as_json: Json = False,
) -> None:
    """Upload a script: the server protects and publishes it.

    Exit status 1 when it refuses, and tells why.
    """
    require_token(token)
    asked = {"profile": profile, "target": target, "engine": engine, "label": label, "notes": notes}
    given = {name: choice for name, choice in asked.items() if choice is not None}
    body = json.dumps({"script": _text(file), **given}).encode()
    where = "" if channel is None else f"?channel={quote(channel, safe='')}"
    address = f"{url.rstrip('/')}/scripts/{quote(script, safe='')}/update{where}"
    status, reply = _upload(address, token, body, file.name)
    if as_json:
        write_json(reply)
    elif reply.get("success") is True:
        for warning in reply.get("warnings", []):
            remark(f"warning: {warning}", "yellow")
        say(f"Published {shown(file)} as build {reply.get('build')}.")
    if reply.get("success") is not True:
        if as_json:
            raise typer.Exit(1)
        raise _refusal(status, reply.get("error") or {}, file)


def _text(file: Path) -> str:
    source = read_script(file)
    unsendable = what_cannot_be_sent(source)
    if unsendable is not None:
        hint = f"{unsendable.hint} Nothing was sent." if unsendable.hint else "Nothing was sent."
        raise CommandError(f"{file}:{unsendable.line}: {unsendable.message}", hint)
    return source.decode()


def _upload(url: str, token: str, body: bytes, name: str) -> tuple[int, Envelope]:
    """Status and JSON of the answer. Raises CommandError when the server cannot be reached or is none of ours."""
    import httpx

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

        headers = {"token": token, "Content-Type": "application/json", "Content-Length": str(len(body))}
        with reaching(url):
            timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
            answer = httpx.post(url, content=chunks(), headers=headers, timeout=timeout)
    return answer.status_code, envelope(answer)


def _refusal(status: int, error: Envelope, file: Path) -> CommandError:
    """What the server's error object says, for people."""
    details = [
        # Luau calls every chunk "script"; here the file's own name leads to the place.
        *(str(file) + line.removeprefix("script") for line in str(error.get("parser_output") or "").splitlines()),
        *(f"hint: {line}" for line in str(error.get("hint") or "").splitlines()),
        *(_luraph_line(one) for one in error.get("luraph_errors", [])),
    ]
    return refusal(f"{shown(file)} was not published", status, error, details=details, hint=_HINTS.get(status, ""))


def _luraph_line(error: Envelope) -> str:
    param = error.get("param")
    return f"{param}: {error.get('message')}" if param else str(error.get("message"))
