"""Reads for the event loop: those of one turn share one read transaction. Holds none while the loop waits, and writes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from moonlatch.storage.interface import HotRow, Query, Row
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS, storage_error


class SnapshotReader:
    """One connection whose first read in a turn of the loop begins a transaction that ends with the next turn.

    A transaction takes and gives back the file's locks once; a point read by itself spends a quarter of its time on that.

    Nobody reads less than what this process told them: `end` is queued before the snapshot is taken, and the loop calls in
    the order of queueing, so the writer's word of a later commit is heard after `end`. Commits of other processes are seen
    by the next turn.
    """

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._open = False
        self._shared: dict[tuple[str, tuple[Any, ...]], Any] = {}
        self._hot = connection.cursor()
        self._hot.row_factory = None

    # But for hot queries, which leave no row behind, a cursor is not kept: it would hold its snapshot beyond the transaction.

    def fetch_one(self, sql: str, parameters: dict[str, Any]) -> Row | None:
        """Raises StorageError."""
        try:
            if not self._open:
                self._begin()
            row: Row | None = self._connection.execute(sql, parameters).fetchone()
        except DRIVER_ERRORS as error:
            raise storage_error(error) from error
        return row

    def fetch_one_shared(self, sql: str, parameters: dict[str, Any]) -> Row | None:
        """Like `fetch_one`, read once per transaction. Raises StorageError."""
        question = sql, tuple(parameters.values())
        if question not in self._shared:
            row = self.fetch_one(sql, parameters)
            self._shared[question] = row
            return row
        known: Row | None = self._shared[question]
        return known

    def ask(self, query: Query, values: tuple[Any, ...]) -> HotRow | None:
        """A hot query's row. Raises StorageError."""
        if query.shared:
            question = query.sql, values
            if question in self._shared:
                known: HotRow | None = self._shared[question]
                return known
        try:
            if not self._open:
                self._begin()
            answer: HotRow | None = self._hot.execute(query.positional, query.in_places(values)).fetchone()
        except DRIVER_ERRORS as error:
            raise storage_error(error) from error
        if query.shared:
            self._shared[question] = answer
        return answer

    def fetch_all(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        """Raises StorageError."""
        try:
            if not self._open:
                self._begin()
            return self._connection.execute(sql, parameters).fetchall()
        except DRIVER_ERRORS as error:
            raise storage_error(error) from error

    def end(self) -> None:
        """Let the snapshot go; the next read takes a new one."""
        if self._open:
            self._open = False
            self._shared.clear()
            if self._connection.in_transaction:  # after some failures SQLite has ended it
                self._connection.execute("rollback")  # nothing was written; unlike a commit, this cannot be refused

    def close(self) -> None:
        """Further calls do nothing."""
        self.end()
        self._connection.close()

    def _begin(self) -> None:
        # It takes no snapshot yet, the first read does. A foreign thread is refused here, before it touches the loop.
        self._connection.execute("begin")
        self._open = True
        self._loop.call_soon(self.end)
