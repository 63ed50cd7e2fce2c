"""`moonlatch transfer`: moves an installation from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from moonlatch.cli.output import CommandError, Json, remarks, say, show_table, shown, write_json

SourceFolder = Annotated[
    Path, typer.Argument(metavar="SQLITE_DIR", help="Data folder of the installation; its server must be stopped.")
]
TargetUrl = Annotated[
    str,
    typer.Argument(
        metavar="POSTGRES_URL",
        envvar="MOONLATCH_DATABASE_URL",
        help="Empty database, like postgresql://USER:PASSWORD@HOST:PORT/DATABASE; better given by the variable.",
    ),
]


def transfer(source: SourceFolder, target: TargetUrl, as_json: Json = False) -> None:
    """Copy everything from SQLite into an empty PostgreSQL.

    All or nothing; the source is left as it is.
    """
    from moonlatch.app import FolderInUseError, data_folder_locked
    from moonlatch.config import load_settings
    from moonlatch.master_key import MASTER_KEY_NAME
    from moonlatch.storage.interface import StorageError
    from moonlatch.storage.transfer import Table, TransferError
    from moonlatch.storage.transfer import transfer as copy_everything

    settings = load_settings({"data_dir": source, "database_url": target})
    if not settings.database_file.exists():
        raise CommandError(f"there is no Moonlatch data in {shown(source)}")
    screen = remarks()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with (
            data_folder_locked(source),
            Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress,
        ):
            bars: dict[str, int] = {}

            def told(table: Table, steps: int) -> None:
                bar = bars.get(table.name)
                if bar is None:
                    bar = bars[table.name] = progress.add_task(table.name, total=2 * table.rows)
                progress.update(bar, completed=steps)  # type: ignore[arg-type]

            tables = asyncio.run(copy_everything(settings.database_file, target, told))
    except FolderInUseError as error:
        raise CommandError(str(error), "Stop it first: what it writes from now on would be lost.") from None
    except TransferError as error:
        raise CommandError(str(error), "Nothing was changed in either of them.") from None
    except StorageError as error:
        raise CommandError(str(error)) from None
    if as_json:
        write_json([{"table": table.name, "rows": table.rows, "checksum": table.hash.hexdigest()} for table in tables])
        return
    show_table(
        ["table", "rows", "checksum"], [[one.name, f"{one.rows:,}", one.hash.hexdigest()[:16]] for one in tables]
    )
    say(
        f"""
Every row was read back from PostgreSQL and is as it was. {shown(source)} was not changed.

The master key is not in a database. Keep {shown(source / MASTER_KEY_NAME)} in the data folder of every server that uses the new
one (mode 0600): without it no published script can start. Then set, for each of them,

    MOONLATCH_DATABASE_URL=postgresql://...

or `database_url` in its moonlatch.toml, and start it."""
    )
