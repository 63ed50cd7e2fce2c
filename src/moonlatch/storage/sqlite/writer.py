"""The one thread that writes to a SQLite file: runs waiting units in one transaction and commits once (group commit).

Guarded units, starts among them, are short. They have transactions of their own, in turn with those of the others, which end once they have taken
a while: so a start waits for one long change at most, however many of them wait. It knows nothing of reads outside a transaction and opens no connection.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from moonlatch.clock import monotonic_seconds
from moonlatch.metrics.counts import BATCH_UNITS, Histogram
from moonlatch.storage.interface import Query, Row, StorageError, Transaction, Unavailable, Unit
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS, storage_error

T = TypeVar("T")

LONG_SECONDS = 0.02
"""After so long a transaction of units that are not guarded takes no further ones along."""

logger = logging.getLogger(__name__)


class SqliteTransaction:
    """A unit's view of the writer's connection. It never suspends, so a unit can be driven to its end by the thread.

    After a failed statement it refuses every other one and cannot be committed, as in PostgreSQL.
    """

    __slots__ = ("_connection", "failure")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.failure: StorageError | None = None

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None:
        cursor = self._execute(query, parameters)
        try:
            row: Row | None = cursor.fetchone()
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error
        return row

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]:
        cursor = self._execute(query, parameters)
        try:
            return cursor.fetchall()
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    async def execute(self, query: Query, **parameters: Any) -> int:
        changed = self._execute(query, parameters).rowcount
        if changed < 0:  # the driver does not count for statements that begin with WITH
            (changed,) = self._connection.execute("select changes()").fetchone()
        return changed

    async def execute_each(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        self._refuse_when_ended(query)
        execute = self._connection.cursor().execute
        try:
            return [execute(query.positional, query.in_places(row)).rowcount for row in rows]
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Refuse every further statement."""
        self.failure = StorageError("the transaction is over")

    def _execute(self, query: Query, parameters: dict[str, Any]) -> sqlite3.Cursor:
        self._refuse_when_ended(query)
        try:
            return self._connection.execute(query.sql, parameters)
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    def _refuse_when_ended(self, query: Query) -> None:
        if self.failure is not None:
            raise StorageError(f"{query.name}: the transaction has ended") from self.failure

    def _failed(self, error: Exception) -> StorageError:
        self.failure = storage_error(error)
        return self.failure


