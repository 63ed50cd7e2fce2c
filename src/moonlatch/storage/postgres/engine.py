"""The engine for many processes: a PostgreSQL server behind a pool of connections. Knows no table."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from moonlatch.metrics.counts import BATCH_UNITS, Histogram
from moonlatch.storage.interface import HotRow, OutcomeUnknown, Query, Row, StorageError, Unit
from moonlatch.storage.postgres.batches import BatchedReads
from moonlatch.storage.postgres.connections import (
    Connection,
    Connections,
    PostgresOptions,
    no_answer,
    open_connections,
    terminate,
)
from moonlatch.storage.postgres.errors import DRIVER_ERRORS, Conflict, ConnectionLost
from moonlatch.storage.postgres.migration import prepare_schema
from moonlatch.storage.postgres.statements import translated
from moonlatch.storage.postgres.transaction import PostgresTransaction

T = TypeVar("T")

# Every writer holds a weak lock on one table; who takes the strong one first has waited for the others, and keeps new ones
# waiting. LOCK TABLE takes no snapshot yet, so whoever has it sees what they wrote and meets nobody.
_BEGIN = "begin isolation level {} read write; lock table schema_migrations in {} mode"
_SERIALIZABLE = _BEGIN.format("serializable", "row exclusive")
_GUARDED = _BEGIN.format("read committed", "row exclusive")
_ALONE = _BEGIN.format("serializable", "exclusive")
_ATTEMPTS_AMONG_OTHERS = 4
INCARNATION = "concat(pg_postmaster_start_time(), ' ', (select stats_reset from pg_stat_bgwriter))"
"""Another after every crash of PostgreSQL, and of one of its processes, which has it discard its statistics."""

_WRITTEN = f"select pg_current_xact_id_if_assigned()::text, {INCARNATION}"
_FATE = f"select pg_xact_status($1::text::xid8), {INCARNATION}"
_FIRST_PAUSE_SECONDS = 0.002
_FATE_PAUSE_SECONDS = 0.05
_CLOCK_SECONDS = 0.002


class PostgresDatabase:
    """A `Database` on a PostgreSQL server. It belongs to the event loop that opened it.

    Every call ends within the deadline. A connection that breaks is replaced by the next call that needs one.
    """

    def __init__(self, connections: Connections, options: PostgresOptions) -> None:
        self._connections = connections
        self._deadline_seconds = options.deadline_seconds
        self._loop = asyncio.get_running_loop()
        self._hot = BatchedReads(connections, options.deadline_seconds)
        # Half of the connections are left for reads: a crowd of writes must not keep running scripts waiting.
        self._writers = asyncio.Semaphore(max(1, options.max_connections // 2))
        self._repeating = asyncio.Lock()
        self._running = 0
        self.batches = Histogram(BATCH_UNITS)
        """Units per commit: here, the server is the one that commits several at once."""
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Units of work that wait for their commit now."""
        return self._running

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None:
        self._check_open()
        statement = translated(query.sql)
        arguments = statement.arguments(parameters)
        row: Row | None = await self._read(lambda connection: connection.fetchrow(statement.sql, *arguments))
        return row

    async def search(self, query: Query, **parameters: Any) -> list[Row]:
        return await self.fetch_all(query, **parameters)

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]:
        self._check_open()
        statement = translated(query.sql)
        arguments = statement.arguments(parameters)
        rows: list[Row] = await self._read(lambda connection: connection.fetch(statement.sql, *arguments))
        return rows

    def ask(self, query: Query, values: tuple[Any, ...]) -> asyncio.Future[HotRow | None]:
        self._check_open()
        return self._hot.ask(query, values)

    async def run(self, unit: Unit[T], *, is_guarded: bool = False) -> T:
        self._check_open()
        self._running += 1
        self._idle.clear()
        try:
            # In a task of its own, as a read is.
            return await self._loop.create_task(
                self._run_in_time(unit, _GUARDED if is_guarded else _SERIALIZABLE, self._until())
            )
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def close(self) -> None:
        """Finish the units that run or wait, and close the connections. Further calls do nothing."""
        if not self._closed:
            self._closed = True
            await self._idle.wait()
            await self._connections.close(self._deadline_seconds)

    async def _read(self, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        # In a task of its own: a deadline needs one, and a request that is answered where it is parsed has none.
        return await self._loop.create_task(self._connections.read(work, self._until()))

    def _until(self) -> float:
        return self._loop.time() + self._deadline_seconds

    def _is_over(self, until: float) -> bool:
        """Return whether it was the deadline that ended a wait; a timer may come before its time by what clocks are rounded to."""
        return self._loop.time() > until - _CLOCK_SECONDS

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")

    async def _run_in_time(self, unit: Unit[T], begin: str, until: float) -> T:
        try:
            async with asyncio.timeout_at(until):
                return await self._run(unit, begin, until)
        except TimeoutError as error:
            raise no_answer() from error

    async def _run(self, unit: Unit[T], begin: str, until: float) -> T:
        """Attempt until it succeeds or raises what no other attempt would mend."""
        try:
            async with self._writers:
                return await self._attempt(unit, begin, until)
        except Conflict:
            pass
        except ConnectionLost:
            async with self._writers:
                return await self._attempt(unit, begin, until)
        # Those that were in each other's way go one after another; what is left to meet is other processes. One that
        # these overtake again and again, on a row that never rests, has them wait.
        pause_seconds = _FIRST_PAUSE_SECONDS
        async with self._repeating, self._writers:
            for _ in range(_ATTEMPTS_AMONG_OTHERS):
                try:
                    return await self._attempt(unit, begin, until)
                except Conflict:
                    await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.5))
                    pause_seconds *= 2
            return await self._attempt(unit, _ALONE, until)

    async def _attempt(self, unit: Unit[T], begin: str, until: float) -> T:
        async with self._connections.borrowed(until) as connection:
            transaction = PostgresTransaction(connection, self._connections.error_for)
            try:
                await self._statement(connection.execute(begin))
                result = await transaction.result_of(unit)
                written, incarnation = await self._statement(connection.fetchrow(_WRITTEN))
            except Exception as error:
                await self._roll_back(connection)
                if isinstance(transaction.failure, Conflict | ConnectionLost) and error is not transaction.failure:
                    raise transaction.failure from error  # whatever the unit made of it
                raise
            finally:
                transaction.close()
            try:
                await connection.execute("commit")
            except DRIVER_ERRORS as error:
                lost = self._connections.error_for(error)
                if not isinstance(lost, ConnectionLost) or written is None:
                    raise lost from error
            except asyncio.CancelledError as error:
                if written is None or not self._is_over(until):
                    raise
                terminate(connection)
                raise _unknown_outcome() from error
            else:
                self.batches.add(1)
                return result
        # The pool has its connection back: the question goes over another one.
        await self._find_out_fate(written, incarnation, until)
        return result

    async def _statement(self, waiting: Any) -> Any:
        try:
            return await waiting
        except DRIVER_ERRORS as error:
            raise self._connections.error_for(error) from error

    async def _roll_back(self, connection: Connection) -> None:
        """What cannot be rolled back is thrown away with its connection, by whoever lent it."""
        try:
            if connection.is_in_transaction():
                await connection.execute("rollback")
        except DRIVER_ERRORS:
            pass

    async def _find_out_fate(self, transaction_id: str, incarnation: str, until: float) -> None:
        """Ask how a commit ended whose answer was lost.

        Raises ConnectionLost when it was not committed. Raises OutcomeUnknown when the deadline passes before the database
        is back, or before it notices that nobody is there any more; and when it crashed since and knows a commit of that
        id: ids that the crash took out of the log are given away again.
        """
        try:
            while True:
                try:
                    fate, since = await self._connections.read(
                        lambda connection: connection.fetchrow(_FATE, transaction_id), until
                    )
                except StorageError:
                    fate, since = None, incarnation
                if fate == "committed":
                    if since != incarnation:
                        raise _unknown_outcome()
                    return
                if fate == "aborted":
                    raise ConnectionLost("the connection broke during the commit, which did not take place")
                await asyncio.sleep(_FATE_PAUSE_SECONDS)
        except asyncio.CancelledError as error:
            if not self._is_over(until):
                raise  # by the caller
            raise _unknown_outcome() from error


def _unknown_outcome() -> OutcomeUnknown:
    return OutcomeUnknown("the connection broke during a commit; it may have taken place")


async def open_postgres(url: str, options: PostgresOptions | None = None) -> PostgresDatabase:
    """Connect to the database, and make the schema when it is empty.

    Raises StorageError; SchemaTooOld when `moonlatch migrate` has to be run first, SchemaTooNew for a newer program's.
    """
    options = options or PostgresOptions()
    await prepare_schema(url, options.deadline_seconds)
    return PostgresDatabase(await open_connections(url, options), options)
