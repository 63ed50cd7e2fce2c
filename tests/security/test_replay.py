"""What somebody recorded of real clients and sends again: now, later, after a lapse, a restart and the retention. Nothing of it is taken."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from moonlatch.client.loader_source import loader_source
from moonlatch.clock import DAY_MS
from moonlatch.live import redis_connection
from moonlatch.live.interface import KEPT_MOMENTS_MS
from support.client import Client, Copy, Refused
from support.client_server import World, another_process, plain_http, running_world
from support.lua_host import LoaderRun
from support.recording import Recorder, recording, was_accepted
from support.rounds import rounds
from support.services import Databases, redis_command

OWNERS = rounds(20, 120)
LEASE_MS = 110_000
AT_ONCE = 16


@pytest.fixture(params=["sqlite, alone", "sqlite, redis", "postgres, redis"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    database, live = request.param.split(", ")
    settings = {}
    with contextlib.ExitStack() as ending:
        if database == "postgres":
            databases: Databases = request.getfixturevalue("databases")
            settings["database_url"] = ending.enter_context(databases.migrated())
        if live == "redis":
            settings["redis_url"] = request.getfixturevalue("redis_url")
        async with running_world(tmp_path, **settings) as fresh:
            fresh.redis_url = settings.get("redis_url")
            fresh.clock.ahead_ms += 15_000  # a directory that is new corrects everybody's clock at first
            yield fresh


@pytest.fixture
async def recorder(world: World) -> AsyncIterator[Recorder]:
    async with recording(world.url) as proxy:
        yield proxy


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """One connection for each request, so that each is recorded by itself."""
    async with plain_http(timeout=60, limits=httpx.Limits(max_keepalive_connections=0, max_connections=AT_ONCE)) as one:
        yield one


AHEAD = "f" * 32
"""The end of a nonce whose moment is still to come."""


async def refused(client: Client, request: dict[str, object]) -> str:
    with pytest.raises(Refused) as caught:
        await client.send_execute(request)
    return caught.value.code


async def live_of_an_owner(world: World, client: Client, key: str) -> tuple[Copy, bytes]:
    """Everything that a loader asks of the server, refused and granted; gives the copy, which runs, and the moment of a beat that was too early."""
    user, away = await world.id_of(key), client.moments.next() + 20_000
    assert await refused(client, client.request(key=key, nonce=f"{away:011x}" + AHEAD)) == "CLOCK_WRONG"
    assert await refused(client, client.request(key=key, nonce=f"{away - 200_000:011x}" + "a" * 32)) == "CLOCK_WRONG"
    await world.change("update users set key_expires = 1 where id = :id", id=user)
    assert await refused(client, client.request(key=key)) == "KEY_EXPIRED"
    await world.change("update users set key_expires = null where id = :id", id=user)
    copy = await client.execute(key=key)
    assert await refused(client, client.request(key=key)) == "TOO_MANY_INSTANCES"
    for _ in range(8):
        await copy.beat()
    for _ in range(3):
        wire = await copy.session()
        await wire.socket.close()
        await wire.socket.wait_closed()
    early = copy.moments.next() + 60_000
    with pytest.raises(Refused):
        await copy.beat(early)
    return copy, str(early).encode()


async def accepted_of(url: str, recorded: list[bytes]) -> int:
    """How many of them a server takes, in a random order."""
    order, turns = random.sample(recorded, len(recorded)), asyncio.Semaphore(AT_ONCE)

    async def one(sent: bytes) -> bool:
        async with turns:
            return await was_accepted(url, sent)

    return sum(await asyncio.gather(*map(one, order)))


async def executions(world: World) -> int:
    return int(await world.value("select sum(total_executions) from scripts"))


async def test_nothing_recorded_is_taken_again(world: World, recorder: Recorder, http: httpx.AsyncClient) -> None:
    script = await world.script()
    owners = [
        (dataclasses.replace(script, url=recorder.url, http=http), await world.user(max_instances=1))
        for _ in range(OWNERS)
    ]
    lives: list[tuple[Copy, bytes]] = []
    for number in range(0, OWNERS, AT_ONCE):
        group = owners[number : number + AT_ONCE]
        lives += await asyncio.gather(*(live_of_an_owner(world, client, key) for client, key in group))
    copies = [copy for copy, _ in lives]
    recorded = recorder.recorded
    assert len(recorded) >= 16 * OWNERS, "requests of every kind"
    assert await executions(world) == OWNERS

    # At once, while the copies run; then at any time within what a request may be late.
    assert await accepted_of(world.url, recorded) == 0
    for copy in copies:
        await copy.beat()
    world.clock.ahead_ms += random.randrange(1_000, 30_000)
    assert await accepted_of(world.url, recorded) == 0
    for copy in copies:
        await copy.beat()

    # Another process, or this one after a restart.
    options = {"redis_url": world.redis_url} if world.redis_url else {"since": world.clock()}
    async with another_process(world.database, world.clock, **options) as restarted:
        # What was refused as too early is remembered by the process alone, as SECURITY.md says; its time may have come by now.
        too_early = [] if world.redis_url else [AHEAD.encode(), *(early for _, early in lives)]
        kept = [sent for sent in recorded if not any(moment in sent for moment in too_early)]
        assert await accepted_of(restarted.url, kept) == 0

    # The copies are forgotten, then their starts are.
    recorded = recorder.recorded
    world.clock.ahead_ms += LEASE_MS
    assert await accepted_of(world.url, recorded) == 0
    assert (await world.live.counts(script.script)).instances == 0
    world.clock.ahead_ms += DAY_MS
    await world.change("delete from executions")
    assert await accepted_of(world.url, recorded) == 0
    assert await executions(world) == OWNERS

    # Nobody's place is taken.
    for client, key in owners:
        await client.execute(key=key)


async def test_a_directory_that_lost_everything_takes_nothing_recorded(
    world: World, recorder: Recorder, http: httpx.AsyncClient
) -> None:
    if not world.redis_url:
        pytest.skip("this engine has no directory")
    script, key = await world.script(), await world.user(max_instances=1)
    copy, _ = await live_of_an_owner(world, dataclasses.replace(script, url=recorder.url, http=http), key)
    redis_command(world.redis_url, "FLUSHDB")
    async with asyncio.timeout(60):
        while redis_command(world.redis_url, "EXISTS", "test:since").strip() != ":1":
            await asyncio.sleep(0.05)
    assert await accepted_of(world.url, recorder.recorded) == 0
    await copy.beat()


async def test_what_a_directory_lost_is_not_taken_by_who_has_not_noticed(
    tmp_path: Path, redis_url: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes look every two seconds whether it still knows them; for so long nobody may go by a memory that is gone."""
    monkeypatch.setattr(redis_connection, "TICK_SECONDS", 600.0)
    async with contextlib.AsyncExitStack() as ending:
        first = await ending.enter_async_context(running_world(tmp_path, redis_url=redis_url))
        second = await ending.enter_async_context(another_process(first.database, first.clock, redis_url=redis_url))
        first.clock.ahead_ms += 15_000
        recorder = await ending.enter_async_context(recording(first.url))
        script, key = await first.script(), await first.user(max_instances=1)
        copy, _ = await live_of_an_owner(first, dataclasses.replace(script, url=recorder.url, http=http), key)
        called, until = copy.moments.next(), first.clock() + KEPT_MOMENTS_MS
        assert await first.live.take_moment(copy.instance, called, until)
        recorded = recorder.recorded

        redis_command(redis_url, "FLUSHDB")
        for world in (first, second, first):  # the first begins it anew, of which the second has not heard
            assert not await world.live.take_moment(copy.instance, called, until)
            assert await accepted_of(world.url, recorded) == 0
        for world in (first, second):
            copy.client.url = world.url
            await copy.beat()


