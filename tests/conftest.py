"""PostgreSQL and Redis for every test that asks for them; nothing is started before the first one does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.services import (
    DATABASE_URL_VARIABLE,
    REDIS_URL_VARIABLE,
    Databases,
    PostgresServer,
    RedisServer,
    numbered_redis,
    redis_command,
    running,
)

# An example that is slow by the clock says that the machine is busy, and nothing of the code.
settings.register_profile("moonlatch", deadline=None)
settings.load_profile("moonlatch")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Fresh PostgreSQL databases, on the server that a variable names or on one of our own that does not flush to disk."""
    with contextlib.ExitStack() as ending:
        url = os.environ.get(DATABASE_URL_VARIABLE) or ending.enter_context(running(PostgresServer())).url("postgres")
        yield ending.enter_context(contextlib.closing(Databases(url)))


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own."""
    with databases.fresh() as url:
        yield url


@pytest.fixture(scope="session")
def _redis() -> Iterator[str]:
    named = os.environ.get(REDIS_URL_VARIABLE)
    if named:
        yield numbered_redis(named)
        return
    with running(RedisServer()) as server:
        yield server.url(0)


@pytest.fixture
def redis_url(_redis: str) -> str:
    """The URL of an empty Redis database that no other test uses at the same time."""
    redis_command(_redis, "FLUSHDB")
    return _redis


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own that flushes to disk: to be stopped, killed, paused and started again."""
    with running(PostgresServer(durable=True)) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis server of the test's own: to be stopped, killed, paused and started again."""
    with running(RedisServer()) as server:
        yield server
