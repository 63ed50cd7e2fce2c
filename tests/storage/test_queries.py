"""Every query of every store: valid SQL under a name of its own, answered by an index, because reads hold up the event loop."""

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator

import asyncpg
import pytest

from moonlatch import storage
from moonlatch.storage.interface import Query
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.statements import asked_many_times, translated
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.migration import migrate
from support.services import Databases

SCANS_ALLOWED = {
    "accounts.remove_executions": {"executions"},  # an operator removes an account once in a long while
    "accounts.list": {"accounts"},  # for the operator; everything is the answer
    "expiry.remove": {"projects"},  # once a minute, and there are few
    "licences.beating_user": {"nobody"},  # the one row that stands for whoever has no user
    "licences.blacklisting": {"nobody"},
    "licences.connected_user": {"nobody"},
    "licences.start_user": {"nobody"},
    "loaders.any": {"loaders"},  # stops at the first
}
"""By query, the tables it may go through from end to end."""


def shipped_queries() -> list[Query]:
    modules = [
        importlib.import_module(f"moonlatch.storage.{found.name}") for found in pkgutil.iter_modules(storage.__path__)
    ]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Query)]


QUERIES = {query.name: query for query in shipped_queries()}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = connect_writer(tmp_path_factory.mktemp("plans") / "moonlatch.db")
    migrate(connection, shipped_migrations("sqlite"))
    yield connection
    connection.close()


def full_scans(connection: sqlite3.Connection, query: Query) -> set[str]:
    """Tables (or their aliases) the query goes through row by row, without a condition on an index."""
    parameters = dict.fromkeys(re.findall(r"(?<!:):(\w+)", query.sql))
    steps = [row["detail"] for row in connection.execute(f"explain query plan {query.sql}", parameters)]
    return {step.split()[1] for step in steps if step.startswith("SCAN")} - {"CONSTANT"}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_is_valid_and_answered_by_an_index(connection: sqlite3.Connection, name: str):
    assert full_scans(connection, QUERIES[name]) == SCANS_ALLOWED.get(name, set())


def test_no_two_queries_share_a_name():
    assert sorted(query.name for query in set(shipped_queries())) == sorted(QUERIES)


def test_a_scan_would_be_noticed(connection: sqlite3.Connection):
    by_note = Query("test.by_note", "select key from users as u where note = :note")

    assert full_scans(connection, by_note) == {"u"}


async def test_every_query_is_valid_in_postgresql_too(databases: Databases):
    with databases.migrated() as url:
        connection = await asyncpg.connect(url)
        for query in QUERIES.values():
            prepared = await connection.prepare(translated(query.sql).sql)
            if query.is_hot:
                types = [kind.name for kind in prepared.get_parameters()]
                await connection.prepare(asked_many_times(query.sql, types))
        await connection.close()
