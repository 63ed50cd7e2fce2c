"""The command line: one command per module, put together here. Faults that people can mend are told without a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from moonlatch import __version__
from moonlatch.cli import (
    accounts,
    backup,
    builds,
    channels,
    check,
    checkpoints,
    config,
    discord,
    errors,
    explain,
    folder,
    keys,
    licence,
    members,
    migrate,
    protect,
    public_key,
    push,
    remotes,
    restore,
    rollout,
    rotate_loader,
    serve,
    tokens,
    trace,
    transfer,
    trial,
    variables,
    watch,
    webhooks,
)
from moonlatch.cli.output import CommandError, show_error
from moonlatch.config import InvalidSettingsError
from moonlatch.extras import MissingExtraError

app = typer.Typer(
    name="moonlatch",
    help="Moonlatch licenses, protects and delivers Lua and Luau scripts.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("try")(trial.try_)
app.add_typer(accounts.app, name="accounts")
app.add_typer(tokens.app, name="tokens")
app.add_typer(members.app, name="members")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(variables.app, name="variables")
app.add_typer(remotes.app, name="remotes")
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(discord.app, name="discord")
app.command("check")(check.check)
app.command("protect")(protect.protect)
app.command("bundle")(folder.bundle_)
app.command("push")(push.push)
app.command("watch")(watch.watch)
app.command("builds")(builds.builds)
app.command("rollback")(builds.rollback)
app.command("yank")(builds.yank)
app.add_typer(rollout.app, name="rollout")
app.add_typer(errors.app, name="errors")
app.command("explain")(explain.explain)
app.command("trace")(trace.trace)
app.add_typer(channels.app, name="channels")
app.command("pin")(channels.pin)
app.command("rotate-loader")(rotate_loader.rotate_loader)
app.command("public-key")(public_key.public_key)
app.command("licence")(licence.licence)
app.add_typer(keys.app, name="keys")
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("migrate")(migrate.migrate)
app.command("transfer")(transfer.transfer)
app.command("config")(config.config)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"moonlatch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


@functools.cache
def _command() -> Callable[..., Any]:
    # Typer reads all signatures anew at each call of `app`.
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. Ends the process: status 0, 1 when it failed, 2 when it was called wrongly."""
    try:
        _command()(args=None if arguments is None else list(arguments), prog_name="moonlatch")
    except CommandError as error:
        show_error(error.message, error.hint)
    except (InvalidSettingsError, MissingExtraError) as error:
        show_error(str(error))
    sys.exit(1)
