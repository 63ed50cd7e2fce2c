"""How long the keys of a large installation of before take to be sealed: `python bench/key_sealing.py [--database-url URL]`.

The baseline, on the same rows in the same run, is what SQL needs to write them anew with their indexes and without a key. And how long
they then take to be made anew under a new master key, in the background with its pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
from servers import DATABASE

from moonlatch.crypto import new_id, new_key
from moonlatch.keyring import Keyring
from moonlatch.master_key import MasterKeySource
from moonlatch.storage import sealed
from moonlatch.storage.migration import Migration, shipped_migrations
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.rewriting import master_key_in
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.engine import migrate_file, open_sqlite
from moonlatch.storage.sqlite.migration import migrate

BEFORE = 13
ACCOUNT = "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('a', 'a', 'free', 1, 1)"
PROJECT = "insert into projects (id, account_id, name, created_at) values ('p', 'a', 'p', 1)"
COLUMNS = "id, key, key_forward, key_backward, project_id, discord_id, note, created_at"
REWRITE = (
    f"create table again as select {COLUMNS} from users",
    *(f"create index again_{name} on again (project_id, {name})" for name in ("key_forward", "key_backward", "note")),
    "create unique index again_id on again (id)",
    "create unique index again_key on again (key)",
    "drop table again",
)


def rows(count: int) -> Iterator[tuple[str | int, ...]]:
    for number in range(count):
        key = new_id()
        yield new_id(), key, key, key[::-1], "p", str(10**17 + number), f"note {number % 1000}", number


def of_before(dialect: str) -> list[Migration]:
    return shipped_migrations("sqlite" if dialect == "sqlite" else "postgres")[:BEFORE]


def on_sqlite(folder: Path, users: int) -> tuple[float, float]:
    """Seconds of the migration and of the baseline."""
    path = folder / DATABASE
    with contextlib.closing(connect_writer(path)) as connection:
        migrate(connection, of_before("sqlite"))
        connection.execute("begin")
        connection.execute(ACCOUNT)
        connection.execute(PROJECT)
        places = ", ".join("?" * len(COLUMNS.split(",")))
        connection.executemany(f"insert into users ({COLUMNS}) values ({places})", rows(users))
        connection.execute("commit")
        began = time.perf_counter()
        for statement in REWRITE:
            connection.execute(statement)
        baseline = time.perf_counter() - began
    began = time.perf_counter()
    migrate_file(path, lambda *_: None)
    took = time.perf_counter() - began
    with contextlib.closing(sqlite3.connect(path)) as found:
        assert found.execute("select count(key_hash) from users").fetchone() == (users,)
    return took, baseline


async def on_postgres(folder: Path, users: int, url: str) -> tuple[float, float]:
    """As `on_sqlite`, in an empty database."""
    await migrate_postgres(url, of_before("postgres"))
    connection = await asyncpg.connect(url)
    await connection.execute(ACCOUNT)
    await connection.execute(PROJECT)
    await connection.copy_records_to_table("users", records=rows(users), columns=COLUMNS.split(", "))
    began = time.perf_counter()
    for statement in REWRITE:
        await connection.execute(statement)
    baseline = time.perf_counter() - began
    began = time.perf_counter()
    await migrate_postgres(url, shipped_migrations("postgres"), master_key=master_key_in(folder), told=lambda *_: None)
    took = time.perf_counter() - began
    assert await connection.fetchval("select count(key_hash) from users") == users
    await connection.close()
    return took, baseline


async def rewrapped(folder: Path, url: str) -> float:
    """Seconds until all of them lie under a new master key."""
    ring = Keyring(new_key(), *(line.master for line in MasterKeySource(folder).lines()))
    database = await (open_postgres(url) if url else open_sqlite(folder / DATABASE))
    try:
        began = time.perf_counter()
        assert not await sealed.rewrap(database, ring, lambda *_: None)
        return time.perf_counter() - began
    finally:
        await database.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--users", type=int, default=200_000)
    arguments.add_argument("--database-url", help="an empty PostgreSQL database; without it, a SQLite file is measured")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        MasterKeySource(folder).open()
        if given.database_url:
            took, baseline = asyncio.run(on_postgres(folder, given.users, given.database_url))
        else:
            took, baseline = on_sqlite(folder, given.users)
        anew = asyncio.run(rewrapped(folder, given.database_url or ""))
    print(
        f"{given.users:,} users: {took:.1f} s, {baseline:.1f} s for SQL alone, ratio {took / baseline:.1f}; {anew:.1f} s under a new master key"
    )


if __name__ == "__main__":
    main()
