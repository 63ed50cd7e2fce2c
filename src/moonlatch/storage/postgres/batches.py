"""Asks a hot question for many callers in one statement. It reads only, and decides nothing about the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from moonlatch.storage.interface import HotRow, Query, StorageError, Unavailable
from moonlatch.storage.postgres.connections import Connection, Connections
from moonlatch.storage.postgres.statements import Statement, asked_many_times, translated, transposed

MAX_BATCH = 256
"""Questions per statement; more would make the first of them wait for the last."""

MAX_UNDER_WAY = 2
"""Statements of one question at a time: while one is answered, the next one gathers."""


@dataclass(slots=True, eq=False)
class _Asked:
    arguments: tuple[Any, ...]
    until: float
    answer: asyncio.Future[HotRow | None]


@dataclass(slots=True, eq=False)
class _Lane:
    """One question, and who waits for its answer."""

    query: Query
    statement: Statement
    many: str | None = None
    waiting: list[_Asked] = field(default_factory=list)
    under_way: int = 0
    is_due: bool = False


class BatchedReads:
    """A statement costs the server and the driver as much as ten rows do: questions of one turn of the loop share it."""

    def __init__(self, connections: Connections, deadline_seconds: float) -> None:
        self._connections = connections
        self._deadline_seconds = deadline_seconds
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, query: Query, values: tuple[Any, ...]) -> asyncio.Future[HotRow | None]:
        """The row, or None. The future has a StorageError when the database failed or the deadline passed."""
        lane = self._lanes.get(query.sql)
        if lane is None:
            lane = self._lanes[query.sql] = _Lane(query, translated(query.sql))
        asked = _Asked(values, self._loop.time() + self._deadline_seconds, self._loop.create_future())
        lane.waiting.append(asked)
        self._look_after(lane)
        return asked.answer

    def _look_after(self, lane: _Lane) -> None:
        if not lane.is_due and lane.waiting and lane.under_way < MAX_UNDER_WAY:
            lane.is_due = True
            self._loop.call_soon(self._send, lane)

    def _send(self, lane: _Lane) -> None:
        lane.is_due = False
        batch, lane.waiting = lane.waiting[:MAX_BATCH], lane.waiting[MAX_BATCH:]
        lane.under_way += 1
        task = self._loop.create_task(self._answer(lane, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._look_after(lane)

    async def _answer(self, lane: _Lane, batch: Sequence[_Asked]) -> None:
        rows: Sequence[HotRow | Exception | None]
        try:
            rows = await self._rows(lane, batch)
        except Exception as error:  # whatever it is: nobody may be left waiting
            rows = [error] * len(batch)
        finally:
            lane.under_way -= 1
            self._look_after(lane)
        for asked, row in zip(batch, rows, strict=True):
            if asked.answer.done():
                continue  # its caller is gone
            if isinstance(row, Exception):
                asked.answer.set_exception(row)
            else:
                asked.answer.set_result(row)

    async def _rows(self, lane: _Lane, batch: Sequence[_Asked]) -> Sequence[HotRow | StorageError | None]:
        """An answer for each. Raises StorageError when there is none for anybody."""
        if len(batch) > 1:
            try:
                return await self._together(lane, batch)
            except Unavailable:
                raise
            except StorageError:
                pass  # one value was at fault; the others' owners must not suffer from it
        return [await self._alone(lane, asked) for asked in batch]

    async def _together(self, lane: _Lane, batch: Sequence[_Asked]) -> list[HotRow | None]:
        places: dict[tuple[Any, ...], int] = {}
        numbers = [places.setdefault(asked.arguments, len(places)) for asked in batch]
        columns = transposed(places)

        async def fetch(connection: Connection) -> list[Any]:
            if lane.many is None:
                await _prepare(lane, connection)
            assert lane.many is not None
            rows: list[Any] = await connection.fetch(lane.many, *columns)
            return rows

        answers: list[HotRow | None] = [None] * len(places)
        for row in await self._connections.read(fetch, batch[0].until):
            answers[row[-1] - 1] = tuple(row)[:-1]
        return [answers[number] for number in numbers]

    async def _alone(self, lane: _Lane, asked: _Asked) -> HotRow | StorageError | None:
        async def fetch(connection: Connection) -> HotRow | None:
            row = await connection.fetchrow(lane.statement.sql, *asked.arguments)
            return None if row is None else tuple(row)

        try:
            return await self._connections.read(fetch, asked.until)
        except StorageError as error:
            return error


async def _prepare(lane: _Lane, connection: Connection) -> None:
    prepared = await connection.prepare(lane.statement.sql)
    lane.many = asked_many_times(lane.query.sql, [kind.name for kind in prepared.get_parameters()])
