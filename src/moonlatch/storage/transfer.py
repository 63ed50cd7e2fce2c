"""Moves everything from a SQLite file into an empty PostgreSQL database: all of it or nothing, read back and compared.

It knows hardly a table by name: what there is, it learns from the file. It changes nothing in the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from moonlatch.crypto import UnorderedHash
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.connections import connected
from moonlatch.storage.postgres.errors import DRIVER_ERRORS, storage_error
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.sqlite.connection import DRIVER_ERRORS as SQLITE_ERRORS
from moonlatch.storage.sqlite.copying import open_read_only, schema_of_sound

if TYPE_CHECKING:
    import asyncpg

CONNECT_SECONDS = 10.0

_FETCHED_ROWS = 32  # builds are megabytes each
_TOLD_ROWS = 256
_HISTORY = "schema_migrations"
_AFTER = {"endpoints": {"events"}, "discord_links": {"users"}, "discord_channels": {"users"}}
"""Where a trigger would make rows of rows that are among those to come: each event is handed over to endpoints that are there,
and the roles of each key's owner are due where its project is linked to a server."""

_MADE = {"user_totals"}
"""Tables that a trigger fills as the rows of another one come."""

_encode = msgspec.msgpack.Encoder().encode


class TransferError(StorageError):
    """Nothing was transferred, for a reason that its caller can mend."""


@dataclass(slots=True)
class Table:
    """One table on its way."""

    name: str
    columns: tuple[str, ...]
    booleans: tuple[int, ...]
    """Positions of the columns that SQLite keeps as 0 and 1."""
    rows: int
    hash: UnorderedHash = field(default_factory=UnorderedHash)


Told = Callable[[Table, int], None]
"""Hears of each table how many of its rows were written, and then how many were read back too: up to twice `rows`."""


async def transfer(source: Path, url: str, told: Told) -> list[Table]:
    """Copy the database in the file `source`. Raises TransferError, and StorageError when either database fails.

    The target's schema is made when it has none. Nothing else may write to either of them meanwhile: the source is read
    as one moment saw it, and the target's tables are locked.
    """
    migrations = shipped_migrations("postgres")
    version = schema_of_sound(source)
    if version != migrations[-1].version:
        raise TransferError(
            f"{source.name} has schema version {version} and this program {migrations[-1].version}: "
            "they must be the same; `moonlatch migrate` brings the older one up to date"
        )
    await migrate_postgres(url, migrations, deadline_seconds=CONNECT_SECONDS)
    try:
        with closing(open_read_only(source)) as file:
            file.execute("begin")
            tables = list(_tables(file))
            async with connected(url, deadline_seconds=CONNECT_SECONDS) as target:
                async with target.transaction():
                    await _take(target, tables)
                    for table in tables:
                        await _copy(file, target, table, told)
                    for table in tables:
                        await _compare(target, table, told)
                await target.execute("analyze")
    except SQLITE_ERRORS as error:
        raise StorageError(f"{source.name} cannot be read: {error}") from error
    except DRIVER_ERRORS as error:
        raise StorageError(f"nothing was transferred: {storage_error(error, {})}") from error
    return tables


def _tables(file: sqlite3.Connection) -> Iterator[Table]:
    """Every table, after those that its rows refer to."""
    names = [
        name for (name,) in file.execute("select name from sqlite_master where type = 'table'") if name != _HISTORY
    ]
    names = [name for name in names if not name.startswith("sqlite_") and name not in _MADE]
    references = {
        name: {row[2] for row in file.execute(f"pragma foreign_key_list({_quoted(name)})")} - {name} for name in names
    }
    for name, others in _AFTER.items():
        references.get(name, set()).update(others & references.keys())
    for name in TopologicalSorter(references).static_order():
        columns = file.execute(f"pragma table_info({_quoted(name)})").fetchall()
        (rows,) = file.execute(f"select count(*) from {_quoted(name)}").fetchone()  # noqa: S608 -- the schema's own names
        yield Table(
            name,
            tuple(column[1] for column in columns),
            tuple(number for number, column in enumerate(columns) if column[2].lower() == "boolean"),
            rows,
        )


async def _take(target: asyncpg.Connection, tables: Sequence[Table]) -> None:
    """Keep everybody else from writing, and see that there is nothing yet."""
    names = ", ".join(_quoted(table.name) for table in tables)
    await target.execute("set local lock_timeout = '10s'")
    await target.execute(f"lock table {names} in share row exclusive mode")
    for table in tables:
        if await target.fetchval(f"select exists (select 1 from {_quoted(table.name)})"):  # noqa: S608
            raise TransferError(f"the database is not empty: there are rows in {table.name}")


async def _copy(file: sqlite3.Connection, target: asyncpg.Connection, table: Table, told: Told) -> None:
    async def records() -> AsyncIterator[list[Any]]:
        for row in file.execute(_select(table)):
            values = list(row)
            for number in table.booleans:
                values[number] = None if values[number] is None else bool(values[number])
            table.hash.add(_encode(values))
            yield values
            if _is_worth_telling(table.hash.items, table):
                told(table, table.hash.items)

    await target.copy_records_to_table(table.name, records=records(), columns=table.columns)


async def _compare(target: asyncpg.Connection, table: Table, told: Told) -> None:
    """Read the rows back. Raises StorageError when they are not those that were read from the file."""
    found = UnorderedHash()
    async for row in target.cursor(_select(table), prefetch=_FETCHED_ROWS):
        found.add(_encode(list(row)))
        if _is_worth_telling(found.items, table):
            told(table, table.rows + found.items)
    if found != table.hash or found.items != table.rows:
        raise StorageError(
            f"{table.name} did not arrive as it was: {table.rows} rows with checksum {table.hash.hexdigest()} were "
            f"written, {found.items} with {found.hexdigest()} read back; nothing was transferred"
        )


def _is_worth_telling(rows: int, table: Table) -> bool:
    return rows % _TOLD_ROWS == 0 or rows == table.rows


def _select(table: Table) -> str:
    return f"select {', '.join(map(_quoted, table.columns))} from {_quoted(table.name)}"  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
