"""Where an installation's master keys come from: what a command prints, a systemd credential, or the data folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moonlatch.crypto import new_key
from moonlatch.keyring import Keyring, MasterKeyLine, lines_of
from moonlatch.private_files import open_private

MASTER_KEY_NAME = "master.key"
CREDENTIAL_NAME = "moonlatch.master-key"
_CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_COMMAND_SECONDS = 30
_MOST_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class MasterKeySource:
    """The first of these that there is: the output of `command`, the credential, the file in `data_dir`. Only the last is ever written."""

    data_dir: Path
    command: str = ""

    @property
    def place(self) -> str:
        """For messages: where the keys are looked for."""
        if self.command:
            return "the output of master_key_command"
        credential = self._credential
        return str(self._file) if credential is None else f"the systemd credential {credential}"

    @property
    def is_in_folder(self) -> bool:
        """Return whether it is a file of the data folder, and so part of its backup."""
        return not self.command and self._credential is None

    @property
    def exists(self) -> bool:
        """False where the data folder is to hold it and does not."""
        return not self.is_in_folder or self._file.exists()

    def open(self, *, create: bool = True) -> Keyring:
        """The ring of keys; `create` makes the first in the data folder, where that is to hold it.

        Raises OSError, and ValueError for what is not a master key and for a command that fails.
        """
        if create and not self.exists:
            with contextlib.suppress(
                FileExistsError
            ):  # of two processes that do it at once one wins and both use its key
                _write(self._file, [MasterKeyLine(new_key())], is_new=True)
        return Keyring.of_lines(self.lines(), self.place)

    def lines(self) -> list[MasterKeyLine]:
        """The keys as they stand there. Raises as `open`."""
        if self.command:
            return lines_of(self._printed(), self.place)
        return lines_of((self._credential or self._file).read_text(), self.place)

    def write(self, lines: Sequence[MasterKeyLine]) -> None:
        """Have the file in the data folder hold these keys, or what it held before. Raises OSError.

        What writers who were killed have left goes with it: a key must not outlive its line. So only while it is `locked`.
        """
        for left in self.data_dir.glob(f".{self._file.name}.*"):
            left.unlink(missing_ok=True)
        _write(self._file, lines)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others who would write the file out. Raises OSError."""
        folder = os.open(self.data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @property
    def _file(self) -> Path:
        return self.data_dir / MASTER_KEY_NAME

    @property
    def _credential(self) -> Path | None:
        folder = os.environ.get(_CREDENTIALS_VARIABLE)
        file = None if folder is None else Path(folder) / CREDENTIAL_NAME
        return file if file is not None and file.exists() else None

    def _printed(self) -> str:
        """What the command writes to standard output; what it writes to standard error is for the log. Raises ValueError."""
        try:
            done = subprocess.run(
                shlex.split(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"master_key_command gave no key within {_COMMAND_SECONDS} s") from None
        except OSError as error:
            raise ValueError(f"master_key_command cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            raise ValueError(f"master_key_command ended with status {done.returncode}")
        return done.stdout[:_MOST_CHARACTERS].decode("ascii", "replace")


def _write(path: Path, lines: Sequence[MasterKeyLine], *, is_new: bool = False) -> None:
    """Write keys, whole or not at all, for the file's owner alone. Raises FileExistsError where it is to be new."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open_private(written) as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            if not is_new:
                before = path.stat()
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):  # root, for the server's own user
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fsync(file.fileno())
        if is_new:
            path.hardlink_to(written)
        else:
            written.replace(path)
    finally:
        written.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
