"""Makes files and folders that their owner alone can read or change, whatever the process' umask is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO


def make_private_folder(folder: Path) -> None:
    """Make a folder (mode 0700) where it is missing, and those above it so that nobody else can put another in its place. Raises OSError."""
    for path in reversed([parent for parent in folder.parents if not parent.exists()]):
        path.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def open_private(file: Path) -> IO[str]:
    """Open a file for writing, emptied (mode 0600, also where an earlier version left it open to others). Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w")


def copy_private(source: Path, target: Path) -> None:
    """Copy what a file holds into a new one (mode 0600). Raises OSError."""
    target.touch(mode=0o600, exist_ok=False)
    shutil.copyfile(source, target)
