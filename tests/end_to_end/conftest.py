"""One real server for the whole folder, on a data folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.developer import Developer
from support.server import MoonlatchServer

# The tests of this folder share an account and poll it.
SETTINGS = {
    "MOONLATCH_CLIENT__HEARTBEAT_SECONDS": "5",
    "MOONLATCH_TRUSTED_PROXIES": "127.0.0.1",
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "10000",
    "MOONLATCH_MANAGEMENT__BURST": "10000",
}


@pytest.fixture(scope="package")
def stopped_server(tmp_path_factory: pytest.TempPathFactory) -> MoonlatchServer:
    folder: Path = tmp_path_factory.mktemp("server")
    return MoonlatchServer(folder / "data", SETTINGS)


@pytest.fixture(scope="package")
def token(stopped_server: MoonlatchServer) -> str:
    return stopped_server.new_account("end-to-end")


@pytest.fixture(scope="package")
def server(stopped_server: MoonlatchServer, token: str) -> Iterator[MoonlatchServer]:
    with stopped_server as running:
        yield running


@pytest.fixture(scope="package")
def developer(server: MoonlatchServer, token: str) -> Iterator[Developer]:
    with Developer(server.url, token) as caller:
        yield caller


@pytest.fixture
def project(developer: Developer) -> str:
    return developer.new_project()
