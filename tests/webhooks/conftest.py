"""A deliverer on a real database of each engine, and receivers on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.client_server import MovableClock
from support.database import ENGINES, engine_url, opened_at
from support.hooks import Hooks, hooks_on
from support.receiver import Receiver, receiver


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest.fixture
async def hooks(database_url: str, tmp_path: Path) -> AsyncIterator[Hooks]:
    async with opened_at(database_url, tmp_path) as database, hooks_on(database, MovableClock()) as made:
        yield made


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running
