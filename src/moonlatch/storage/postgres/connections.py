"""The pool of PostgreSQL connections: lends them out within a deadline and throws away any that may not be sound."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import asyncpg

from moonlatch.storage.interface import StorageError, Unavailable
from moonlatch.storage.postgres.errors import DRIVER_ERRORS, UNIQUE_COLUMNS, ConnectionLost, storage_error

T = TypeVar("T")
Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy

_KEPT_STATEMENTS = 512
_NEVER = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """How the server is used."""

    max_connections: int = 10
    deadline_seconds: float = 5.0
    """From asking to answer, waiting for a connection and repeating included."""


class Connections:
    """Connections on which statements outside a transaction cannot write."""

    def __init__(self, pool: asyncpg.Pool, unique_columns: dict[str, str]) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self.unique_columns = unique_columns
        self._returning: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def borrowed(self, until: float) -> AsyncIterator[Connection]:
        """A connection for the block. `until` is the deadline in the loop's time: what hangs longer is taken for dead.

        Raises StorageError when there is none to be had.
        """
        try:
            connection = await self._pool.acquire(timeout=max(until - self._loop.time(), 0.001))
        except DRIVER_ERRORS as error:
            raise cannot_connect(error) from error
        try:
            yield connection
        except asyncio.CancelledError:
            # In the middle of a statement, perhaps: nobody waits to find out.
            terminate(connection)
            if self._loop.time() >= until:
                await self._pool.expire_connections()  # the others go the same way, and may hang there too
            raise
        finally:
            with contextlib.suppress(*DRIVER_ERRORS):
                if connection.is_in_transaction():
                    terminate(connection)
            # Not awaited: whose time ran out here would be told that what it has committed was not written.
            returning = self._loop.create_task(self._give_back(connection))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)

    async def _give_back(self, connection: Connection) -> None:
        with contextlib.suppress(*DRIVER_ERRORS):  # a terminated one is out of the pool already
            await self._pool.release(connection)

    async def read(self, work: Callable[[Connection], Awaitable[T]], until: float) -> T:
        """What `work` reads outside a transaction; again on another connection when the first one breaks.

        Raises StorageError, after the deadline too.
        """
        try:
            async with asyncio.timeout_at(until):
                try:
                    return await self._read(work, until)
                except ConnectionLost:
                    return await self._read(work, until)
        except TimeoutError as error:
            raise no_answer() from error

    async def _read(self, work: Callable[[Connection], Awaitable[T]], until: float) -> T:
        async with self.borrowed(until) as connection:
            try:
                return await work(connection)
            except DRIVER_ERRORS as error:
                raise self.error_for(error) from error

    def error_for(self, error: Exception) -> StorageError:
        return storage_error(error, self.unique_columns)

    async def close(self, patience_seconds: float) -> None:
        """Close those that are idle, and after a while all."""
        try:
            await asyncio.wait_for(self._pool.close(), patience_seconds)
        except (TimeoutError, *DRIVER_ERRORS):
            self._pool.terminate()


def terminate(connection: Connection) -> None:
    """Throw a connection away; one that broke by itself at the same moment is out of the pool already, which the driver calls an error."""
    with contextlib.suppress(*DRIVER_ERRORS):
        connection.terminate()


async def open_connections(url: str, options: PostgresOptions) -> Connections:
    """Connect. Raises StorageError."""
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=options.max_connections,
            max_queries=_NEVER,
            statement_cache_size=_KEPT_STATEMENTS,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            timeout=options.deadline_seconds,
            server_settings=_server_settings(options.deadline_seconds),
            reset=_keep_as_it_is,
        )
    except (*DRIVER_ERRORS, ValueError) as error:
        raise cannot_connect(error) from error
    try:
        columns = {index: text for index, text in await pool.fetch(UNIQUE_COLUMNS)}  # noqa: C416 -- these are records
    except DRIVER_ERRORS as error:
        pool.terminate()
        raise storage_error(error, {}) from error
    return Connections(pool, columns)


@contextlib.asynccontextmanager
async def connected(url: str, *, deadline_seconds: float) -> AsyncIterator[asyncpg.Connection]:
    """One connection outside a pool, for schema changes and transfers. Raises StorageError when there is none to be had."""
    try:
        connection = await asyncpg.connect(
            url, timeout=deadline_seconds, server_settings={"application_name": "moonlatch"}
        )
    except (*DRIVER_ERRORS, ValueError) as error:
        raise cannot_connect(error) from error
    try:
        yield connection
    finally:
        with contextlib.suppress(*DRIVER_ERRORS):
            await connection.close(timeout=deadline_seconds)


def no_answer() -> Unavailable:
    return Unavailable("PostgreSQL did not answer in time")


def cannot_connect(error: Exception) -> Unavailable:
    """Says why, without the address: it holds the password."""
    text = str(error) or type(error).__name__
    return Unavailable(f"PostgreSQL cannot be reached: {text.splitlines()[0]}")


def _server_settings(deadline_seconds: float) -> dict[str, str]:
    """What every connection is set to; times are the server's, in milliseconds."""
    # The server gives up before we do, so that a slow statement does not cost its connection.
    statement_ms = int(deadline_seconds * 800)
    return {
        "application_name": "moonlatch",
        "default_transaction_read_only": "on",
        "statement_timeout": str(statement_ms),
        # What a process that hangs, or the network between, must not hold locked for ever.
        "idle_in_transaction_session_timeout": str(2 * statement_ms),
        # Short statements only; compiling them takes longer than running them.
        "jit": "off",
    }


async def _keep_as_it_is(_connection: Any) -> None:
    """Our statements leave nothing behind in a session; the driver's own clean-up would cost a round trip each time."""
