"""What the business code knows of a database: named portable queries, reads, and transactions. Names no engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Query:
    """One portable SQL statement under a name, with `:name` parameters.

    Portable means: what SQLite 3.35+ and PostgreSQL 14+ both understand (`RETURNING`, `ON CONFLICT`, `CASE`), booleans
    tested by themselves (`where enabled`), no `IS 1`, no double-quoted strings, and a cast around a parameter that is
    only compared with NULL. What stands in `/*postgres ...*/` is PostgreSQL's alone.
    """

    name: str
    sql: str
    shared: bool = False
    """Asked with the same parameters by many at once: an engine may answer several of its reads from one snapshot."""
    is_hot: bool = False
    """For `Database.ask`: asked so often that an engine may answer many callers at once. Its answer is one row or none."""
    positional: str = field(init=False)
    """The statement with a `?` for each place that names a parameter."""
    in_places: Callable[[tuple[Any, ...]], tuple[Any, ...]] = field(init=False, compare=False)
    """Gives the values for the places of `positional`, of the parameters' in the order of `parameter_names`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "positional", _PARAMETER.sub("?", self.sql))
        object.__setattr__(self, "in_places", _in_places(self.sql))


_PARAMETER = re.compile(r"(?<!:):(\w+)")  # not PostgreSQL's casts


def parameter_names(sql: str) -> tuple[str, ...]:
    """A statement's parameters, in the order in which it first names them."""
    return tuple(dict.fromkeys(_PARAMETER.findall(sql)))


@cache
def numbered(sql: str, sign: str) -> str:
    """The statement with its parameters by their number in `parameter_names`, as `$1`."""
    names = parameter_names(sql)
    return _PARAMETER.sub(lambda match: f"{sign}{names.index(match[1]) + 1}", sql)


def _in_places(sql: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    names, places = parameter_names(sql), _PARAMETER.findall(sql)
    return itemgetter(*map(names.index, places)) if len(places) > len(names) else _as_they_are


def _as_they_are(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values


class Row(Protocol):
    """One result row: by column name, by position, or unpacked in column order."""

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class Transaction(Protocol):
    """Reads and writes that commit together or not at all; once a statement has failed, not at all."""

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None: ...

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]: ...

    async def execute(self, query: Query, **parameters: Any) -> int:
        """Run a statement without result rows; gives the number of rows it changed."""
        ...

    async def execute_each(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> list[int]:
        """`execute` once for each of `rows`, whose values stand in the order of `parameter_names`."""
        ...


Unit = Callable[[Transaction], Awaitable[T]]
"""A transaction's body. It awaits nothing but its transaction, and may be run again from its beginning."""


HotRow = tuple[Any, ...]
"""A hot query's row, in column order."""


class Database(Protocol):
    """One installation's data.

    `run` returns after the commit is on disk; a raised exception means that nothing was written, but for OutcomeUnknown.
    """

    async def fetch_one(self, query: Query, **parameters: Any) -> Row | None: ...

    async def fetch_all(self, query: Query, **parameters: Any) -> list[Row]: ...

    async def search(self, query: Query, **parameters: Any) -> list[Row]:
        """As `fetch_all`, for a question that may look at many rows to find few: nobody else waits for its answer.

        Raises Unavailable where it takes too long.
        """
        ...

    def ask(self, query: Query, values: tuple[Any, ...]) -> HotRow | asyncio.Future[HotRow | None] | None:
        """Read a hot query's one row; the values stand in the order of `parameter_names`.

        An engine that has the data at hand answers at once: a coroutine would cost a running script's heartbeat as much
        as reading three columns.
        """
        ...

    async def run(self, unit: Unit[T], *, is_guarded: bool = False) -> T:
        """Run a unit as if no other ran at the same time.

        One that is guarded needs less: each of its statements carries its own conditions, and it rests on nothing it read
        by an earlier one. Others may then commit between its statements, and it is never in their way.
        """
        ...

    async def close(self) -> None: ...


def searching(db: Database | Transaction) -> Callable[..., Awaitable[list[Row]]]:
    """Return how to ask what may look at many rows: by `Database.search`, or in a transaction as all of it is asked."""
    return db.fetch_all if hasattr(db, "execute") else db.search


class StorageError(Exception):
    """The database failed; nothing of the transaction was written. Wraps the driver's error."""


class Unavailable(StorageError):
    """The database cannot do it just now: away, overloaded, its disk full. Later, the same may succeed."""


class OutcomeUnknown(Unavailable):
    """The connection broke while the commit was answered, and the database was not back in time to say how it ended."""


class UniqueViolation(StorageError):
    """A row with this value is there already. `constraint` lists the table's columns, like `users.project_id, users.discord_id`."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"not unique: {constraint}")
        self.constraint = constraint
