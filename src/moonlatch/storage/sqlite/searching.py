"""Reads that may take long, beside the event loop: each in a thread, with a connection that no other uses meanwhile, few at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

from moonlatch.clock import monotonic_seconds
from moonlatch.storage.interface import Row, Unavailable
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS, connect_reader, storage_error

AT_ONCE = 2
MOST_SECONDS = 10.0
"""A search that takes longer is given up: whoever waits for it can ask for less."""

_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine, a few milliseconds


class Searcher:
    """Answers searches in one file. SQLite lets go of the interpreter while it works, so the loop goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = asyncio.Semaphore(AT_ONCE)
        # Opening one and reading the schema takes a millisecond.
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._lock = threading.Lock()

    async def fetch_all(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        """Raises StorageError, and Unavailable after `MOST_SECONDS`."""
        async with self._places:
            return await asyncio.to_thread(self._fetched, sql, parameters)

    def close(self) -> None:
        """Close what is not in use; a search that is under way closes its own connection."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _fetched(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = connect_reader(self._path, any_thread=True)
        try:
            rows = _searched(connection, sql, parameters)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            is_kept = not self._is_closed
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()
        return rows


def _searched(connection: sqlite3.Connection, sql: str, parameters: dict[str, Any]) -> list[Row]:
    until = monotonic_seconds() + MOST_SECONDS
    connection.set_progress_handler(lambda: monotonic_seconds() > until, _STEPS_BETWEEN_LOOKS)
    try:
        rows: list[Row] = connection.execute(sql, parameters).fetchall()
    except DRIVER_ERRORS as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise Unavailable("a search took too long; one with another condition looks at less") from None
        raise storage_error(error) from error
    return rows