@dataclass(slots=True, eq=False)
class _Waiting:
    """A unit on its way through the thread, and what became of it."""

    unit: Unit[Any]
    settled: asyncio.Future[Any]
    is_guarded: bool
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Takes units from the event loop and settles their futures there, after the commit."""

    def __init__(
        self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop, *, max_waiting: int, max_batch: int
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._waiting = 0
        self.batches = Histogram(BATCH_UNITS)
        """Units per transaction."""
        self._closed: asyncio.Future[None] | None = None
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._guarded: deque[_Waiting] = deque()
        """What has come out of the queue, in its order; `_others` are those that are not guarded. The thread's own, as the next two are."""
        self._others: deque[_Waiting] = deque()
        self._is_turn_of_others = False
        self._is_ending = False
        self._thread = Thread(target=self._work, name="storage-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units that were queued and are not settled yet."""
        return self._waiting

    def submit(self, unit: Unit[T], *, is_guarded: bool = False) -> asyncio.Future[T]:
        """Queue a unit, as `Database.run` has it; the future is settled after its commit or rollback. Raises StorageError when closed or full.

        Cancelling the future before the unit's turn drops the unit; later, it may be committed all the same.
        """
        if self._closed is not None:
            raise StorageError("the database is closed")
        if self._waiting >= self._max_waiting:
            raise Unavailable(f"{self._waiting} writes are waiting already")
        settled = asyncio.get_running_loop().create_future()  # raises inside a unit, which would wait for itself
        self._waiting += 1
        self._queue.put(_Waiting(unit, settled, is_guarded))
        return settled

    async def close(self) -> None:
        """Finish the queued units, fold the write-ahead log into the file, and close the connection."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._queue.put(None)
        await asyncio.shield(self._closed)

    def _work(self) -> None:
        while batch := self._next_batch():
            self._write(batch)
            self.batches.add(len(batch))
            self._tell_loop(self._settle, batch)
        self._close_connection()
        self._tell_loop(self._finish)

    def _tell_loop(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            logger.warning("the event loop ended before the database was closed")

    def _next_batch(self) -> list[_Waiting]:
        """Wait for a unit and take along what else of its kind is waiting; empty at the end."""
        self._sort_out()
        of_others = bool(self._others) and (self._is_turn_of_others or not self._guarded)
        self._is_turn_of_others = not of_others
        units = self._others if of_others else self._guarded
        return [units.popleft() for _ in range(min(len(units), self._max_batch))]

    def _sort_out(self) -> None:
        """Take everything out of the queue; wait where there is nothing at all, unless it is the end."""
        try:
            while not self._is_ending:
                waiting = self._queue.get(block=not (self._guarded or self._others))
                if waiting is None:  # nothing was queued behind it
                    self._is_ending = True
                else:
                    (self._guarded if waiting.is_guarded else self._others).append(waiting)
        except Empty:
            pass

    def _write(self, batch: list[_Waiting]) -> None:
        """Run and commit a batch, or as much of it as it has time for; nobody in it is left without a result or an error."""
        try:
            self._connection.execute("begin immediate")
            if len(batch) == 1:
                self._run_alone(batch[0])
            else:
                self._run_together(batch)
            if self._connection.in_transaction:
                self._connection.execute("commit")
        except BaseException as error:
            self._abandon(batch, error)

    def _run_alone(self, waiting: _Waiting) -> None:
        self._drive(waiting)
        if waiting.error is not None and self._connection.in_transaction:
            self._connection.execute("rollback")

    def _run_together(self, batch: list[_Waiting]) -> None:
        """What it has no time for goes back to the front of those that wait."""
        began = monotonic_seconds()
        for number, waiting in enumerate(batch):
            if number and not waiting.is_guarded and monotonic_seconds() - began > LONG_SECONDS:
                self._others.extendleft(reversed(batch[number:]))
                del batch[number:]
                return
            self._run_beside_others(waiting)

    def _run_beside_others(self, waiting: _Waiting) -> None:
        self._connection.execute("savepoint unit")
        self._drive(waiting)
        if waiting.error is not None:
            if not self._connection.in_transaction:
                # A full disk, for one, makes SQLite roll back everything; the units before this one are lost too.
                raise waiting.error
            self._connection.execute("rollback to unit")
        self._connection.execute("release unit")

    def _drive(self, waiting: _Waiting) -> None:
        if waiting.settled.cancelled():
            return
        transaction = SqliteTransaction(self._connection)
        try:
            waiting.result = _run_to_its_end(waiting.unit, transaction)
            waiting.error = transaction.failure
        except BaseException as error:
            waiting.error = error
        transaction.close()

    def _abandon(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        logger.error("a transaction of %d writes failed: %s", len(batch), error)
        for waiting in batch:
            if waiting.error is None:
                # What failed was the file or its disk: every unit by itself had gone well.
                waiting.error = Unavailable(f"nothing was written: {error}")
                waiting.error.__cause__ = error
        try:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
        except DRIVER_ERRORS:
            logger.exception("the failed transaction could not be rolled back")

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        self._waiting -= len(batch)
        for waiting in batch:
            if waiting.settled.done():
                continue  # its caller was cancelled
            if waiting.error is not None:
                waiting.settled.set_exception(waiting.error)
            else:
                waiting.settled.set_result(waiting.result)

    def _close_connection(self) -> None:
        try:
            self._connection.execute("pragma wal_checkpoint(truncate)")
            self._connection.close()
        except DRIVER_ERRORS:
            logger.exception("the database was not closed cleanly; the next start recovers it")

    def _finish(self) -> None:
        assert self._closed is not None
        self._closed.set_result(None)


def _run_to_its_end(unit: Unit[T], transaction: Transaction) -> T:
    steps = unit(transaction).__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    steps.close()
    raise RuntimeError("a unit may await nothing but its transaction")
