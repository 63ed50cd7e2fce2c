"""A unit's view of one PostgreSQL transaction. Neither begins nor ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from moonlatch.storage.interface import Query, Row, StorageError, Unit
from moonlatch.storage.postgres.connections import Connection
from moonlatch.storage.postgres.errors import DRIVER_ERRORS
from moonlatch.storage.postgres.statements import Statement, counting, translated

T = TypeVar("T")


class PostgresTransaction:
    """After a failed statement it refuses every other one and cannot be committed."""

    __slots__ = ("_connection", "_error_for", "failure")

    def __init__(self, connection: Connection, error_for: Callable[[Exception], StorageError]) -> None:
        self._connection = connection
        self._error_for = error_for
        self.failure: StorageError | None = None

    async def result_of(self, unit: Unit[T]) -> T:
        """What the unit gives. Raises what it raises, and the failure that it hid."""
        result = await unit(self)
        if self.failure is not None:
            raise self.failure
        return result

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None:
        statement, arguments = self._prepared(query, parameters)
        row: Row | None = await self._answer(self._connection.fetchrow(statement.sql, *arguments))
        return row

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]:
        statement, arguments = self._prepared(query, parameters)
        rows: list[Row] = await self._answer(self._connection.fetch(statement.sql, *arguments))
        return rows

    async def execute(self, query: Query, **parameters: Any) -> int:
        statement, arguments = self._prepared(query, parameters)
        status: str = await self._answer(self._connection.execute(statement.sql, *arguments))
        return int(status.rpartition(" ")[2])  # like `UPDATE 1` or `INSERT 0 1`

    async def execute_each(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        """All of them go out before the first answer is awaited."""
        if self.failure is not None:
            raise StorageError(f"{query.name}: the transaction has ended") from self.failure
        changed = [0] * len(rows)
        if rows:
            numbered_rows = [(*row, number) for number, row in enumerate(rows)]
            sql = counting(query.sql)
            for (number,) in await self._answer(self._connection.fetchmany(sql, numbered_rows)):
                changed[number] += 1
        return changed

    def close(self) -> None:
        """Refuse every further statement."""
        self.failure = self.failure or StorageError("the transaction is over")

    def _prepared(self, query: Query, parameters: Mapping[str, Any]) -> tuple[Statement, list[Any]]:
        if self.failure is not None:
            raise StorageError(f"{query.name}: the transaction has ended") from self.failure
        statement = translated(query.sql)
        try:
            return statement, statement.arguments(parameters)
        except StorageError as error:
            self.failure = error
            raise

    async def _answer(self, waiting: Awaitable[T]) -> T:
        try:
            return await waiting
        except DRIVER_ERRORS as error:
            self.failure = self._error_for(error)
            raise self.failure from error
