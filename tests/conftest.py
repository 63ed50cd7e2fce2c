"""PostgreSQL and Redis for every test that asks for them; nothing is started before the first one does."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.answered import FOLDER_VARIABLE, answered, declared
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


# Shells start jobs in the background without SIGINT, and every process inherits that: what tests interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST_NAME = 40
"""Of a parameter's value in the name of a test, in characters."""


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Cut long texts: a test is told to each process, and in each report, by its whole name."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return f"{val[:LONGEST_NAME]!a} and so on, {len(val)} in all"
    return None


def pytest_configure(config: pytest.Config) -> None:
    # Known also where the tests are run without the plugin that reads it.
    config.addinivalue_line("markers", "xdist_group(name): to be run by one process")
    if is_first(config):
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="moonlatch-answered-")


# What is collected stays to the end, in every process that shares the work: looking through its million objects for garbage
# takes a third of the time of collecting them.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of a module that share something to one process, which makes it once: a server, most of all, and its data.

    Those of each engine go for themselves, and each of any other module. First, for what parts the tests reads the marks.
    """
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("xdist_group") is None:
            shared = shared_fixtures(item)
            if shared:
                values = item.callspec.params if hasattr(item, "callspec") else {}
                kinds = [str(values[name]) for name in sorted(shared & values.keys())]
                item.add_marker(pytest.mark.xdist_group("-".join([item.module.__name__, *kinds])))


def shared_fixtures(item: pytest.Function) -> set[str]:
    """Names of a test's fixtures that its module, or its folder, has one of."""
    return {
        name
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()
        if definitions[-1].scope in ("module", "package") and not name.startswith("_")
    }


def is_first(config: pytest.Config) -> bool:
    """Return whether this is the process that was started, and not one that it started to share the work."""
    return not hasattr(config, "workerinput")


def runs_all_of_management(config: pytest.Config) -> bool:
    whole = {Path(__file__).parent, Path(__file__).parent / "management"}
    asked = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    options = config.option
    return bool(whole & asked) and not (options.keyword or options.markexpr or getattr(options, "lf", False))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when an endpoint's own error was answered to no test: only the whole of them can tell."""
    if not is_first(session.config):
        return
    folder = Path(os.environ.pop(FOLDER_VARIABLE))
    untested = declared() - answered(folder)
    shutil.rmtree(folder)
    if untested and session.exitstatus == 0 and runs_all_of_management(session.config):
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None
        for method, path, code, message in sorted(untested):
            reporter.write_line(f"UNTESTED {method} {path}: no test was answered {code} ({message})", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
