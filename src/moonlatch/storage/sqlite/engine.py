"""The embedded engine: one SQLite file, read inline on the event loop and written by one thread. Knows no table."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any, TypeVar

from moonlatch.metrics.counts import Histogram
from moonlatch.storage.interface import HotRow, Query, Row, Unit
from moonlatch.storage.migration import Migration, shipped_migrations
from moonlatch.storage.rewriting import MasterKey, Told, log_progress, master_key_in
from moonlatch.storage.sqlite.connection import connect_reader, connect_writer
from moonlatch.storage.sqlite.migration import migrate
from moonlatch.storage.sqlite.searching import Searcher
from moonlatch.storage.sqlite.snapshot import SnapshotReader
from moonlatch.storage.sqlite.writer import Writer

T = TypeVar("T")

MAX_BATCH = 256
"""Units per commit. More would make the first of them wait longer than the saved disk flushes are worth."""

MAX_WAITING = 10_000
"""Units that may wait for the writer; above, the disk is the bottleneck and waiting longer helps nobody."""


class SqliteDatabase:
    """A `Database` in one SQLite file. It belongs to the event loop (and the thread) that opened it."""

    def __init__(self, path: Path, reader: sqlite3.Connection, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        self._searcher = Searcher(path)
        self._snapshots = SnapshotReader(reader, loop)
        self._writer = writer

    @property
    def batches(self) -> Histogram:
        """Units of work per commit."""
        return self._writer.batches

    @property
    def waiting(self) -> int:
        """Units of work that wait for their commit now."""
        return self._writer.waiting

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None:
        if query.shared:
            return self._snapshots.fetch_one_shared(query.sql, parameters)
        return self._snapshots.fetch_one(query.sql, parameters)

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]:
        return self._snapshots.fetch_all(query.sql, parameters)

    async def search(self, query: Query, **parameters: Any) -> list[Row]:
        return await self._searcher.fetch_all(query.sql, parameters)

    def ask(self, query: Query, values: tuple[Any, ...]) -> HotRow | None:
        return self._snapshots.ask(query, values)

    async def run(self, unit: Unit[T], *, is_guarded: bool = False) -> T:
        return await self._writer.submit(unit, is_guarded=is_guarded)

    async def close(self) -> None:
        """Finish the waiting units and close the file. Further calls do nothing."""
        self._snapshots.end()
        await self._writer.close()
        self._searcher.close()
        self._snapshots.close()


async def open_sqlite(
    path: Path, *, max_waiting: int = MAX_WAITING, max_batch: int = MAX_BATCH, master_key: MasterKey | None = None
) -> SqliteDatabase:
    """Open (or create) the database at `path` and bring its schema up to date, with the master key beside it where none is given.

    Several processes may have it open. Raises StorageError, and SchemaTooNew for a file of a newer program.
    """
    connection = await asyncio.to_thread(_open_migrated, path, master_key)
    try:
        reader = connect_reader(path)
    except BaseException:
        connection.close()
        raise
    loop = asyncio.get_running_loop()
    writer = Writer(connection, loop, max_waiting=max_waiting, max_batch=max_batch)
    return SqliteDatabase(path, reader, writer, loop)


def migrate_file(path: Path, told: Told = log_progress, master_key: MasterKey | None = None) -> list[Migration]:
    """Bring the schema of the file at `path` up to date; gives what was applied. Raises StorageError and SchemaTooNew.

    Where that takes the master key and none is given, it is the one beside the file.
    """
    with contextlib.closing(connect_writer(path)) as connection:
        return _migrate(connection, path, master_key, told)


def _migrate(
    connection: sqlite3.Connection, path: Path, master_key: MasterKey | None, told: Told = log_progress
) -> list[Migration]:
    return migrate(
        connection, shipped_migrations("sqlite"), master_key=master_key or master_key_in(path.parent), told=told
    )


def _open_migrated(path: Path, master_key: MasterKey | None) -> sqlite3.Connection:
    connection = connect_writer(path)
    try:
        _migrate(connection, path, master_key)
    except BaseException:
        connection.close()
        raise
    return connection
