"""A served world for the transport, and a database for limits that processes share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.client_server import World, running_world
from support.database import database

__all__ = ["database"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as fresh:
        yield fresh
