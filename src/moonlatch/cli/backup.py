"""`moonlatch backup`: an installation in one file, while the server runs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from moonlatch import __version__
from moonlatch.cli.output import CommandError, DataFolder, Json, remark, say, shown, write_json
from moonlatch.clock import now_ms

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there yet.")]

WARNING = (
    "The file contains the master key and your customers' keys: whoever has it can forge heartbeats and use the keys. "
    "Keep it where only you can read it, encrypted if it leaves your machines."
)

ELSEWHERE = "The database is PostgreSQL's and not in the file: save it with `pg_dump --format=custom`."


def backup(file: BackupFile, data: DataFolder = None, as_json: Json = False) -> None:
    """Save database, master key and settings file in one archive.

    Works while the server runs.
    """
    from moonlatch.config.loading import load_with_origins
    from moonlatch.storage.archive import DATABASE, ArchiveError, Manifest, member_of, write_archive
    from moonlatch.storage.interface import StorageError
    from moonlatch.storage.sqlite.copying import schema_of_sound

    loaded = load_with_origins({"data_dir": data})
    folder = loaded.settings.data_dir
    has_database = not loaded.settings.database_url.get_secret_value()
    if file.exists():
        raise CommandError(f"{shown(file)} is there already", "Give the new backup a name of its own.")
    try:
        # Beside the target: there must be room for it there anyway, and a rename needs the same disk.
        with tempfile.TemporaryDirectory(prefix=".moonlatch-backup-", dir=file.absolute().parent) as scratch:
            files = _collect(folder, loaded.file, Path(scratch), has_database=has_database)
            manifest = Manifest(
                moonlatch=__version__,
                created_at=now_ms(),
                database="sqlite" if has_database else "postgresql",
                schema_version=schema_of_sound(files[DATABASE]) if has_database else 0,
                members={name: member_of(path) for name, path in files.items()},
            )
            write_archive(file.absolute(), manifest, files)
    except (ArchiveError, StorageError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or file}: {error.strerror or error}", "Nothing was written.") from None
    remark(WARNING, "yellow")
    if not has_database:
        remark(ELSEWHERE, "yellow")
    if as_json:
        write_json({"file": str(file), "bytes": file.stat().st_size, "members": list(manifest.members)})
        return
    say(
        f"{shown(file)} ({file.stat().st_size:,} bytes) holds {', '.join(manifest.members)}. It was read back and is sound."
    )


def _collect(folder: Path, settings_file: Path, scratch: Path, *, has_database: bool) -> dict[str, Path]:
    """Copies of what belongs into the archive. Raises CommandError, StorageError and OSError."""
    from moonlatch.storage.archive import DATABASE, MASTER_KEY, SETTINGS
    from moonlatch.storage.sqlite.copying import copy_database

    database, master_key = folder / DATABASE, folder / MASTER_KEY
    if has_database and not database.exists():
        raise CommandError(
            f"there is no Moonlatch data in {shown(folder)}",
            "Name the data folder with --data DIR, or start the server first.",
        )
    if not master_key.exists():
        raise CommandError(
            f"{shown(master_key)} is missing",
            "Without it a backup is worth nothing: put it back, or start the server first.",
        )
    files = {}
    if has_database:
        copy_database(database, scratch / DATABASE)
        files[DATABASE] = scratch / DATABASE
    shutil.copyfile(master_key, scratch / MASTER_KEY)
    files[MASTER_KEY] = scratch / MASTER_KEY
    if settings_file.exists():
        shutil.copyfile(settings_file, scratch / SETTINGS)
        files[SETTINGS] = scratch / SETTINGS
    return files
