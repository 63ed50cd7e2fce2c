"""`moonlatch restore`: a data folder from a backup, checked before anything of it has its name."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moonlatch.cli.output import CommandError, Json, own_command, remark, say, shown, write_json
from moonlatch.cli.passphrases import passphrase
from moonlatch.cli.scratch import scratch
from moonlatch.clock import utc_day

if TYPE_CHECKING:
    from moonlatch.storage.archive import Archive

BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
NewFolder = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data folder to make; it must be empty, or not there yet.")
]
Identity = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        metavar="FILE",
        help="What opens a backup that was encrypted to a recipient: a file of age-keygen's, or an SSH private key.",
        show_default=False,
    ),
]
POSTGRESQL = (
    "The database is not in this backup: it was in PostgreSQL. Bring that back with pg_restore, and let the setting "
    "database_url name it before you start the server."
)
_UNFINISHED = ".restoring"


def restore(file: BackupFile, data: NewFolder, identity: Identity = None, as_json: Json = False) -> None:
    """Make a data folder from a backup.

    Refuses a folder that holds anything, and a file that is damaged. The passphrase of an encrypted one is asked for.
    """
    from moonlatch.age import AgeError
    from moonlatch.storage.archive import ArchiveError, open_archive
    from moonlatch.storage.interface import StorageError

    try:
        with _claimed(data), _in_the_clear(file, identity, data) as clear, open_archive(clear) as archive:
            counts = _restore(archive, data)
    except (AgeError, ArchiveError, StorageError, ValueError) as error:
        raise CommandError(str(error), "Nothing was restored.") from None
    except OSError as error:
        raise CommandError(f"{error.filename or data}: {error.strerror or error}", "Nothing was restored.") from None
    manifest = archive.manifest
    if as_json:
        write_json({"created_at": manifest.created_at, "moonlatch": manifest.moonlatch, **counts})
        return
    say(f"{shown(data)} is as it was on {utc_day(manifest.created_at)} with Moonlatch {manifest.moonlatch}.")
    held = "".join(f", {count} {noun.removesuffix('s') if count == 1 else noun}" for noun, count in counts.items())
    say(f"Restored: {', '.join(manifest.members)}{held}.")
    if not manifest.has_master_key:
        remark("The master key is not in this backup: give the server the one that it had.", "yellow")
    if manifest.database == "postgresql":
        remark(POSTGRESQL, "yellow")
    remark(
        "Settings that came from environment variables are not in a backup; this shows what holds now:\n"
        f"    {own_command('config', data=data)}"
    )


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """With the folder, made where it is missing, and with no server on it meanwhile. Raises CommandError where it holds anything."""
    from moonlatch.app import LOCK_NAME, FolderInUseError, data_folder_locked
    from moonlatch.cli.data_folder import made_folder

    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{shown(folder)} is not a folder")
    with made_folder(folder):
        is_locked = (folder / LOCK_NAME).exists()
        if not is_locked:
            _refuse_used(folder)
        try:
            with data_folder_locked(folder):
                _refuse_used(folder)
                try:
                    yield
                finally:
                    if not is_locked:  # by whoever restores, who may be another user than the server's
                        (folder / LOCK_NAME).unlink(missing_ok=True)
        except FolderInUseError:
            raise CommandError(
                f"a server is running with the data folder {shown(folder)}, or a backup is being restored into it",
                "Stop it, and restore into another folder.",
            ) from None


def _refuse_used(folder: Path) -> None:
    """Raises CommandError."""
    from moonlatch.app import LOCK_NAME

    if {path.name for path in folder.iterdir()} - {LOCK_NAME, _UNFINISHED}:
        raise CommandError(f"{shown(folder)} is not empty", "Restore into a new folder; then start the server with it.")


@contextlib.contextmanager
def _in_the_clear(file: Path, identity: Path | None, folder: Path) -> Iterator[Path]:
    """The archive that a file is or, decrypted for the block, holds. Raises CommandError, AgeError and OSError."""
    from moonlatch import age

    if not age.is_encrypted(file):
        if identity is not None:
            raise CommandError(f"{shown(file)} is not encrypted", "Leave --identity out.")
        yield file
        return
    # The disk that must have room for it.
    with scratch(".moonlatch-restore-", folder.absolute().parent) as decrypted:
        clear = decrypted / file.name
        if identity is not None:
            age.decrypt_by(identity, file, clear)
        elif age.has_passphrase(file):
            age.decrypt_with(passphrase(is_new=False), file, clear)
        else:
            raise CommandError(f"{shown(file)} is encrypted to a recipient", "Name what opens it with --identity FILE.")
        yield clear


def _restore(archive: Archive, folder: Path) -> dict[str, int]:
    """Put everything into place once all of it is known to be sound; gives what the database holds."""
    from moonlatch.storage.archive import DATABASE

    unfinished = folder / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed
    try:
        unfinished.mkdir(mode=0o700)
        counts = _unpack(archive, unfinished)
        _refuse_used(folder)  # commands are not kept out
        # The database last: a folder without one is not an installation yet, whatever interrupts this.
        for name in sorted(archive.manifest.members, key=DATABASE.__eq__):
            (unfinished / name).rename(folder / name)
        unfinished.rmdir()
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return counts


def _unpack(archive: Archive, target: Path) -> dict[str, int]:
    """Extract and check every member. Raises ArchiveError, StorageError, OSError, and ValueError for a wrong master key."""
    from moonlatch.master_key import MasterKeySource
    from moonlatch.storage.archive import DATABASE, MASTER_KEY, ArchiveError
    from moonlatch.storage.migration import shipped_migrations
    from moonlatch.storage.sqlite.copying import count_nouns, schema_of_sound

    manifest = archive.manifest
    wanted = {MASTER_KEY} if manifest.has_master_key else set()
    if manifest.database == "sqlite":
        wanted.add(DATABASE)
    if not wanted <= manifest.members.keys():
        raise ArchiveError(f"the backup lacks {', '.join(sorted(wanted - manifest.members.keys()))}")
    needed = sum(member.bytes for member in manifest.members.values())
    if needed > shutil.disk_usage(target).free:
        raise ArchiveError(f"the backup holds {needed:,} bytes, and there is no room for them in {target.parent}")
    for name in manifest.members:
        archive.extract(name, target / name)
    if manifest.has_master_key:
        MasterKeySource(target).open(create=False)
    if DATABASE not in manifest.members:
        return {}
    version = schema_of_sound(target / DATABASE)
    if version > max(migration.version for migration in shipped_migrations("sqlite")):
        raise ArchiveError(
            f"the backup was made by a newer program (schema version {version}); restore it with Moonlatch "
            f"{manifest.moonlatch} or newer"
        )
    return count_nouns(target / DATABASE)
