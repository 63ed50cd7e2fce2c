"""Where an installation's master key comes from: what a command prints, a systemd credential, or the data folder."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from moonlatch.crypto import MASTER_KEY_NAME, Keyring

CREDENTIAL_NAME = "moonlatch.master-key"
_CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_COMMAND_SECONDS = 30
_MOST_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class MasterKeySource:
    """The first of these that there is: the output of `command`, the credential, the file in `data_dir`. Only the last is ever made."""

    data_dir: Path
    command: str = ""

    @property
    def place(self) -> str:
        """For messages: where the key is looked for."""
        if self.command:
            return "the output of master_key_command"
        credential = self._credential
        return str(self.data_dir / MASTER_KEY_NAME) if credential is None else f"the systemd credential {credential}"

    @property
    def is_in_folder(self) -> bool:
        """Return whether it is a file of the data folder, and so part of its backup."""
        return not self.command and self._credential is None

    @property
    def exists(self) -> bool:
        """False where the data folder is to hold it and does not."""
        return not self.is_in_folder or (self.data_dir / MASTER_KEY_NAME).exists()

    def open(self, *, create: bool = True) -> Keyring:
        """The keys that follow from it; `create` makes it in the data folder, where that is to hold it.

        Raises OSError, and ValueError for what is not a master key and for a command that fails.
        """
        credential = self._credential
        if self.command:
            return Keyring.of_text(self._printed(), self.place)
        if credential is not None:
            return Keyring.of_text(credential.read_text(), self.place)
        return Keyring.open(self.data_dir, create=create)

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
