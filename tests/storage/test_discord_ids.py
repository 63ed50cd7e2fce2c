"""The migration that gives Discord ids their one spelling: nobody loses theirs, and nobody gets another's."""

import contextlib
from pathlib import Path

import asyncpg

from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.migration import migrate_postgres
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.migration import migrate
from support.services import Databases

BEFORE, THEN = 8, 9
ADD_ACCOUNT = (
    "insert into accounts (id, name, tier, created_at, obfuscation_period_start) values ('ann', 'ann', 'free', 1, 1)"
)
ADD_PROJECTS = "insert into projects (id, account_id, name, created_at) values ('one', 'ann', 'one', 1), ('other', 'ann', 'other', 1)"
FOUND = "select key, discord_id from users"
IDS = {
    "plain": "1",
    "mention": "<@2>",
    "old mention": "<@!3>",
    "spaces": " 4 ",
    "taken": " 1 ",
    "twin": "<@5>",
    "other twin": "5 ",
    "a role's": "<@&6>",
    "a name": " ann ",
    "blank": " ",
}
PEOPLE = [
    *((key, "one", discord_id) for key, discord_id in IDS.items()),
    ("elsewhere", "other", " 1"),
    ("none", "other", None),
]
AFTER = IDS | {"mention": "2", "old mention": "3", "spaces": "4", "elsewhere": "1", "none": None}


def test_ids_get_their_one_spelling_unless_somebody_has_it(tmp_path: Path) -> None:
    with contextlib.closing(connect_writer(tmp_path / "moonlatch.db")) as connection:
        migrate(connection, shipped_migrations("sqlite")[:BEFORE])
        connection.execute(ADD_ACCOUNT)
        connection.execute(ADD_PROJECTS)
        connection.executemany(
            "insert into users (key, project_id, discord_id, created_at) values (?, ?, ?, 1)", PEOPLE
        )
        migrate(connection, shipped_migrations("sqlite")[:THEN])
        assert dict(map(tuple, connection.execute(FOUND))) == AFTER


async def test_they_do_so_in_postgresql(databases: Databases) -> None:
    with databases.fresh() as url:
        await migrate_postgres(url, shipped_migrations("postgres")[:BEFORE])
        connection = await asyncpg.connect(url)
        await connection.execute(ADD_ACCOUNT)
        await connection.execute(ADD_PROJECTS)
        await connection.executemany(
            "insert into users (key, project_id, discord_id, created_at) values ($1, $2, $3, 1)", PEOPLE
        )
        await migrate_postgres(url, shipped_migrations("postgres")[:THEN])
        assert {row["key"]: row["discord_id"] for row in await connection.fetch(FOUND)} == AFTER
        await connection.close()
