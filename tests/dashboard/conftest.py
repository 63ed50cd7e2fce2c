"""One real server and one seller's installation for the whole folder; a browser for each module, a page for each test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from support.browser import Visit, open_page, running_browser
from support.developer import Developer
from support.discord import FakeDiscord, fake_discord
from support.server import MoonlatchServer, free_port
from support.shop import Shop, opened_shop

# What is waited for comes within a second; a machine that is busy with other tests takes longer.
expect.set_options(timeout=60_000)

DISCORD_PORT = free_port()
"""Where a Discord of our own is, while a test runs one."""

SETTINGS = {
    "MOONLATCH_DISCORD__BASE_URL": f"http://127.0.0.1:{DISCORD_PORT}",
    "MOONLATCH_CLIENT__HEARTBEAT_SECONDS": "5",
    "MOONLATCH_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8",
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "10000",
    "MOONLATCH_MANAGEMENT__BURST": "10000",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="folder for screenshots of every page")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All in one process: the browser is the largest thing that any test starts. First, for what parts the tests reads the mark."""
    for item in items:
        if item.nodeid.startswith("tests/dashboard/"):
            item.add_marker(pytest.mark.xdist_group("dashboard"))


@pytest.fixture(scope="module")
def discord() -> Iterator[FakeDiscord]:
    """A Discord of our own, in a thread: the browser has this one."""
    began, ending, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        async with fake_discord(DISCORD_PORT) as running:
            found.append(running)
            began.set()
            await asyncio.to_thread(ending.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    began.wait()
    yield found[0]
    ending.set()
    thread.join()


@pytest.fixture(scope="package")
def stopped_server(tmp_path_factory: pytest.TempPathFactory) -> MoonlatchServer:
    return MoonlatchServer(tmp_path_factory.mktemp("dashboard") / "data", SETTINGS)


@pytest.fixture(scope="package")
def token(stopped_server: MoonlatchServer) -> str:
    return stopped_server.new_account("Night market")


@pytest.fixture(scope="package")
def server(stopped_server: MoonlatchServer, token: str) -> Iterator[MoonlatchServer]:
    with stopped_server as running:
        yield running


@pytest.fixture(scope="package")
def developer(server: MoonlatchServer, token: str) -> Iterator[Developer]:
    with Developer(server.url, token) as caller:
        yield caller


@pytest.fixture(scope="package")
def shop(developer: Developer) -> Shop:
    return opened_shop(developer)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of one module: while it is there, no test with an event loop of its own can run in this process."""
    with running_browser() as running:
        yield running


OpenPage = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="module")
def opening(browser: Browser, server: MoonlatchServer, token: str) -> OpenPage:
    """Opens further pages, with options of their own."""
    return partial(open_page, browser, server.url, token)


@pytest.fixture
def visit(opening: OpenPage) -> Iterator[Visit]:
    """A page that nobody has signed in on."""
    with opening() as opened:
        yield opened


@pytest.fixture
def seller(visit: Visit, shop: Shop) -> Visit:
    """A page on which the owner of the shop is signed in."""
    visit.arrive(f"/projects/{shop.project}/overview")
    return visit
