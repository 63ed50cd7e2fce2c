from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.client_server import World, running_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path) as fresh:
        yield fresh
