"""`moonlatch watch`: publishes to a channel of the developer's own whenever a file is saved."""

from __future__ import annotations

import contextlib
import os
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from moonlatch.cli.calling import DEFAULT_URL, ScriptId, Token, Url, address, got, is_done, posted, require_token
from moonlatch.cli.choices import Profile
from moonlatch.cli.folder import Entry, FileOrFolder
from moonlatch.cli.output import CommandError, remark, say, show_error, shown
from moonlatch.cli.push import Release, Server, refused, tell, text_of, upload

LOOK_SECONDS = 0.5
"""Between two looks at the files; they are uploaded when two looks have seen the same."""

_MAX_FILES = 20_000
_ENDINGS = (".lua", ".luau", ".luaurc")

State = dict[str, tuple[int, int]]
"""Time of the last change (nanoseconds) and size by path."""


def watch(
    path: FileOrFolder,
    *,
    script: ScriptId,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Your own key: it is put on the channel.", show_default=False)
    ] = None,
    channel: Annotated[str, typer.Option(metavar="NAME", help="The channel that it publishes to.")] = "watch",
    entry: Entry = None,
    profile: Annotated[
        Profile | None, typer.Option(help="How these builds are protected; without it as the script is set.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Publish to a channel of your own whenever a file is saved.

    Customers are given what they were. Each save costs an obfuscation. Ends with Ctrl-C.
    """
    require_token(token)
    if channel == "stable":
        raise CommandError("stable is everybody's", "Watch with a channel of your own.")
    server, release = Server(url, token), Release(options={"profile": profile}, channel=channel)
    if key is not None:
        _require_key(server, key)
    is_on_channel = key is None
    published: State | None = None
    before = _state(path)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            if before != published:
                published = before
                is_published = _publish(server, script, path, entry, release)
                if is_published and not is_on_channel:
                    assert key is not None
                    _put_on_channel(server, script, key, channel)
                    is_on_channel = True
            before = _settled(path, before)
    remark(f"{channel} serves its last build on; `channels remove {channel}` ends it.", "dim")


def _settled(path: Path, before: State) -> State:
    """The files' state when they have changed and stay so."""
    pause = threading.Event()
    while True:
        pause.wait(LOOK_SECONDS)
        now = _state(path)
        if now != before:
            while (later := _state_after(path, pause)) != now:
                now = later
            return now


def _state_after(path: Path, pause: threading.Event) -> State:
    pause.wait(LOOK_SECONDS)
    return _state(path)


def _state(path: Path) -> State:
    """Of every file that may be part of it; folders with a dot before their name are none of it. Raises CommandError."""
    if not path.exists():
        raise CommandError(f"{shown(path)} is not there")
    if not path.is_dir():
        return _stamp(path)
    found: State = {}
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith(_ENDINGS):
                found |= _stamp(Path(folder, name))
        if len(found) > _MAX_FILES:
            raise CommandError(f"{shown(path)} has more than {_MAX_FILES:,} scripts", "Watch a folder further down.")
    return found


def _stamp(path: Path) -> State:
    try:
        status = path.stat()
    except OSError:  # an editor that writes another file in its place
        return {}
    return {str(path): (status.st_mtime_ns, status.st_size)}


def _publish(server: Server, script: str, path: Path, entry: str | None, release: Release) -> bool:
    """Upload it as it is now; what is wrong is told, and mended by the next save."""
    try:
        text, bundled = text_of(path, entry)
        status, reply = upload(server, script, text, release, path.name)
        if reply.get("success") is not True:
            raise refused(status, reply.get("error") or {}, path, bundled)
        tell(reply, release, shown(path), None, bundled)
    except CommandError as error:
        show_error(error.message, error.hint)
        return False
    return True


def _require_key(server: Server, key: str) -> None:
    """Raise CommandError for a key that is none, before anything is published."""
    status, reply = got(address(server.url, "users", key, "pins"), server.token)
    if status == HTTPStatus.NOT_FOUND:
        is_done(status, reply, "nothing was published", as_json=False)


def _put_on_channel(server: Server, script: str, key: str, channel: str) -> None:
    body = {"script": script, "channel": channel}
    status, reply = posted(address(server.url, "users", key, "pin"), server.token, body)
    is_done(status, reply, f"the key is not on {channel}", as_json=False)
    say(f"The key is on {channel}: it is given these builds from its next start on.")
