"""`moonlatch check`: what Luau, and an upload, would say about a script. Needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from moonlatch.cli.output import CommandError, Json, console, read_script, say, shown, write_json
from moonlatch.obfuscator.options import PLAINEST_PROFILE, Options
from moonlatch.obfuscator.outcome import Failure, Rejected
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, format_diagnostic

ScriptFile = Annotated[Path, typer.Argument(metavar="FILE", help="The script.", show_default=False)]


def check(file: ScriptFile, as_json: Json = False) -> None:
    """Check a script as an upload does.

    Exit status 1 when it is invalid.
    """
    source = read_script(file)
    diagnostics = faults_in(source)
    if as_json:
        faults = [{"line": one.line, "column": one.column, "message": one.message} for one in diagnostics]
        write_json({"valid": not diagnostics, "diagnostics": faults})
    elif diagnostics:
        show_diagnostics(source, diagnostics, str(file))
    else:
        say(f"{shown(file)} is valid.")
    if diagnostics:
        raise typer.Exit(1)


def faults_in(source: bytes) -> list[Diagnostic]:
    """Everything an upload of this script would be refused for. Raises CommandError when the protector itself fails."""
    from moonlatch.obfuscator import pipeline

    unsendable = what_cannot_be_sent(source)
    if unsendable is not None:
        return [unsendable]
    # The cheapest profile: what makes a script invalid is found before any profile matters.
    outcome = pipeline.protect(source, Options(profile=PLAINEST_PROFILE, client_chunk=True), seed=0)
    if isinstance(outcome, Failure):
        raise CommandError("; ".join(error.message for error in outcome.errors))
    return outcome.diagnostics if isinstance(outcome, Rejected) else []


def what_cannot_be_sent(source: bytes) -> Diagnostic | None:
    """What keeps a script out of an upload before anybody has read it; None when nothing does."""
    if not source:
        return Diagnostic(1, 1, "The script is empty")
    try:
        source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        byte = source[error.start]
        return Diagnostic(line, column, f"Byte {byte} is not UTF-8; in a string it can be written as \\{byte:03d}")
    return None


def show_diagnostics(source: bytes, diagnostics: list[Diagnostic], name: str) -> None:
    """Print each fault with the line it is in and a caret under the place."""
    for diagnostic in diagnostics:
        head, *excerpt = format_diagnostic(source, diagnostic, name).split("\n")
        console().print(Text(head, style="bold"), soft_wrap=True)
        for line in excerpt:
            console().print(Text(line, style="red" if line.strip() == "^" else ""), soft_wrap=True)
