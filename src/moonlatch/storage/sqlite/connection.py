"""Opens SQLite connections the one way this program uses them, and turns the driver's errors into ours. Runs no business SQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from moonlatch.clock import monotonic_seconds
from moonlatch.storage.interface import StorageError, Unavailable, UniqueViolation

DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError)
"""What `sqlite3` raises: besides its own, for an integer beyond 64 bits and for text with a lone surrogate."""

BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""

# For values of types it does not know, the driver looks for methods, which takes as long as reading a row; `bytes` is one.
sqlite3.register_adapter(bytes, bytes.__bytes__)

_UNIQUE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")
_UNAVAILABLE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_CACHED_STATEMENTS = 512
_CHECKPOINT_PAGES = 4_000
"""Pages of 4 KiB after which the log is folded into the file: a page that changes with every commit is copied once for all."""

_KEPT_WAL_BYTES = 64 * 1024 * 1024


def connect_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes, creating the file when there is none (readable by its owner only).

    It may be handed to another thread; only one may use it at a time. Raises StorageError.
    """
    try:
        path.touch(mode=0o600)
        connection = _connect(path, any_thread=True)
        _enter_wal(connection)
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"pragma journal_size_limit = {_KEPT_WAL_BYTES}")
    except (*DRIVER_ERRORS, OSError) as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    return connection


def connect_reader(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """A connection that cannot write, for the calling thread only or for any, one at a time. Raises StorageError."""
    try:
        connection = _connect(path, any_thread=any_thread)
        connection.execute("pragma query_only = on")
    except DRIVER_ERRORS as error:
        raise StorageError(f"{path} cannot be opened: {error}") from error
    return connection


def storage_error(error: Exception) -> StorageError:
    """Our error for one of `DRIVER_ERRORS`."""
    if getattr(error, "sqlite_errorname", None) in _UNIQUE:
        return UniqueViolation(str(error).removeprefix("UNIQUE constraint failed: "))
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNAVAILABLE:
        return Unavailable(str(error))
    return StorageError(str(error))


def _connect(path: Path, *, any_thread: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=not any_thread,
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("pragma foreign_keys = on")
    return connection


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging.

    SQLite does not wait for its busy timeout here (two processes that do the same at once could deadlock), so after a
    refusal we wait in a transaction, where it does.
    """
    deadline = monotonic_seconds() + BUSY_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic_seconds() > deadline:
                raise
        else:
            return
        connection.execute("begin exclusive")
        connection.execute("rollback")
