"""An installation in one file: a ZIP of the database, the master key and the settings file, with a manifest of checksums.

It is written whole or not at all and read with bounds on everything, since a file may come from anywhere. It does not know
what the members hold.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

import msgspec

from moonlatch.crypto import stream_hash

DATABASE, MASTER_KEY, SETTINGS = "moonlatch.db", "master.key", "moonlatch.toml"
MANIFEST = "manifest.json"
LARGEST_BYTES: Mapping[str, int] = {DATABASE: 2**46, MASTER_KEY: 1024, SETTINGS: 2**20}
"""The members there may be, and how large each may be."""

_MANIFEST_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024
# What the library raises for a file that is none, is damaged, is encrypted, or uses something it cannot do.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    KeyError,
    ValueError,
    OverflowError,
    msgspec.MsgspecError,
)


class ArchiveError(Exception):
    """The archive cannot be written, or is not one."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a member must be: its size, and SHA-256 in hex."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an archive says of itself. `created_at` in Unix milliseconds; `schema_version` 0 without a database."""

    format: Literal[1] = 1
    moonlatch: str
    created_at: int
    database: Literal["sqlite", "postgresql"]
    schema_version: int
    has_master_key: bool = True
    """False where the installation has its master key from elsewhere."""
    members: dict[str, Member]


def member_of(file: Path) -> Member:
    """The size and checksum of a file. Raises OSError."""
    with file.open("rb") as stream:
        return Member(file.stat().st_size, stream_hash(_chunks(stream)))


def write_archive(path: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write an archive (mode 0600), read it back, and only then let it have its name. Raises ArchiveError and OSError.

    Whatever ends this early leaves nothing under `path`; a file that is there already is left alone.
    """
    with appearing_whole(path) as written:
        descriptor = os.open(written, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
                for name, file in files.items():
                    archive.write(file, name)
            stream.flush()
            os.fsync(stream.fileno())
        with open_archive(written) as archive:
            archive.verify()


@contextlib.contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """Where to write a file that gets its name when the block is done. Raises ArchiveError where the name is taken, and OSError."""
    written = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield written
        try:
            os.link(written, path)
        except FileExistsError:
            raise ArchiveError(f"{path} is there already") from None
    finally:
        written.unlink(missing_ok=True)
    _flush_folder(path.parent)


class Archive:
    """An opened archive whose members are those of its manifest."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def verify(self) -> None:
        """Read every member and compare it with the manifest. Raises ArchiveError."""
        for name in self.manifest.members:
            self._compare(name, stream_hash(self._read(name)))

    def extract(self, name: str, target: Path) -> None:
        """Write a member into a new file (mode 0600), flushed to the disk. Raises ArchiveError and OSError."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            self._compare(name, stream_hash(_written(self._read(name), stream)))
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self, name: str) -> Iterator[bytes]:
        """A member's content; never more than the manifest says, whatever the compressed data would become."""
        left = self.manifest.members[name].bytes
        with _reading(f"{name} cannot be read from the archive"), self._archive.open(name) as stream:
            for part in _chunks(stream):
                left -= len(part)
                if left < 0:
                    break
                yield part
        if left != 0:
            raise ArchiveError(f"{name} has not the size that the manifest says")

    def _compare(self, name: str, sha256: str) -> None:
        if sha256 != self.manifest.members[name].sha256:
            raise ArchiveError(f"{name} has not the checksum that the manifest says: the archive is damaged")


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive and check its list of members, nothing else of them. Raises ArchiveError and OSError."""
    with _reading(f"{path} is not a backup of Moonlatch"):
        opened = zipfile.ZipFile(path)
    with opened as archive:
        manifest = _manifest_of(archive, path)
        sizes = [(one.filename, one.file_size) for one in archive.infolist() if one.filename != MANIFEST]
        if sorted(sizes) != sorted((name, member.bytes) for name, member in manifest.members.items()):
            raise ArchiveError(f"{path} has other members than its manifest says")
        yield Archive(archive, manifest)


@contextlib.contextmanager
def _reading(what_fails: str) -> Iterator[None]:
    """Turn what is raised for a file that is none, or is damaged, into an ArchiveError."""
    try:
        yield
    except _UNREADABLE as error:
        raise ArchiveError(f"{what_fails}: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a position that the damaged file itself names
            raise
        raise ArchiveError(f"{what_fails}: it names a place outside itself") from None


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Manifest:
    with _reading(f"{path} is not a backup of Moonlatch: its manifest cannot be read"):
        with archive.open(MANIFEST) as stream:
            content = stream.read(_MANIFEST_BYTES + 1)
        if len(content) > _MANIFEST_BYTES:
            raise ArchiveError(f"{path} has a manifest that is too large")
        manifest = msgspec.json.decode(content, type=Manifest)
    for name, member in manifest.members.items():
        if not 0 <= member.bytes <= LARGEST_BYTES.get(name, -1):
            raise ArchiveError(f"{path} has a member {name!r} that no backup has, or not of this size")
    return manifest


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while part := stream.read(_CHUNK_BYTES):
        yield part


def _written(parts: Iterator[bytes], target: IO[bytes]) -> Iterator[bytes]:
    for part in parts:
        target.write(part)
        yield part


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
