"""One server per test file and database engine, so that hundreds of small tests stay quick; every test has an account of its own."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support.database import ENGINES, engine_url
from support.management import Api, Developer, running_api


@pytest.fixture(scope="module", params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api"), database_url=database_url) as running:
        yield running


@pytest.fixture
def api(server: Api) -> Api:
    """The server, with the real time."""
    server.clock.ahead_ms = 0
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def me(api: Api) -> Developer:
    """A developer without limits."""
    return await api.developer()


@pytest_asyncio.fixture(loop_scope="module")
async def project(me: Developer) -> str:
    return await me.new_project()


@pytest_asyncio.fixture(loop_scope="module")
async def script(me: Developer, project: str) -> str:
    return await me.new_script(project)


@pytest_asyncio.fixture(loop_scope="module")
async def key(me: Developer, project: str) -> str:
    return await me.new_user(project)
