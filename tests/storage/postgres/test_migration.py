"""Schema versions of a PostgreSQL database: applied once, whole, by one process at a time, and never backwards."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import Migration, SchemaTooNew, SchemaTooOld, shipped_migrations
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.migration import migrate
from support.services import Databases

PEOPLE = Migration(1, "people", "create table people (id text primary key);\n")
PETS = Migration(2, "pets", "create table pets (id text primary key);\ninsert into pets values ('cat; dog');\n")
BROKEN = Migration(3, "broken", "create table more (id text);\ninsert into nowhere values (1);\n")

COLUMNS = """
select table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
from information_schema.columns where table_schema = 'public' order by table_name, column_name
"""
INDEXES = "select indexdef from pg_indexes where schemaname = 'public' order by indexdef"
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace order by 1, 2
"""


async def described(url: str) -> list[Any]:
    """Every column, index and constraint."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for query in (COLUMNS, INDEXES, CONSTRAINTS) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def asked(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_the_schema_from_scratch_is_the_one_from_every_step_of_its_own(databases: Databases, postgres_url: str):
    steps = shipped_migrations("postgres")
    for count in range(1, len(steps) + 1):
        assert await migrate_postgres(postgres_url, steps[:count]) == steps[count - 1 : count]

    with databases.fresh() as from_scratch:
        assert await migrate_postgres(from_scratch, steps) == steps
        assert await described(from_scratch) == await described(postgres_url)


def test_both_engines_have_the_same_tables_and_columns(databases: Databases, tmp_path: Path):
    connection = connect_writer(tmp_path / "moonlatch.db")
    migrate(connection, shipped_migrations("sqlite"))
    sqlite = {
        (table, column[1], bool(column[3]) or bool(column[5]))
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for column in connection.execute(f"pragma table_xinfo({table})")
    }
    sqlite_indexes = {
        (row["tbl_name"], row["name"])
        for row in connection.execute(
            "select tbl_name, name from sqlite_master where type = 'index' and sql is not null"
        )
    }
    connection.close()

    async def postgres() -> tuple[set[Any], set[Any]]:
        columns = {(row[0], row[1], row[3] == "NO") for row in await described(url) if len(row) == 5}
        connection = await asyncpg.connect(url)
        rows = await connection.fetch("select tablename, indexname from pg_indexes where schemaname = 'public'")
        await connection.close()
        return columns, {tuple(row) for row in rows if not row[1].endswith(("_pkey", "_key"))}

    with databases.migrated() as url:
        columns, indexes = asyncio.run(postgres())

    assert columns == sqlite
    assert indexes == sqlite_indexes


def test_versions_are_the_same_in_both_dialects_and_have_no_gaps():
    names = {
        dialect: [(one.version, one.name) for one in shipped_migrations(dialect)] for dialect in ("sqlite", "postgres")
    }

    assert names["sqlite"] == names["postgres"]
    assert [version for version, _ in names["sqlite"]] == list(range(1, len(names["sqlite"]) + 1))


async def test_what_is_missing_is_applied_once_and_in_order(postgres_url: str):
    assert await migrate_postgres(postgres_url, [PEOPLE]) == [PEOPLE]
    assert await migrate_postgres(postgres_url, [PEOPLE, PETS]) == [PETS]
    assert await migrate_postgres(postgres_url, [PEOPLE, PETS]) == []
    assert await asked(postgres_url, "select id from pets") == "cat; dog"


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(postgres_url: str):
    await migrate_postgres(postgres_url, [PEOPLE])

    with pytest.raises(StorageError, match=r"0003 \(broken\) failed"):
        await migrate_postgres(postgres_url, [PEOPLE, PETS, BROKEN])

    assert await asked(postgres_url, "select to_regclass('pets')") is None
    assert await migrate_postgres(postgres_url, [PEOPLE, PETS]) == [PETS]


async def test_a_schema_of_a_newer_program_is_refused(postgres_url: str):
    newer = Migration(9_999, "newer", "create table newer (id text);\n")
    await migrate_postgres(postgres_url, [*shipped_migrations("postgres"), newer])

    with pytest.raises(SchemaTooNew, match="9999"):
        await open_postgres(postgres_url)
    with pytest.raises(SchemaTooNew):
        await migrate_postgres(postgres_url, shipped_migrations("postgres"))


async def test_a_server_makes_the_schema_in_an_empty_database_and_changes_no_other(
    databases: Databases, postgres_url: str
):
    await (await open_postgres(postgres_url)).close()
    assert await asked(postgres_url, "select max(version) from schema_migrations") == len(
        shipped_migrations("postgres")
    )

    with databases.fresh() as older:
        await migrate_postgres(older, shipped_migrations("postgres")[:1])
        with pytest.raises(SchemaTooOld, match="0002"):
            await open_postgres(older)
        assert await asked(older, "select max(version) from schema_migrations") == 1


async def test_a_database_in_another_encoding_is_refused(databases: Databases):
    with (
        databases.fresh("encoding 'LATIN1' locale 'C'") as latin,
        pytest.raises(StorageError, match="UTF8"),
    ):
        await open_postgres(latin)


async def test_processes_that_migrate_at_once_apply_everything_once(postgres_url: str):
    program = (
        "import asyncio, sys; from moonlatch.storage.postgres.migration import migrate_postgres;"
        "from moonlatch.storage.migration import shipped_migrations;"
        "print(len(asyncio.run(migrate_postgres(sys.argv[1], shipped_migrations('postgres')))))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, postgres_url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    printed = [await process.communicate() for process in processes]

    assert [errors.decode() for _, errors in printed] == [""] * 4
    assert sorted(int(count) for count, _ in printed) == [0, 0, 0, len(shipped_migrations("postgres"))]
