"""A disk that fails on demand: a small library, compiled here and preloaded into the server, and the page that controls it."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
from pathlib import Path

import pytest

WRITE, FLUSH = 1, 2
FOR_EVER = 1_000_000
SOURCE = Path(__file__).with_suffix(".c")


_FIELDS = ("kinds", "wal_only", "nth", "times", "error", "seen", "failed", "unflushed")


class _Control(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in _FIELDS]


class FailingDisk:
    """The files of SQLite databases in processes that run with `environment`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("needs a C compiler")
        library = folder / "failing_disk.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl"], check=True)
        page = folder / "failing_disk.page"
        page.write_bytes(bytes(mmap.PAGESIZE))
        self.environment = {"LD_PRELOAD": str(library), "FAILING_DISK": str(page)}
        with page.open("r+b") as file:
            self._control = _Control.from_buffer(mmap.mmap(file.fileno(), mmap.PAGESIZE))

    def fail(self, kinds: int, *, nth: int, error: int, times: int = FOR_EVER, wal_only: bool = False) -> None:
        """From the `nth` operation of these kinds from now on, let `times` fail with `error`."""
        control = self._control
        control.kinds = 0
        control.nth, control.times, control.error, control.wal_only = nth, times, error, wal_only
        control.seen = control.failed = 0
        control.kinds = kinds

    def work(self) -> None:
        """Let everything succeed again."""
        self._control.kinds = 0

    @property
    def failed(self) -> int:
        """Operations that failed since `fail`."""
        return int(self._control.failed)

    @property
    def has_unflushed(self) -> bool:
        """Return whether a write-ahead log was written to since it was last flushed with success."""
        return bool(self._control.unflushed)
