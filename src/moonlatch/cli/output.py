"""How commands talk: results to standard output, remarks and errors to standard error, JSON on request."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 240  # where nobody looks, one row is one line

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data folder; without it the setting data_dir, ./data.")
]


class CommandError(Exception):
    """The command cannot do what it should, for a reason that its caller can mend."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(path: Path) -> str:
    """A path as a shell takes it, so that one with spaces can be pasted."""
    return shlex.quote(str(path))


def own_command(*arguments: str, data: Path | None = None) -> str:
    """A command of this program that can be pasted into any terminal: how it was called, each part quoted for the shell.

    `data` is the data folder that the command is to work on.
    """
    folder = [] if data is None else ["--data", str(data.absolute())]
    return shlex.join([*_own_program(), *arguments, *folder])


def _own_program() -> list[str]:
    called = Path(sys.argv[0])
    if called.name != "moonlatch":
        return [sys.executable, "-m", "moonlatch"]
    found = shutil.which("moonlatch")
    return ["moonlatch" if found is not None and Path(found).samefile(called) else str(called.absolute())]


def console() -> Console:
    """Standard output; made anew each time, because tests and pipes replace it."""
    return Console(highlight=False)


def remarks() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print to standard output as it is: neither wrapped nor read as markup, so that it can be pasted."""
    console().print(Text(text), soft_wrap=True)


def remark(text: str, style: str = "") -> None:
    """Print to standard error as it is."""
    remarks().print(Text(text, style=style), soft_wrap=True)


def show_error(message: str, hint: str = "") -> None:
    """Print an error, and what to do about it, to standard error."""
    remarks().print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    if hint:
        remark(hint, "dim")


def write_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_table(headings: list[str], rows: list[list[str]], style_of_first: str = "bold") -> None:
    """Print rows in columns; long cells are folded, never cut."""
    target = console()
    if not target.is_terminal:
        target.width = _PIPE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, heading in enumerate(headings):
        table.add_column(heading, style=style_of_first if number == 0 else "", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)


def read_script(path: Path) -> bytes:
    """The bytes of a script file. Raises CommandError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{shown(path)} cannot be read: {error.strerror}") from None
