"""Schema versions of a SQLite file: applied once, whole, by one process at a time, and never backwards."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from moonlatch.storage import projects
from moonlatch.storage.interface import StorageError
from moonlatch.storage.migration import Migration, SchemaTooNew, shipped_migrations
from moonlatch.storage.projects import Project
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.engine import open_sqlite
from moonlatch.storage.sqlite.migration import migrate
from support.accounts import account_ids, add_account
from support.database import opened

PEOPLE = Migration(1, "people", "create table people (id text primary key);\n")
PETS = Migration(
    2,
    "pets",
    """-- A comment; with a semicolon.
create table pets (
    name text not null, -- another; one
    owner text references people (id)
);
create index pets_of on pets (owner);
insert into people values ('a;b');
create trigger welcome after insert on people begin
    insert into pets values ('cat', new.id);
end;
""",
)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}


def test_a_new_file_gets_every_shipped_migration_once(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")

    first = migrate(connection, shipped_migrations("sqlite"))
    second = migrate(connection, shipped_migrations("sqlite"))

    assert first == shipped_migrations("sqlite")
    assert second == []
    assert {"accounts", "users", "schema_migrations"} <= tables(connection)
    recorded = connection.execute("select version, name from schema_migrations order by version").fetchall()
    assert [tuple(row) for row in recorded] == [(found.version, found.name) for found in shipped_migrations("sqlite")]


def test_shipped_migrations_are_numbered_from_one_without_gaps():
    versions = [migration.version for migration in shipped_migrations("sqlite")]

    assert versions == list(range(1, len(versions) + 1))
    assert shipped_migrations("sqlite")[0].name == "initial"


async def test_projects_that_are_there_go_on_without_asking_for_devices_and_new_ones_ask(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    connection = connect_writer(path)
    migrate(connection, shipped_migrations("sqlite")[:6])
    connection.execute(
        "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('ann', 'ann', 'free', 1, 1)"
    )
    connection.execute("insert into projects (id, account_id, name, created_at) values ('old', 'ann', 'old', 1)")
    connection.close()

    async with opened(path) as database:
        new = Project(id="new", account_id="ann", name="new", created_at=2)
        await database.run(lambda tx: projects.insert(tx, new))

        found = await projects.list_of_account(database, "ann", offset=0, limit=9)
        assert [(project.id, project.require_fingerprint) for project in found] == [("old", False), ("new", True)]


def test_only_what_is_missing_is_applied(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")
    migrate(connection, [PEOPLE])
    connection.execute("insert into people values ('ann')")

    assert migrate(connection, [PEOPLE, PETS]) == [PETS]

    assert tables(connection) >= {"people", "pets"}
    assert [tuple(row) for row in connection.execute("select id from people")] == [("ann",), ("a;b",)]
    connection.execute("insert into people values ('bob')")
    assert [tuple(row) for row in connection.execute("select * from pets")] == [("cat", "bob")]


def test_a_broken_migration_takes_back_all_of_them_and_names_itself(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")
    broken = Migration(3, "toys", "create table toys (id text);\ncreate table nonsense (;\n")

    with pytest.raises(StorageError, match=r"0003 \(toys\)"):
        migrate(connection, [PEOPLE, PETS, broken])

    assert tables(connection) == set()
    assert migrate(connection, [PEOPLE, PETS]) == [PEOPLE, PETS]


def test_a_migration_that_breaks_a_reference_is_taken_back(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")
    migrate(connection, [PEOPLE, PETS])
    orphan = Migration(3, "orphan", "insert into pets values ('dog', 'nobody');\n")

    with pytest.raises(StorageError, match="pets refers to a missing row of people"):
        migrate(connection, [PEOPLE, PETS, orphan])

    assert connection.execute("select count(*) from pets").fetchone()[0] == 0


def test_references_are_enforced_after_migrating_well_or_badly(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")
    migrate(connection, [PEOPLE])
    assert connection.execute("pragma foreign_keys").fetchone()[0] == 1

    with pytest.raises(StorageError):
        migrate(connection, [PEOPLE, Migration(2, "bad", "nonsense;\n")])
    assert connection.execute("pragma foreign_keys").fetchone()[0] == 1


def test_a_file_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path):
    connection = connect_writer(tmp_path / "a.db")
    migrate(connection, [PEOPLE, PETS])

    with pytest.raises(SchemaTooNew, match=r"version 2.*up to 1"):
        migrate(connection, [PEOPLE])

    assert tables(connection) == {"people", "pets", "schema_migrations"}


async def test_opening_refuses_a_file_of_a_newer_program(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    async with opened(path) as database:
        await add_account(database, "ann")
    with sqlite3.connect(path) as connection:
        connection.execute("insert into schema_migrations values (9999, 'from_the_future', 1)")
    connection.close()

    with pytest.raises(SchemaTooNew, match="9999"):
        await open_sqlite(path)


async def test_opening_again_keeps_what_is_there(tmp_path: Path):
    path = tmp_path / "moonlatch.db"
    for name in ("ann", "bob"):
        async with opened(path) as database:
            await add_account(database, name)

    async with opened(path) as database:
        assert await account_ids(database) == ["ann", "bob"]


async def test_processes_that_start_at_once_migrate_a_new_file_once(tmp_path: Path):
    program = """
import asyncio, sys
from pathlib import Path
from moonlatch.storage.sqlite.engine import open_sqlite

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    database = await open_sqlite(Path(sys.argv[1]))
    await database.close()

asyncio.run(main())
"""
    path = tmp_path / "moonlatch.db"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            str(path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:  # all have imported, and wait for the word
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [(process.returncode, errors) for process, (_, errors) in zip(processes, outputs, strict=True)] == [
        (0, b"")
    ] * 4
    connection = sqlite3.connect(path)
    assert connection.execute("select count(*) from schema_migrations").fetchone()[0] == len(
        shipped_migrations("sqlite")
    )
    connection.close()
