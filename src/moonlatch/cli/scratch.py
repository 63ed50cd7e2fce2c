"""Folders for what must not outlive its command: a backup in the clear. What a killed one left goes with the next of its kind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

_ENDS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def scratch(prefix: str, beside: Path) -> Iterator[Path]:
    """A new folder (mode 0700) in another one, removed with all that is in it, also where a signal ends the command. Raises OSError.

    Against SIGKILL there is no help: what that left under the same prefix is removed before.
    """
    _remove_left(prefix, beside)
    with _ended_in_order(), tempfile.TemporaryDirectory(prefix=prefix, dir=beside) as folder, _locked(Path(folder)):
        yield Path(folder)


def _remove_left(prefix: str, beside: Path) -> None:
    for folder in beside.glob(f"{prefix}*"):
        # One that was made just now is empty and may not be locked yet.
        with contextlib.suppress(OSError), _locked(folder):
            if any(folder.iterdir()):
                shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Say that a folder is in use. Raises OSError where it is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have signals that would end the process at once raise SystemExit instead."""
    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    before = {each: signal.signal(each, _end) for each in _ENDS if signal.getsignal(each) is signal.SIG_DFL}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
