"""Every query of every store: valid SQL under a name of its own, answered by an index, because reads hold up the event loop."""

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator

import asyncpg
import pytest

from moonlatch import storage
from moonlatch.storage import projects, scripts, sealed, user_lists, users
from moonlatch.storage.interface import Query
from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.statements import asked_many_times, translated
from moonlatch.storage.sqlite.connection import connect_writer
from moonlatch.storage.sqlite.migration import migrate
from support.services import Databases


def _scans(query: Query) -> bool:
    """Whether it counts or removes what one master key sealed, for which there is no index."""
    return query.name.split(".")[1].partition("_")[0] in ("total", "under", "forget")


SCANS_ALLOWED = {
    "accounts.remove_executions": {"executions"},  # an operator removes an account once in a long while
    "accounts.list": {"accounts"},  # for the operator; everything is the answer
    "deliveries.release_all": {"deliveries"},  # once, at the start
    "deliveries.count_waiting": {"w"},  # what was found, a thousand at most
    "deliveries.waiting": {"w"},  # the endpoints that were found
    "discord_applications.list": {"discord_applications"},  # one an account that has one, every few seconds
    "discord_roles.waiting": {"a"},  # the same
    "endpoints.unkept": {"p"},  # once, at the start
    "expiry.remove": {"projects"},  # once a minute, and there are few
    "licences.beating_user": {"nobody"},  # the one row that stands for whoever has no user
    "licences.blacklisting": {"nobody"},
    "licences.connected_user": {"nobody"},
    "licences.start_pinned_user": {"nobody"},
    "licences.start_user": {"nobody"},
    "installation.any_removed": {"removed_users"},  # stops at the first
    "installation.any_user": {"users"},
    "key_signals.usages": {"latest"},  # what was found, two at most
    "key_uses.add_use": {"kept"},  # what was found, to count it
    "loaders.any": {"loaders"},
    "loaders.list_starting": {"l"},  # for the operator, beside everything else
    "master_keys.list": {"master_keys"},  # a handful
    "master_keys.retire": {"i"},  # the one row
    # For the operator, and once for a new master key: beside the event loop, or few rows.
    **{name: {query.sql.split(" from ")[1].split()[0]} for name, query in sealed.QUERIES.items() if _scans(query)},
    "projects.executors": {"counted"},  # what was found, to add it up
    "users.add_bars_of_known": {"known"},  # what was found, a hundred at most
    "users.add_bars_of_networks": {"known"},
    **{
        query.name: {"counted"}
        for query in (*user_lists.COUNTS.values(), *user_lists.BY_STATE.values(), user_lists.COUNT_EACH)
    },  # what was found, to count it
}
"""By query, the tables it may go through from end to end."""


def shipped_queries() -> list[Query]:
    modules = [
        importlib.import_module(f"moonlatch.storage.{found.name}") for found in pkgutil.iter_modules(storage.__path__)
    ]
    values = [value for module in modules for value in vars(module).values()]
    values += [each for value in values if isinstance(value, dict) for each in value.values()]
    return [value for value in values if isinstance(value, Query)]


QUERIES = {query.name: query for query in shipped_queries()}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = connect_writer(tmp_path_factory.mktemp("plans") / "moonlatch.db")
    migrate(connection, shipped_migrations("sqlite"))
    yield connection
    connection.close()


def full_scans(connection: sqlite3.Connection, query: Query) -> set[str]:
    """Tables (or their aliases) the query goes through row by row, without a condition on an index."""
    return {step.split()[1] for step in plan(connection, query) if step.startswith("SCAN")} - {"CONSTANT"}


def plan(connection: sqlite3.Connection, query: Query) -> list[str]:
    """The steps by which SQLite answers."""
    parameters = dict.fromkeys(re.findall(r"(?<!:):(\w+)", query.sql))
    return [row["detail"] for row in connection.execute(f"explain query plan {query.sql}", parameters)]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_is_valid_and_answered_by_an_index(connection: sqlite3.Connection, name: str):
    assert full_scans(connection, QUERIES[name]) == SCANS_ALLOWED.get(name, set())


INDEX_OF_LIST = {
    "discord_id": "users_discord",
    "key_starts": "users_by_key_start",
    "key_ends": "users_by_key_end",
    "note": "users_by_note",
    "blacklisted": "users_blacklisted",
    "held": "users_held",
    "expired": "users_by_expiry",
    "unused": "users_unused",
    "all": "users_of_project",
}


def test_a_list_of_users_goes_along_the_index_of_its_condition_in_its_order(connection: sqlite3.Connection):
    for (name, order, _), query in user_lists.LISTS.items():
        is_few = name in ("note", "held", "blacklisted") and order is user_lists.Order.EXPIRES
        index = "users_by_expiry" if (name, order) == ("all", user_lists.Order.EXPIRES) else INDEX_OF_LIST[name]
        steps = plan(connection, query)
        assert [f"INDEX {index} " in step for step in steps[:1]] == [True], (query.name, steps)
        assert len(steps) == (2 if is_few else 1), (query.name, steps)  # sorted, or in the order of the index


def test_executions_of_scripts_are_read_as_they_lie(connection: sqlite3.Connection):
    """Without a look at the table for each row of an index: the overview reads tens of thousands."""
    for query in (projects.EXECUTIONS_BY_SCRIPT, projects.EXECUTORS, scripts.EXECUTIONS_BY_DAY):
        steps = [step for step in plan(connection, query) if re.search(r"SEARCH (d|execution_days) USING", step)]
        assert "USING PRIMARY KEY (script_id=? AND day>?)" in steps[0], (query.name, steps)


def test_users_that_are_named_are_found_by_their_names(connection: sqlite3.Connection):
    assert "(key_hash=?)" in plan(connection, users.FIND_BY_KEYS)[0]
    assert "(id=?)" in plan(connection, users.FIND_BY_IDS)[0]


def test_no_two_queries_share_a_name():
    assert sorted(query.name for query in set(shipped_queries())) == sorted(QUERIES)


def test_a_scan_would_be_noticed(connection: sqlite3.Connection):
    by_note = Query("test.by_note", "select id from users as u where note = :note")

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
