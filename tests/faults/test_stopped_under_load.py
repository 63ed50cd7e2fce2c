"""Copies that are stopped, one by one and all of a key, while they start, beat and open sessions: none goes on after the answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import pytest

from moonlatch.master_key import MasterKeySource
from moonlatch.web.close_codes import STOPPED, TAKEN_OVER
from support.client import Client, Copy, Refused, Wire
from support.developer import Developer
from support.rounds import rounds
from support.server import MoonlatchServer
from support.services import Databases

STOPS = rounds(6, 120)
COPIES = 12
HEARD_SECONDS = 8.0
"""Well below the time within which a sweep would find out."""


@dataclass
class Life:
    """A copy's: when its start was answered, the latest that was granted it, and the sessions it opened."""

    copy: Copy
    started: float
    asked: float = 0.0
    """When it asked for what it was granted last."""
    wires: list[Wire] = field(default_factory=list)
    is_over: bool = False


class Crowd:
    """Copies of one key that are always starting, beating and opening sessions."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self.lives: list[Life] = []
        self.is_ending = False

    async def run(self) -> None:
        await asyncio.gather(*(self._live_on(random.Random(number)) for number in range(COPIES)))

    async def _live_on(self, choice: random.Random) -> None:
        while not self.is_ending:
            life = Life(await self._client.execute(key=self._key), time.monotonic())
            self.lives.append(life)
            with contextlib.suppress(Refused):
                while not self.is_ending:
                    asked = time.monotonic()
                    if choice.random() < 0.5:
                        await life.copy.beat()
                        life.asked = asked
                    elif not await self._opened(life):
                        break
            life.is_over = not self.is_ending

    async def _opened(self, life: Life) -> bool:
        asked = time.monotonic()
        wire = await life.copy.connect()
        said = await wire.receive()
        if said["type"] == "stop":
            return False
        if said["type"] == "opened":
            life.asked = asked
            life.wires.append(wire)
        return True


@contextlib.asynccontextmanager
async def stopped_at_last(server: MoonlatchServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.start)
    try:
        yield
    finally:
        await asyncio.to_thread(server.kill)


async def loader_of(server: MoonlatchServer, database_url: str | None) -> str:
    if not database_url:
        with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as file:
            return str(file.execute("select loader from scripts where loader is not null").fetchone()[0])
    connection = await asyncpg.connect(database_url)
    try:
        return str(await connection.fetchval("select loader from scripts where loader is not null"))
    finally:
        await connection.close()


@pytest.mark.parametrize("engines", ["sqlite, memory", "postgres, redis"])
async def test_no_copy_goes_on_after_it_was_stopped(
    request: pytest.FixtureRequest, tmp_path: Path, engines: str
) -> None:
    settings = {
        "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
        "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "1000",
    }
    with contextlib.ExitStack() as ending:
        if engines == "postgres, redis":
            databases: Databases = request.getfixturevalue("databases")
            settings["MOONLATCH_DATABASE_URL"] = ending.enter_context(databases.migrated())
            settings["MOONLATCH_REDIS_URL"] = request.getfixturevalue("redis_url")
            settings["MOONLATCH_WORKERS"] = "2"
        server = MoonlatchServer(tmp_path / "data", settings)
        token = await asyncio.to_thread(server.new_account, "ann")
        async with stopped_at_last(server):
            with Developer(server.url, token) as me:
                project = await asyncio.to_thread(me.new_project)
                script = await asyncio.to_thread(me.new_script, project, "print(1)")
                key = await asyncio.to_thread(me.new_key, project)
            loader = await loader_of(server, settings.get("MOONLATCH_DATABASE_URL"))
            secret = MasterKeySource(server.data).open().loader_secret(loader)
            async with httpx.AsyncClient(base_url=server.url, headers={"token": token}, timeout=60) as http:
                await check(http, Crowd(Client(server.url, script, loader, secret, http), key), script, key)


async def check(http: httpx.AsyncClient, crowd: Crowd, script: str, key: str) -> None:
    running = asyncio.create_task(crowd.run())
    try:
        for number in range(STOPS):
            until = time.monotonic() + random.uniform(0.05, 0.6)
            while time.monotonic() < until or len(crowd.lives) < COPIES * (number + 1) // 2:
                if running.done():
                    running.result()
                await asyncio.sleep(0.01)
            before = time.monotonic()
            if number % 2:
                (await http.post(f"/users/{key}/revoke_instances", json={})).raise_for_status()
                stopped = [life for life in crowd.lives if life.started < before]
            else:
                stopped = await stop_each(http, crowd, script)
            answered = time.monotonic()
            await ended(stopped, answered)
    finally:
        crowd.is_ending = True
        await running


async def stop_each(http: httpx.AsyncClient, crowd: Crowd, script: str) -> list[Life]:
    """Some of the copies that are listed, each by itself."""
    listed = (await http.get(f"/scripts/{script}/instances?limit=5")).json()["instances"]
    replies = await asyncio.gather(*(http.post(f"/instances/{each['id']}/stop", json={}) for each in listed))
    done = {each["id"] for each, reply in zip(listed, replies, strict=True) if reply.status_code == 200}
    return [life for life in crowd.lives if life.copy.instance in done]


async def ended(stopped: list[Life], answered: float) -> None:
    """Every one of them is refused, was granted nothing that it asked for later, and hears of it on each of its sessions."""
    async with asyncio.timeout(HEARD_SECONDS):
        for life in stopped:
            while not life.is_over:
                await asyncio.sleep(0.01)
            assert life.asked <= answered, f"granted {life.asked - answered:.3f} s after the answer"
            for wire in life.wires:
                await wire.socket.wait_closed()
                assert wire.socket.close_code in {STOPPED, TAKEN_OVER[0]}
            life.wires.clear()
