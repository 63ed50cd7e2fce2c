"""`moonlatch migrate`: brings the database's schema up to date."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from moonlatch.cli.output import CommandError, DataFolder, Json, say, write_json

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="PostgreSQL database; without it the setting database_url, which other users of the machine cannot see.",
    ),
]


def migrate(database_url: DatabaseUrl = None, data: DataFolder = None, as_json: Json = False) -> None:
    """Bring the database's schema up to date.

    May be run from many places at once, and again.
    """
    from moonlatch.cli.data_folder import storage_hint
    from moonlatch.config import load_settings
    from moonlatch.storage.engines import migrate_database
    from moonlatch.storage.interface import StorageError

    settings = load_settings({"data_dir": data, "database_url": database_url})
    try:
        applied, version = asyncio.run(migrate_database(settings))
    except StorageError as error:
        raise CommandError(str(error), storage_hint(settings, error)) from None
    if as_json:
        write_json({"applied": [f"{one.version:04}_{one.name}" for one in applied], "version": version})
        return
    for one in applied:
        say(f"Applied {one.version:04} ({one.name}).")
    say(f"The schema is up to date: version {version}.")
