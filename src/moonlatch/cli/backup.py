"""`moonlatch backup`: an installation in one file, while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from moonlatch import __version__
from moonlatch.cli.output import CommandError, DataFolder, Json, remark, say, shown, write_json
from moonlatch.cli.passphrases import PASSPHRASE_VARIABLE, passphrase
from moonlatch.cli.scratch import scratch
from moonlatch.clock import now_ms
from moonlatch.master_key import MasterKeySource
from moonlatch.private_files import copy_private

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there yet.")]
Recipients = Annotated[
    list[str] | None,
    typer.Option(
        "--recipient",
        metavar="RECIPIENT",
        help="Encrypt it to this recipient of age (age1...) or SSH key; may be repeated.",
    ),
]
WithPassphrase = Annotated[
    bool, typer.Option("--passphrase", help=f"Encrypt it to a passphrase, asked for or in {PASSPHRASE_VARIABLE}.")
]

ENCRYPTED = "It is encrypted: keep what opens it elsewhere than the file, or it is worth nothing."

WARNING = (
    "The file contains the master key and your customers' keys, which it opens: whoever has it can forge heartbeats and use the keys. "
    "Keep it where only you can read it, encrypted if it leaves your machines."
)

ELSEWHERE = "The database is PostgreSQL's and not in the file: save it with `pg_dump --format=custom`."


def backup(
    file: BackupFile,
    recipients: Recipients = None,
    with_passphrase: WithPassphrase = False,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Save database, master key and settings file in one archive.

    Works while the server runs. The archive is encrypted if you say to whom.
    """
    from moonlatch.age import AgeError
    from moonlatch.config.loading import load_with_origins
    from moonlatch.storage.archive import DATABASE, ArchiveError, Manifest, appearing_whole, member_of, write_archive
    from moonlatch.storage.interface import StorageError
    from moonlatch.storage.sqlite.copying import schema_of_sound

    loaded = load_with_origins({"data_dir": data})
    folder, master_key = loaded.settings.data_dir, loaded.settings.master_key
    has_database = not loaded.settings.database_url.get_secret_value()
    if file.exists():
        raise CommandError(f"{shown(file)} is there already", "Give the new backup a name of its own.")
    encrypt = _encryption(recipients or [], with_passphrase=with_passphrase)
    # Beside the target: there must be room for it there anyway. What is to be encrypted does not get there in the clear.
    beside = file.absolute().parent if encrypt is None or not folder.exists() else folder
    try:
        with scratch(".moonlatch-backup-", beside) as copies:
            files = _collect(master_key, loaded.file, copies, has_database=has_database)
            manifest = Manifest(
                moonlatch=__version__,
                created_at=now_ms(),
                database="sqlite" if has_database else "postgresql",
                schema_version=schema_of_sound(files[DATABASE]) if has_database else 0,
                has_master_key=master_key.is_in_folder,
                members={name: member_of(path) for name, path in files.items()},
            )
            if encrypt is None:
                write_archive(file.absolute(), manifest, files)
            else:
                archive = copies / "archive"
                write_archive(archive, manifest, files)
                with appearing_whole(file.absolute()) as written:
                    encrypt(archive, written)
    except (AgeError, ArchiveError, StorageError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or file}: {error.strerror or error}", "Nothing was written.") from None
    if not master_key.is_in_folder:
        remark(
            f"The master key is {master_key.place}, and not in the file: without it a backup is worth nothing.",
            "yellow",
        )
    elif encrypt is None:
        remark(WARNING, "yellow")
    if encrypt is not None:
        remark(ENCRYPTED, "yellow")
    if not has_database:
        remark(ELSEWHERE, "yellow")
    if as_json:
        write_json({"file": str(file), "bytes": file.stat().st_size, "members": list(manifest.members)})
        return
    checked = (
        "It was read back and is sound." if encrypt is None else "It was read back, sound, before it was encrypted."
    )
    say(f"{shown(file)} ({file.stat().st_size:,} bytes) holds {', '.join(manifest.members)}. {checked}")


def _encryption(recipients: list[str], *, with_passphrase: bool) -> Callable[[Path, Path], None] | None:
    """What encrypts one file into another, None where nothing is to. Raises CommandError, before anything is written."""
    from moonlatch import age

    if recipients and with_passphrase:
        raise CommandError(
            "a file is encrypted to recipients or to a passphrase, not to both", "Leave one of them out."
        )
    if recipients:
        return partial(age.encrypt_to, recipients)
    if with_passphrase:
        return partial(age.encrypt_with, passphrase(is_new=True))
    return None


def _collect(source: MasterKeySource, settings_file: Path, copies: Path, *, has_database: bool) -> dict[str, Path]:
    """Copies of what belongs into the archive. Raises CommandError, StorageError and OSError."""
    from moonlatch.storage.archive import DATABASE, MASTER_KEY, SETTINGS
    from moonlatch.storage.sqlite.copying import copy_database

    folder = source.data_dir
    database, master_key = folder / DATABASE, folder / MASTER_KEY
    if has_database and not database.exists():
        raise CommandError(
            f"there is no Moonlatch data in {shown(folder)}",
            "Name the data folder with --data DIR, or start the server first.",
        )
    if not source.exists:
        raise CommandError(
            f"{shown(master_key)} is missing",
            "Without it a backup is worth nothing: put it back, or start the server first.",
        )
    files = {}
    keys = master_key.read_bytes() if source.is_in_folder else b""
    if has_database:
        copy_database(database, copies / DATABASE)
        files[DATABASE] = copies / DATABASE
    if source.is_in_folder:
        copy_private(master_key, copies / MASTER_KEY)
        if (copies / MASTER_KEY).read_bytes() != keys:  # the copied data may need one that is gone by now
            raise CommandError("the master keys were changed meanwhile", "Nothing was written: run it again.")
        files[MASTER_KEY] = copies / MASTER_KEY
    if settings_file.exists():
        copy_private(settings_file, copies / SETTINGS)
        files[SETTINGS] = copies / SETTINGS
    return files
