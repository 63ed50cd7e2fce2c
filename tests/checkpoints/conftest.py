"""One server per test file and database engine, behind a proxy that says who asks; the providers are fakes."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support.ad_providers import AdProviders, ad_providers
from support.database import ENGINES, engine_url
from support.management import Api, Developer, running_api
from support.visitor import Visitor, visitor


@pytest.fixture(scope="module", params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def providers_of_all() -> AsyncIterator[AdProviders]:
    async with ad_providers() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, providers_of_all: AdProviders
) -> AsyncIterator[Api]:
    async with running_api(
        tmp_path_factory.mktemp("checkpoints"),
        database_url=database_url,
        checkpoints=providers_of_all.settings,
        trusted_proxies=("127.0.0.1",),
    ) as running:
        yield running


@pytest.fixture
def providers(providers_of_all: AdProviders) -> AdProviders:
    providers_of_all.fault, providers_of_all.no_status = "", 200
    providers_of_all.deletes, providers_of_all.speaks_json, providers_of_all.reads_loosely = True, False, False
    providers_of_all.asked.clear()
    return providers_of_all


@pytest.fixture
def api(server: Api) -> Api:
    return server


@pytest_asyncio.fixture(loop_scope="module")
async def me(api: Api) -> Developer:
    return await api.developer()


@pytest_asyncio.fixture(loop_scope="module")
async def project(me: Developer) -> str:
    return await me.new_project()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(api: Api) -> AsyncIterator[Visitor]:
    async with visitor(api) as one:
        yield one
