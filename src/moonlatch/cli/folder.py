"""A script that is a file, or a folder of modules that becomes one; and `moonlatch bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moonlatch.bundler.bundle import Bundle, bundle
from moonlatch.bundler.faults import BundleError
from moonlatch.cli.check import what_cannot_be_sent
from moonlatch.cli.output import CommandError, Json, read_script, remark, say, shown, write_json

MAX_FILE_BYTES = 64 * 1024 * 1024

FileOrFolder = Annotated[
    Path, typer.Argument(metavar="FILE", help="The script, or a folder of modules.", show_default=False)
]
Entry = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Of a folder: the file that is the script; main or init.", show_default=False),
]


def bundle_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of modules.", show_default=False)],
    *,
    entry: Entry = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Make one script of a folder of modules.

    Without --output it is printed.
    """
    bundled = bundled_of(folder, entry)
    text = bundled.text.decode("utf-8", "surrogateescape")
    if output is not None:
        try:
            output.write_bytes(bundled.text)
        except OSError as error:
            raise CommandError(f"{shown(output)} cannot be written: {error.strerror}") from None
    for warning in bundled.warnings:
        remark(f"warning: {warning}", "yellow")
    if as_json:
        write_json({"entry": bundled.entry, "files": bundled.files, "warnings": bundled.warnings, "text": text})
    elif output is None:
        typer.echo(bundled.text, nl=False)
    else:
        say(f"{shown(output)} is {len(bundled.files)} modules of {shown(folder)}.")


def source_of(path: Path, entry: str | None) -> tuple[bytes, Bundle | None]:
    """What is to be uploaded, and of a folder how it was put together. Raises CommandError."""
    if path.is_dir():
        bundled = bundled_of(path, entry)
        return bundled.text, bundled
    if entry is not None:
        raise CommandError(f"{shown(path)} is a file", "--entry names the script of a folder.")
    return read_script(path), None


def bundled_of(folder: Path, entry: str | None) -> Bundle:
    """A folder as one script. Raises CommandError with the place of the fault."""
    if not folder.is_dir():
        raise CommandError(f"{shown(folder)} is not a folder")
    root = folder.resolve()

    def read(name: str) -> bytes | None:
        path = root / name
        try:
            # A link may lead anywhere: what is uploaded is what is in the folder.
            if not path.resolve().is_relative_to(root) or not path.is_file():
                return None
            if path.stat().st_size > MAX_FILE_BYTES:
                raise CommandError(f"{shown(path)} has more than {MAX_FILE_BYTES:,} bytes")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise CommandError(f"{name!r} cannot be read: {error}") from None
        if name.endswith((".lua", ".luau")) and data and (fault := what_cannot_be_sent(data)) is not None:
            raise CommandError(f"{folder / name}:{fault.line}: {fault.message}", fault.hint)
        return data

    try:
        return bundle(read, None if entry is None else Path(entry).as_posix().removeprefix("./"))
    except BundleError as error:
        raise CommandError(
            f"{folder / error.file if error.file else folder}{_line(error)}: {error.message}", error.hint
        ) from None


def _line(error: BundleError) -> str:
    return f":{error.line}" if error.line else ""
