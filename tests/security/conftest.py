"""A real server that is attacked on its wire, one for the whole folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from support.server import MoonlatchServer
from support.wire import Target, prepared

SETTINGS = {
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
    "MOONLATCH_CLIENT__LOADERS_PER_SECOND_PER_ADDRESS": "0",
}


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    server = MoonlatchServer(tmp_path_factory.mktemp("wire") / "data", SETTINGS)
    made = asyncio.run(prepared(server))
    with server:
        yield made
