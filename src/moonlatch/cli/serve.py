"""`moonlatch serve`: runs the server, and on the very first start shows what to try."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moonlatch.cli.output import CommandError, DataFolder, own_command, say, shown
from moonlatch.clock import utc_time
from moonlatch.config import Settings, load_settings

if TYPE_CHECKING:
    from moonlatch.app import Moonlatch
    from moonlatch.cli.first_start import Example
    from moonlatch.serving.server import CannotListenError

_FIRST_OPEN_PORT = 1024


def serve(
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address to listen on; without it the setting host, 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port to listen on; without it the setting port, 8400.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Server processes; without it the setting workers, 1. More need PostgreSQL and Redis."
        ),
    ] = None,
    data: DataFolder = None,
) -> None:
    """Run the server until Ctrl-C.

    The first start makes an account, and tells its token, a link for its owner and what to
    try: at a terminal, else in a file.
    """
    from moonlatch.serving import garbage

    with garbage.postponed():
        from moonlatch.app import FolderInUseError
        from moonlatch.cli.data_folder import made_folder, storage_hint
        from moonlatch.serving import server
        from moonlatch.serving.supervisor import ChildFailedError
        from moonlatch.storage.interface import StorageError

    settings = load_settings({"host": host, "port": port, "workers": workers, "data_dir": data})
    try:
        with made_folder(settings.data_dir):
            server.serve(settings, _welcome)
    except server.CannotListenError as error:
        raise CommandError(str(error), _where_to_listen(settings, error)) from None
    except FolderInUseError as error:
        raise CommandError(str(error), "Stop it first, or choose another folder with --data.") from None
    except ChildFailedError as error:
        raise CommandError(str(error), "No server process could start.") from None
    except StorageError as error:
        raise CommandError(str(error), storage_hint(settings, error)) from None
    except ValueError as error:  # a master key that is none
        raise CommandError(
            str(error), "Put it back from your backup, or copy it from the machine that has it."
        ) from None
    except OSError as error:
        raise CommandError(f"{error.filename or shown(settings.data_dir)}: {error.strerror or error}") from None


def _where_to_listen(settings: Settings, error: CannotListenError) -> str:
    """What to do about an address that cannot be listened on."""
    if error.port != settings.port:  # one of those for metrics alone
        return "Choose others with the setting metrics.port."
    if error.errno == errno.EADDRINUSE:
        return (
            f"Is a server running there already? Another port: `MOONLATCH_PORT={_next(error.port)} make run`, "
            f"or --port {_next(error.port)} when you call moonlatch yourself."
        )
    if error.errno == errno.EACCES and error.port < _FIRST_OPEN_PORT:
        return "Ports below 1024 are the system's: listen on a higher one, behind a proxy that has this one."
    return "Choose with --host an address of this machine, or with --port another port."


def _next(port: int) -> int:
    return port + 1 if port < 65_535 else port - 1


async def _welcome(moonlatch: Moonlatch) -> None:
    from moonlatch.cli.first_start import first_account, publish_example
    from moonlatch.operations.refusals import Refused
    from moonlatch.storage.interface import StorageError

    settings = moonlatch.settings
    url = local_url(settings)
    say(f"Moonlatch is running at {url} with its data in {shown(settings.data_dir)}. Ctrl-C stops it.")
    first = await first_account(moonlatch.world, tier=settings.default_tier)
    if first is None:
        return
    # Before anything else can fail: nobody ever sees the token and the link again.
    tell = _telling(settings)
    tell(
        f"This is the first start. The account {first.account.name!r} was created.\n\n"
        f"Choose a password for its owner by this link, good once and until {utc_time(first.link.expires_at)} UTC:"
        f"\n\n    {first.link.url}\n\n"
        f"Its API token, for programs, told only now:\n\n    {first.token}\n"
    )
    try:
        example = await publish_example(moonlatch.world, first.account)
    except (Refused, StorageError) as error:
        # Everything else works, and somebody may be using it by now.
        say(f"The example script could not be published: {error}")
    else:
        tell(instructions(settings, first.token, example, command=own_command()))
    say(f"Every call, to try in the browser: {url}/docs")


def _telling(settings: Settings) -> Callable[[str], None]:
    """How the first start tells secrets: to whoever sits at the terminal; else, as output ends up in logs, in a file of the data folder."""
    from moonlatch.cli.first_start import ACCOUNT_NAME, OWNER, write_down

    if sys.stdout.isatty():
        return lambda text: say(f"\n{text}")
    named: list[Path] = []

    def write(text: str) -> None:
        try:
            path = write_down(settings.data_dir, text)
        except OSError as error:
            say(
                f"The first start's API token and link could not be written down: {error}\n"
                f"`{own_command('members', 'link', OWNER, data=settings.data_dir)}` gives the owner another link, "
                f"`{own_command('tokens', 'create', ACCOUNT_NAME, data=settings.data_dir)}` another token."
            )
            return
        if not named:
            say(
                f"This is the first start. Its API token, the link for its owner and what to try are in {shown(path)}, "
                "which only you can read; remove it when you have them."
            )
        named.append(path)

    return write


def local_url(settings: Settings) -> str:
    """The address for calls from this machine."""
    return Settings(host=settings.host, port=settings.port).public_url


def instructions(settings: Settings, token: str, example: Example, *, command: str) -> str:
    """What to try after the first start; every line works as pasted."""
    url = local_url(settings)
    call = f'-H "token: {token}" -H "Content-Type: application/json"'
    return f"""\
An example script is published already, with a key. Your customers run it like this, in a Roblox executor or any other host:

    script_key = "{example.user_key}"
    loadstring(game:HttpGet("{settings.public_url}/loader/{example.script_id}"))()

See it run here, without a game (once `make try` has installed a Lua):

    {command} try {settings.public_url}/loader/{example.script_id} --key {example.user_key}

Look at it, make a key for somebody, see who runs it:

    curl {url}/scripts/{example.script_id} {call}
    curl {url}/projects/{example.project_id}/users {call} -d '{{"note": "my first customer", "key_days": 30}}'
    curl {url}/scripts/{example.script_id}/sessions {call} -d '{{}}'

Publish a script of your own in its place:

    echo 'print("my own script,", la_script_name)' > hello.lua
    MOONLATCH_URL={url} MOONLATCH_TOKEN={token} \\
        {command} push hello.lua --script {example.script_id}
"""
