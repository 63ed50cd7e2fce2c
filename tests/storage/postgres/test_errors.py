"""What is told of a failure in PostgreSQL never quotes a value: it is logged."""

import asyncpg
import pytest

from moonlatch.storage.postgres.errors import storage_error

SECRET = "a-key-of-somebody"


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("select cast($1::text as integer)", SECRET),
        ("select $1::integer", SECRET),
        ("select $1::bigint", 2**70),
        ("select $1::text", f"{SECRET}\0"),
        ("select $1::text", f"{SECRET}\ud800"),
        ("insert into pg_temp.one (name) values ($1), ($1)", SECRET),
    ],
)
async def test_a_value_that_does_not_fit_is_not_quoted(postgres_url: str, statement: str, value: object) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("create temporary table one (name text unique)")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, UnicodeEncodeError)) as caught:
            await connection.fetch(statement, value)
    finally:
        await connection.close()
    told = str(storage_error(caught.value, {}))
    assert told
    assert SECRET not in told
    assert str(2**70) not in told
