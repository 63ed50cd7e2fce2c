"""Whole servers in the test's own loop, as many as wanted, on one PostgreSQL and one Redis that stand behind proxies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from moonlatch.app import Moonlatch, open_moonlatch
from moonlatch.clock import now_ms
from moonlatch.config import Settings
from moonlatch.keyring import Keyring
from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import Database
from support import rows
from support.client import Client, Refused
from support.client_server import plain_http, served
from support.database import opened_at
from support.management import Developer, new_developer
from support.proxy import Proxy, proxied

HEALED_SECONDS = 5.0
DATABASE_DEADLINE_SECONDS = 1.0
REDIS_DEADLINE_SECONDS = 0.5
BUSY_MACHINE_SECONDS = 10.0
"""How late an answer may be because this machine was busy with something else."""


@dataclass
class Process:
    """One server: its parts, and where it listens."""

    moonlatch: Moonlatch
    url: str


@dataclass
class Installation:
    """Two servers behind which both engines can be cut off; `database` goes to PostgreSQL by a way of its own."""

    processes: list[Process]
    postgres: Proxy
    redis: Proxy
    database: Database
    keyring: Keyring
    http: httpx.AsyncClient
    developer: Developer
    project: str

    async def client(self, process: int = 0, **columns: Any) -> Client:
        """A client, through that server, of a fresh script."""
        script, loader = await rows.add_script(self.database, self.project, **columns)
        return self.at(Client("", script, loader, self.keyring.loader_secret(loader), self.http), process)

    async def user(self, **columns: Any) -> str:
        """A fresh key."""
        return await rows.add_user(self.database, self.project, keyring=self.keyring, **columns)

    async def id_of(self, key: str) -> str:
        """The id of the user with that key."""
        return await rows.id_of(self.database, key, keyring=self.keyring)

    def at(self, client: Client, process: int) -> Client:
        """The same client through another server."""
        return Client(self.processes[process].url, client.script, client.loader, client.secret, client.http)

    async def call(self, method: str, path: str, body: Any = None, process: int = 0) -> httpx.Response:
        """A management call that does not wait past the deadlines."""
        began = time.monotonic()
        response = await self.developer.call(method, self.processes[process].url + path, body)
        deadline = DATABASE_DEADLINE_SECONDS + REDIS_DEADLINE_SECONDS + BUSY_MACHINE_SECONDS
        assert time.monotonic() - began < 2 * deadline  # two statements may each wait for theirs
        return response

    @contextlib.asynccontextmanager
    async def cut_off(self, engines: list[Proxy], how: Any) -> AsyncIterator[None]:
        """Without these engines for a while; at the end it has healed within `HEALED_SECONDS`."""
        for engine in engines:
            await engine.cut(how)
        try:
            # A database's connection is found broken by the first who uses it.
            for process in range(len(self.processes)):
                with contextlib.suppress(httpx.TransportError):
                    await self.call("GET", f"/projects/{self.project}", process=process)
            yield
        finally:
            for engine in engines:
                await engine.heal()
        async with asyncio.timeout(HEALED_SECONDS + BUSY_MACHINE_SECONDS):
            while not await self.is_whole():
                await asyncio.sleep(0.05)

    async def is_whole(self) -> bool:
        """Return whether every server answers what needs both engines."""
        script = await rows.value(self.database, "select id from scripts limit 1")
        if script is None:
            script = (await self.client()).script
        answers = [
            await self.call("GET", f"/scripts/{script}", process=process) for process in range(len(self.processes))
        ]
        return all(answer.status_code == 200 for answer in answers)


async def code_of(starting: Any) -> str:
    """The refusal's code of a start or beat that is refused."""
    try:
        await starting
    except Refused as refused:
        return f"{refused.status} {refused.code}"
    return "granted"


@contextlib.asynccontextmanager
async def running_installation(
    folder: Path, postgres_url: str, redis_url: str, *, processes: int = 2
) -> AsyncIterator[Installation]:
    """`postgres_url` names a migrated database, `redis_url` an empty one."""
    async with contextlib.AsyncExitStack() as closing:
        postgres = await closing.enter_async_context(proxied(urlsplit(postgres_url).port or 5432))
        redis = await closing.enter_async_context(proxied(urlsplit(redis_url).port or 6379))
        settings = Settings(
            data_dir=folder,
            database_url=_through(postgres_url, postgres),
            redis_url=_through(redis_url, redis),
            database={"deadline_seconds": DATABASE_DEADLINE_SECONDS},
            redis={"deadline_seconds": REDIS_DEADLINE_SECONDS},
            management={"requests_per_second": 1e6, "burst": 1_000_000},
            client={"executes_per_second_per_address": 1_000, "execute_burst": 100_000},
        )
        running = []
        for _ in range(processes):
            moonlatch = await closing.enter_async_context(open_moonlatch(settings))
            url = await closing.enter_async_context(served(moonlatch.application, moonlatch.http_transport))
            running.append(Process(moonlatch, url))
        database = await closing.enter_async_context(opened_at(postgres_url, folder))
        http = await closing.enter_async_context(plain_http(timeout=60))
        developer = await new_developer(database, http, now_ms())
        installation = Installation(
            running, postgres, redis, database, MasterKeySource(folder).open(), http, developer, ""
        )
        installation.project = (await installation.call("POST", "/projects", {"name": "Game"})).json()["project"]["id"]
        yield installation


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{host[0]}{host[1]}127.0.0.1:{proxy.port}").geturl()
