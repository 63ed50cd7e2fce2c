"""A seller on a real database of each engine, and a Discord of our own on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.database import ENGINES, engine_url, opened_at
from support.discord import ADMINS, STAFF, FakeDiscord, Person, fake_discord
from support.discord_seller import Seller, seller_on


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with engine_url(request, request.param) as url:
        yield url


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with fake_discord() as running:
        yield running


@pytest.fixture
async def seller(database_url: str, tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Seller]:
    async with opened_at(database_url, tmp_path) as database, seller_on(database, discord) as made:
        yield made


@pytest.fixture
def customer(discord: FakeDiscord) -> Person:
    return discord.join(Person(name="@everyone **bold**"))


@pytest.fixture
def staff(discord: FakeDiscord) -> Person:
    return discord.join(Person(name="staff", roles={STAFF}))


@pytest.fixture
def admin(discord: FakeDiscord) -> Person:
    return discord.join(Person(name="admin", roles={ADMINS}))
