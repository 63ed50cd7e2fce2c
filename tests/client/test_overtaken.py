"""Changes that arrive while a copy is being judged by the facts of before: it does not go on by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from moonlatch.storage.interface import HotRow, Query
from moonlatch.storage.licences import BEATING_USER, CONNECTED_USER
from support.client import Copy, Refused
from support.client_server import World, another_process, running_world
from support.live import eventually

Change = Callable[[World, Copy, str], Awaitable[None]]


@pytest.fixture(autouse=True)
def _without_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which finds out everything in the end."""
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 3_600)


@pytest.fixture(params=["one process", "another process"])
async def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    """Where copies are judged, and where things are changed."""
    if request.param == "one process":
        async with running_world(tmp_path) as world:
            yield world, world
        return
    redis_url = request.getfixturevalue("redis_url")
    async with (
        running_world(tmp_path, redis_url=redis_url) as world,
        another_process(world.database, world.clock, redis_url=redis_url) as other,
    ):
        other.project = world.project
        yield world, other


async def stop(world: World, copy: Copy, _user: str) -> None:
    await world.change("update executions set stopped = 'DISCONNECTED' where id = :id", id=copy.instance)
    await world.live.end_copy(copy.instance)


async def revoke(world: World, _copy: Copy, user: str) -> None:
    await world.change("update users set instances_since = :now where id = :id", now=world.clock(), id=user)
    await world.live.user_changed(user)
    await world.live.stop_copies_of(user)


async def blacklist(world: World, _copy: Copy, user: str) -> None:
    await world.change("update users set blacklisted = true where id = :id", id=user)
    await world.live.user_changed(user)


async def disable(world: World, copy: Copy, _user: str) -> None:
    await world.change("update scripts set enabled = false")
    await world.live.script_changed(copy.client.script)


CHANGES: list[tuple[Change, str]] = [
    (stop, "DISCONNECTED"),
    (revoke, "DISCONNECTED"),
    (blacklist, "BLACKLISTED"),
    (disable, "SCRIPT_DISABLED"),
]


class ChangedAfterwards:
    """A database that is asked, and changed before the answer arrives."""

    def __init__(self, world: World, query: Query, change: Callable[[], Awaitable[None]]) -> None:
        self._database = world.database
        self._query = query
        self._change: Callable[[], Awaitable[None]] | None = change
        self.fetch_one = world.database.fetch_one

    async def ask(self, query: Query, values: tuple[Any, ...]) -> HotRow | None:
        asked = self._database.ask(query, values)
        row = asked if asked is None or isinstance(asked, tuple) else await asked
        change = self._change
        if query is self._query and change is not None:
            self._change = None
            await change()
        return row


async def running(world: World) -> tuple[Copy, str]:
    """A copy of a key's, and the id of its user."""
    key = await world.user()
    return await (await world.script()).execute(key=key), await world.id_of(key)


@pytest.mark.parametrize(("change", "code"), CHANGES)
async def test_a_session_that_is_opened_meanwhile_is_stopped_at_once(
    worlds: tuple[World, World], change: Change, code: str
) -> None:
    world, elsewhere = worlds
    copy, user = await running(world)
    world.break_database(ChangedAfterwards(world, CONNECTED_USER, lambda: change(elsewhere, copy, user)))
    async with asyncio.timeout(20):
        wire = await copy.connect()
        said = await wire.receive()
        if said["type"] == "opened":
            said = await wire.receive()
    assert (said["type"], said.get("code")) == ("stop", code)
    assert world.live.open_sessions == 0


@pytest.mark.parametrize(("change", "code"), CHANGES)
async def test_a_beat_that_arrives_meanwhile_keeps_nothing_alive(
    worlds: tuple[World, World], change: Change, code: str
) -> None:
    world, elsewhere = worlds
    copy, user = await running(world)

    async def changed() -> None:
        known = world.live.changes
        await change(elsewhere, copy, user)
        while world.live.changes == known:  # beats are answered without a task, which timeouts need
            await asyncio.sleep(0.005)

    world.break_database(ChangedAfterwards(world, BEATING_USER, changed))
    with pytest.raises(Refused, match=code):
        await copy.beat()
    await eventually(lambda: has_no_copies(world, user))


async def has_no_copies(world: World, user: str) -> bool:
    return await world.live.instances_of(user) == 0
