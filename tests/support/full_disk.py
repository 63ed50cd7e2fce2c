"""A disk that takes no more, without one: the files of this process, or of a server, cannot grow."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def full_disk(folder: Path, process: int | None = None) -> Iterator[None]:
    """No file of this process, or of the one with this id, can grow beyond what the largest one in `folder` has now.

    SQLite sees failing writes; what overwrites a file within its size goes on, as it does on a real full disk.
    """
    process = os.getpid() if process is None else process
    largest = max(path.stat().st_size for path in folder.iterdir())
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have been killed meanwhile
            resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))