async def test_nothing_of_a_real_loader_is_taken_again(world: World, recorder: Recorder) -> None:
    script, key = (
        await world.script(payload=b"print('runs') while true do sleep(0.2) end"),
        await world.user(max_instances=1),
    )
    source = loader_source(
        script_id=script.script,
        loader_id=script.loader,
        secret=script.secret,
        signing_key=world.keyring.public_key,
        exchange_key=world.keyring.exchange_key,
        base_url=recorder.url,
    )
    await world.change("update loaders set source = :source, version = 3", source=source)

    def run() -> LoaderRun:
        return LoaderRun(f"{recorder.url}/loader/{script.script}", key=key, engine="lua54")

    with run() as loader:
        await asyncio.to_thread(loader.wait_line, "runs")
        async with asyncio.timeout(60):
            while not (await world.live.counts(script.script)).sessions:
                await asyncio.sleep(0.02)
    recorded = [sent for sent in recorder.recorded if b"/client/v1/" in sent]
    for path in (b"/client/v1/execute", b"/client/v1/session"):
        assert any(path in sent for sent in recorded)
    async with asyncio.timeout(60):
        while (await world.live.counts(script.script)).sessions:
            await asyncio.sleep(0.02)
    for later_ms in (0, 5_000, LEASE_MS, DAY_MS):
        world.clock.ahead_ms += later_ms
        assert await accepted_of(world.url, recorded) == 0
    # A day passed for the server alone: the loader is told so, and starts.
    with run() as loader:
        await asyncio.to_thread(loader.wait_line, "runs")


async def test_a_start_in_an_earlier_protocol_is_not_one_of_a_loader_that_speaks_the_new_one(world: World) -> None:
    client = await world.script(free_for_all=True)
    assert await client.execute(protocol=1)
    await world.change("update loaders set version = 3")
    assert await client.execute()
    assert await refused(client, client.request(protocol=1)) == "INVALID_REQUEST"


async def test_a_start_of_before_a_memory_that_another_process_began_anew_is_told_the_time(
    tmp_path: Path, redis_url: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "TICK_SECONDS", 600.0)
    async with running_world(tmp_path, redis_url=redis_url) as world:
        world.clock.ahead_ms += 15_000
        script, key = await world.script(), await world.user()
        redis_command(redis_url, "SET", "test:since", str(world.clock()))
        client = dataclasses.replace(script, http=http)
        with pytest.raises(Refused) as refused:
            await client.send_execute(client.request(key=key))
        assert refused.value.code == "CLOCK_WRONG"
        await client.execute(key=key)
