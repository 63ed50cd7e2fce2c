"""`moonlatch protect`: protects a script file without a server. The result runs by itself, outside of Moonlatch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from moonlatch.cli.check import ScriptFile, show_diagnostics
from moonlatch.cli.choices import Profile
from moonlatch.cli.output import CommandError, read_script, remark
from moonlatch.crypto import new_seed
from moonlatch.obfuscator.engines.embedded import EmbeddedEngine
from moonlatch.obfuscator.engines.interface import Failure, Rejected
from moonlatch.obfuscator.options import DEFAULT_PROFILE, Options


def protect(
    file: ScriptFile,
    profile: Annotated[Profile, typer.Option(help="How it is protected.")] = Profile(DEFAULT_PROFILE),
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same output; without it a fresh one.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="File to write; without it standard output."),
    ] = None,
) -> None:
    """Protect a script into a file of its own; exit status 1 when it is invalid."""
    source = read_script(file)
    outcome = EmbeddedEngine().protect(source, Options(profile=profile.value), new_seed() if seed is None else seed)
    if isinstance(outcome, Rejected):
        show_diagnostics(source, outcome.diagnostics, str(file))
        raise typer.Exit(1)
    if isinstance(outcome, Failure):
        raise CommandError(f"{file} could not be protected: " + "; ".join(error.message for error in outcome.errors))
    for warning in outcome.warnings:
        remark(f"warning: {warning}", "yellow")
    if output is None:
        sys.stdout.write(outcome.text + "\n")
        return
    try:
        output.write_text(outcome.text + "\n", encoding="ascii")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from None
    remark(f"{file} ({len(source):,} bytes) -> {output} ({len(outcome.text):,} bytes)", "green")
