"""The client protocol on a real loopback socket with a real database, and a clock that tests can move."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from moonlatch.client.protocol import ClientProtocol
from moonlatch.client.reports import ReportLog
from moonlatch.clock import now_ms
from moonlatch.config.sections import ClientSettings, ConnectionSettings
from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import BUILT_IN
from moonlatch.live.memory import LocalLive
from moonlatch.live.redis import RedisLive
from moonlatch.live.redis_directory import RedisDirectory
from moonlatch.operations.context import World as Operations
from moonlatch.storage.interface import Database
from moonlatch.storage.postgres.engine import open_postgres
from moonlatch.web.bounds import MAX_FRAME_BYTES
from moonlatch.web.limits import limits_of_this_process
from moonlatch.web.transport import SessionTransport
from support import rows
from support.client import Client
from support.database import PATIENT, fresh_sqlite
from support.keys import MASTER
from support.quick_server import QuickServer, loopback_listener
from support.quick_transport import QuickTransport

ANY_RATE: dict[str, Any] = {"executes_per_second_per_address": 0, "loaders_per_second_per_address": 0}
"""Of `ClientSettings`: no address may ask too often."""


@dataclass
class MovableClock:
    """The real time, or one at which it stands still, plus what a test added."""

    ahead_ms: int = 0
    stands_at_ms: int | None = None

    def __call__(self) -> int:
        return (now_ms() if self.stands_at_ms is None else self.stands_at_ms) + self.ahead_ms

    def stand_still(self, at_ms: int) -> None:
        """From now on only what a test adds makes time pass."""
        self.stands_at_ms = at_ms


@dataclass
class World:
    """A running server and what stands behind it."""

    url: str
    database: Database
    keyring: Keyring
    live: LocalLive | RedisLive
    app: ClientProtocol
    clock: MovableClock
    http: httpx.AsyncClient
    project: str = ""
    redis_url: str | None = None

    async def script(self, **columns: Any) -> Client:
        """A client of a fresh script of the world's project."""
        script, loader = await rows.add_script(self.database, columns.pop("project", self.project), **columns)
        return self.client(script, loader)

    def client(self, script: str, loader: str) -> Client:
        return Client(
            self.url,
            script,
            loader,
            self.keyring.loader_secret(loader),
            self.http,
            self.clock,
            self.keyring.public_key,
            self.keyring.exchange_key,
        )

    async def user(self, **columns: Any) -> str:
        """A fresh key of the world's project."""
        return await rows.add_user(self.database, columns.pop("project", self.project), **columns)

    async def id_of(self, key: str) -> str:
        """The id of the user with that key."""
        return await rows.id_of(self.database, key)

    def break_database(self, broken: Any) -> None:
        """Put something else in the place of the database, for those who read."""
        self.app._heartbeat._backend.licences._database = broken

    async def change(self, sql: str, **parameters: Any) -> None:
        await rows.change(self.database, sql, **parameters)

    async def value(self, sql: str, **parameters: Any) -> Any:
        return await rows.value(self.database, sql, **parameters)


def plain_http(*, limits: httpx.Limits | None = None, **options: Any) -> httpx.AsyncClient:
    """A client that reads no certificates, which takes longer than a short test, and is quick where `limits` are left to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if limits is not None:
        return httpx.AsyncClient(trust_env=False, verify=context, limits=limits, **options)
    transport = QuickTransport(httpx.AsyncHTTPTransport(trust_env=False, verify=context))
    return httpx.AsyncClient(trust_env=False, transport=transport, **options)


def missing_loader(message: str) -> bytes:
    return f"error({message!r})".encode()


@contextlib.asynccontextmanager
async def served(app: Any, http: Any = "httptools", keep_alive_seconds: int = 5) -> AsyncIterator[str]:
    """The URL of a uvicorn server with the settings the real one has."""
    listener = loopback_listener()
    config = uvicorn.Config(
        app,
        http=http,
        ws=SessionTransport,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=keep_alive_seconds,
    )
    server = QuickServer(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    serving = asyncio.create_task(server._serve([listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


@contextlib.asynccontextmanager
async def running_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """A fresh server; settings are those of `another_process`, and `database_url` for PostgreSQL."""
    url = settings.pop("database_url", None)
    database = await (open_postgres(url, PATIENT) if url else fresh_sqlite(folder / "moonlatch.db"))
    try:
        async with another_process(database, MovableClock(), **settings) as world:
            world.project = await rows.add_project(database)
            yield world
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def another_process(database: Database, clock: MovableClock, **settings: Any) -> AsyncIterator[World]:
    """One more server on a database; settings are those of `ClientSettings`, without rate limits unless the test sets them,
    the arguments of `ClientProtocol`, `keep_alive_seconds`, `since` for one whose memory begins now, and `redis_url` for an
    engine of many processes.
    """
    keep_alive_seconds = settings.pop("keep_alive_seconds", 5)
    redis_url, since = settings.pop("redis_url", None), settings.pop("since", 0)
    of_client = {name: settings.pop(name) for name in ClientSettings.model_fields if name in settings}
    keyring = Keyring(MASTER)
    of_live: dict[str, Any] = {
        "database": database,
        "clock": clock,
        "max_sessions": of_client.get("max_sessions", 1_000),
    }
    live: LocalLive | RedisLive
    if redis_url is None:
        live = LocalLive(**of_live, since=since)
    else:
        live = RedisLive(directory=RedisDirectory(redis_url, "test:", 10.0), **of_live)
        await live.start()
    app = ClientProtocol(
        database=database,
        live=live,
        keyring=keyring,
        clock=clock,
        missing_loader_source=missing_loader,
        reports=ReportLog(Operations(database=database, tiers=BUILT_IN, clock=clock, keyring=keyring, live=live)),
        settings=ClientSettings(**ANY_RATE | of_client),
        connections=settings.pop("connections", ConnectionSettings()),
        limits=limits_of_this_process(lambda: clock() / 1000),
        **settings,
    )
    try:
        async with (
            plain_http(timeout=60) as http,
            served(app, app.http_transport(), keep_alive_seconds) as url,
        ):
            yield World(url, database, keyring, live, app, clock, http)
    finally:
        await live.close_all()
        if isinstance(live, RedisLive):
            await live.close()
        await app.history.close()
        await app.reports.close()
