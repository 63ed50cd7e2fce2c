"""`moonlatch migrate`: brings the database's schema up to date."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from moonlatch.cli.output import CommandError, DataFolder, Json, remark, remarks, say, write_json

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="PostgreSQL database; without it the setting database_url, which other users of the machine cannot see.",
    ),
]


_TOLD_ROWS = 10_000


def migrate(database_url: DatabaseUrl = None, data: DataFolder = None, as_json: Json = False) -> None:
    """Bring the database's schema up to date.

    May be run from many places at once, interrupted, and run again: it goes on where it was. Some steps need the
    master key of the data folder.
    """
    from moonlatch.cli.data_folder import storage_hint
    from moonlatch.config import load_settings
    from moonlatch.storage.engines import migrate_database
    from moonlatch.storage.interface import StorageError

    settings = load_settings({"data_dir": data, "database_url": database_url})
    screen = remarks()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
            bars: dict[str, TaskID] = {}

            def told(what: str, done: int, rows: int) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(f"sealing keys of {what}", total=rows)
                progress.update(bars[what], completed=done)
                if not screen.is_terminal and (done == rows or done % _TOLD_ROWS == 0):
                    remark(f"Sealed keys: {done:,} of {rows:,} {what}.")

            applied, version = asyncio.run(migrate_database(settings, told))
    except StorageError as error:
        raise CommandError(str(error), storage_hint(settings, error)) from None
    if as_json:
        write_json({"applied": [f"{one.version:04}_{one.name}" for one in applied], "version": version})
        return
    for one in applied:
        say(f"Applied {one.version:04} ({one.name}).")
    say(f"The schema is up to date: version {version}.")
