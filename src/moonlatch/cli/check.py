"""`moonlatch check`: what Luau, and an upload, would say about a script. Needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from moonlatch.cli.choices import Profile, Target
from moonlatch.cli.output import CommandError, Json, console, read_script, remark, say, shown, write_json
from moonlatch.obfuscator.options import PLAINEST_PROFILE, PROFILES, Options
from moonlatch.obfuscator.outcome import Failure, Protected, Rejected
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, format_diagnostic
from moonlatch.obfuscator.syntax.first_bytes import what_else_it_is, without_marks

ScriptFile = Annotated[Path, typer.Argument(metavar="FILE", help="The script.", show_default=False)]


def check(
    file: ScriptFile,
    target: Annotated[
        Target | None, typer.Option(help="Language of the build; without it the build runs wherever the script does.")
    ] = None,
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="The profile that it is meant for; without it, what every profile refuses.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a script as an upload does.

    Exit status 1 when it is invalid.
    """
    source = read_script(file)
    diagnostics, warnings = verdict(source, target, profile)
    if as_json:
        faults = [json_of(one) for one in diagnostics]
        write_json({"valid": not diagnostics, "diagnostics": faults, "warnings": warnings})
    elif diagnostics:
        show_diagnostics(source, diagnostics, str(file))
    else:
        for warning in warnings:
            remark(f"warning: {warning}", "yellow")
        say(f"{shown(file)} is valid.")
    if diagnostics:
        raise typer.Exit(1)


def verdict(source: bytes, target: Target | None, profile: Profile | None = None) -> tuple[list[Diagnostic], list[str]]:
    """Everything an upload of this script would be refused for, and what it would be warned of, whatever the profile or by that one.

    Raises CommandError when the protector itself fails.
    """
    from moonlatch.obfuscator import pipeline

    unsendable = what_cannot_be_sent(source)
    if unsendable is not None:
        return [unsendable], []
    if profile is None:
        # The cheapest passes: what makes a script invalid is found before most profiles matter.
        options = Options(target=target, client_chunk=True)
        outcome = pipeline.protect_with(source, options, 0, PROFILES[PLAINEST_PROFILE])
    else:
        outcome = pipeline.protect(source, Options(profile.value, target, client_chunk=True), 0)
    match outcome:
        case Failure():
            raise CommandError("; ".join(error.message for error in outcome.errors))
        case Rejected():
            return outcome.diagnostics, []
        case Protected():
            return [], outcome.warnings


def json_of(fault: Diagnostic) -> dict[str, int | str | None]:
    """A fault as programs get it."""
    return {"line": fault.line, "column": fault.column, "message": fault.message, "hint": fault.hint or None}


def what_cannot_be_sent(source: bytes) -> Diagnostic | None:
    """What keeps a script out of an upload before anybody has read it; None when nothing does."""
    if not source:
        return Diagnostic(1, 1, "The script is empty")
    source = without_marks(source)
    try:
        source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        byte = source[error.start]
        message = f"Byte {byte} is not UTF-8; in a string it can be written as \\{byte:03d}"
        return Diagnostic(line, column, message, what_else_it_is(source))
    return None


def show_diagnostics(source: bytes, diagnostics: list[Diagnostic], name: str) -> None:
    """Print each fault with the line it is in and a caret under the place."""
    for diagnostic in diagnostics:
        head, *excerpt = format_diagnostic(source, diagnostic, name).split("\n")
        console().print(Text(head, style="bold"), soft_wrap=True)
        for line in excerpt:
            console().print(Text(line, style="red" if line.strip() == "^" else ""), soft_wrap=True)
        if diagnostic.hint:
            console().print(Text(f"hint: {diagnostic.hint}", style="yellow"), soft_wrap=True)
