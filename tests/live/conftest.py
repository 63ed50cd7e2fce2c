from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonlatch.live.memory import LocalLive
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.client_server import MovableClock
from support.database import database
from support.live import AnyLive, empty, redis_live

__all__ = ["database"]

ENGINES = ["memory", "redis"]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(params=ENGINES)
async def live(
    request: pytest.FixtureRequest, database: SqliteDatabase, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[AnyLive]:
    """Either engine, empty."""
    if request.param == "memory":
        local = LocalLive(database=database, clock=clock)
        yield local
        await empty(local)
        return
    async with redis_live(request.getfixturevalue("redis_url"), database, clock) as shared:
        yield shared


@pytest.fixture(autouse=True)
def _without_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most sessions here are of scripts that no database knows, which the sweep would find out."""
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 3_600)
