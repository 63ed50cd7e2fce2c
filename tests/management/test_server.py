"""What the API says of the server itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from moonlatch import __version__
from moonlatch.management.readiness import About, Engine
from support.management import TIERS, Api, done, running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def works() -> None:
    """As an engine that answers."""


async def is_away() -> None:
    raise ConnectionError


@pytest_asyncio.fixture(loop_scope="module")
async def telling(tmp_path: Path) -> AsyncIterator[Api]:
    about = About("https://your.host", [Engine("database", "sqlite", works), Engine("live", "redis", is_away)])
    async with running_api(tmp_path, about=about) as running:
        yield running


async def test_it_tells_its_address_engines_and_tiers(telling: Api) -> None:
    me = await telling.developer()
    server = done(await me.get("/server"))["server"]
    assert (server["version"], server["public_url"]) == (__version__, "https://your.host")
    assert server["public_key"] == telling.keyring.public_key.hex()
    assert server["engines"] == [
        {"name": "database", "kind": "sqlite", "works": True},
        {"name": "live", "kind": "redis", "works": False},
    ]
    assert {tier["name"]: tier["users"] for tier in server["tiers"]} == {
        name: tier.users for name, tier in TIERS.items()
    }
