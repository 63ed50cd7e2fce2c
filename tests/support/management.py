"""The management API and the client protocol on one real loopback port: real SQLite, live sessions and worker processes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from moonlatch import crypto
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.publisher import LoaderRecipe, Publisher
from moonlatch.builds.workshop import Workshop
from moonlatch.checkpoints.face import Checkpoints
from moonlatch.checkpoints.face import is_below as is_checkpoint
from moonlatch.checkpoints.providers import Providers
from moonlatch.client.history import History
from moonlatch.client.protocol import ClientProtocol
from moonlatch.client.reports import ReportLog
from moonlatch.client.sharing import SharingWatch
from moonlatch.config.sections import (
    CheckpointSettings,
    ClientSettings,
    ConnectionSettings,
    ManagementSettings,
    ProtectorSettings,
)
from moonlatch.keyring import Keyring
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.licensing.tier import BUILT_IN, Tier
from moonlatch.live.memory import LocalLive
from moonlatch.management.application import management_app
from moonlatch.management.readiness import About, Engine
from moonlatch.management.sign_in_limits import Rate, SignInRates
from moonlatch.operations.context import World
from moonlatch.storage import accounts, tokens
from moonlatch.storage.accounts import Account
from moonlatch.storage.interface import Database
from moonlatch.storage.postgres.engine import PostgresDatabase, open_postgres
from moonlatch.storage.tokens import Token
from moonlatch.web.address import Addresses
from moonlatch.web.discord_api import DiscordApi
from moonlatch.web.limits import limits_of_this_process
from moonlatch.web.outgoing import Outgoing
from moonlatch.web.reach import ANYWHERE, Reach
from support import rows
from support.answered import noting
from support.client import Client, Wire
from support.client_server import ANY_RATE, MovableClock, missing_loader, plain_http, served
from support.database import PATIENT, fresh_sqlite
from support.keys import MASTER
from support.publishing import write_loader

TINY = Tier(
    name="tiny", free_for_all=False, obfuscations_per_period=2, projects=2, scripts=2, users=3, script_bytes=1_000
)
TIERS = {**BUILT_IN, TINY.name: TINY}
OFTEN = SignInRates(per_name=Rate(seconds=1, burst=1_000_000), per_address=Rate(seconds=1, burst=1_000_000))
NOWHERE = "http://127.0.0.1:9"
"""Where nobody answers."""

NOBODY = "A" * 32
"""An id and key that nothing has."""


@dataclass
class Developer:
    """An account, and calls made with its token."""

    account: Account
    token: str
    http: httpx.AsyncClient = field(repr=False)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"token": self.token, **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.call("POST", path, body, **options)

    async def new_project(self, name: str = "My game") -> str:
        return str(done(await self.post("/projects", {"name": name}))["project"]["id"])

    async def new_script(self, project: str, **fields: Any) -> str:
        body = {"name": "My script", **fields}
        return str(done(await self.post(f"/projects/{project}/scripts", body))["script"]["id"])

    async def new_user(self, project: str, **fields: Any) -> str:
        return str(done(await self.post(f"/projects/{project}/users", fields))["users"][0]["key"])

    async def script(self, script: str) -> Any:
        return done(await self.get(f"/scripts/{script}"))["script"]

    async def user(self, key: str) -> Any:
        return done(await self.get(f"/users/{key}"))["user"]

    async def project(self, project: str) -> Any:
        return done(await self.get(f"/projects/{project}"))["project"]


async def new_developer(
    database: Database,
    http: httpx.AsyncClient,
    now: int,
    *,
    tier: str = "unlimited",
    expires_at: int | None = None,
    **token: Any,
) -> Developer:
    """A fresh account with a token; further arguments are the token's columns."""
    account = Account(
        id=crypto.new_id(),
        name=crypto.new_id(),
        tier=tier,
        expires_at=expires_at,
        created_at=now,
        obfuscation_period_start=now,
    )
    await database.run(lambda tx: accounts.insert(tx, account))
    return Developer(account, await new_token(database, account, now, **token), http)


async def new_token(database: Database, account: Account, now: int, **columns: Any) -> str:
    """A fresh token of an account."""
    secret = crypto.new_api_token()
    token = Token(
        id=crypto.new_id(),
        account_id=account.id,
        **{"name": "test", "created_at": now, "hash": crypto.token_hash(secret), **columns},
    )
    await database.run(lambda tx: tokens.insert(tx, token))
    return secret


@dataclass
class Api:
    """A running server and what stands behind it."""

    url: str
    app: FastAPI
    world: World
    database: Database
    keyring: Keyring
    live: LocalLive
    clock: MovableClock
    http: httpx.AsyncClient
    history: History
    reports: ReportLog
    providers: Providers

    @property
    def engine(self) -> str:
        """Name of the database's engine."""
        return "postgres" if isinstance(self.database, PostgresDatabase) else "sqlite"

    async def developer(self, **options: Any) -> Developer:
        """As `new_developer`."""
        return await new_developer(self.database, self.http, self.clock(), **options)

    async def token(self, account: Account, **columns: Any) -> str:
        """As `new_token`."""
        return await new_token(self.database, account, self.clock(), **columns)

    async def expire(self, developer: Developer) -> None:
        """Let the developer's account have expired."""
        await self.change("update accounts set expires_at = 1 where id = :id", id=developer.account.id)

    async def running_script(self, project: str, **columns: Any) -> Client:
        """A client of a fresh, enabled script with a build."""
        script, loader = await rows.add_script(self.database, project, **columns)
        return Client(self.url, script, loader, self.keyring.loader_secret(loader), self.http)

    async def session(self, client: Client, **request: Any) -> Wire:
        """An open session of a fresh execution."""
        return await (await client.execute(**request)).session()

    async def change(self, sql: str, **parameters: Any) -> None:
        await rows.change(self.database, sql, **parameters)

    async def value(self, sql: str, **parameters: Any) -> Any:
        return await rows.value(self.database, sql, **parameters)


@contextlib.asynccontextmanager
async def running_api(folder: Path, *, database_url: str = "", **settings: Any) -> AsyncIterator[Api]:
    """A fresh server on SQLite, or on the PostgreSQL database of that URL.

    Settings are those of `ManagementSettings`, the arguments of `management_app`, `keep_alive_seconds`, `signing_in`, and
    `write_loader`, what writes the loaders, `checkpoints`, the settings of those, and `trusted_proxies`; `discord_url` is
    Discord's API. Without a rate limit, unless the test sets one.
    """
    of_checkpoints = settings.pop("checkpoints", CheckpointSettings())
    trusted_proxies = settings.pop("trusted_proxies", ())
    writing = settings.pop("write_loader", write_loader)
    keep_alive_seconds = settings.pop("keep_alive_seconds", 5)
    section = {name: settings.pop(name) for name in ManagementSettings.model_fields if name in settings}
    database = await (open_postgres(database_url, PATIENT) if database_url else fresh_sqlite(folder / "moonlatch.db"))
    clock = MovableClock()
    keyring = Keyring(MASTER)
    live = LocalLive(database=database, clock=clock)
    workers = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=20, memory_mib=512, max_waiting=64))
    publisher = Publisher(
        database=database,
        workshop=Workshop(database=database, keyring=keyring, workers=workers, remote=None),
        public_url="http://127.0.0.1",
        keyring=keyring,
        loader=LoaderRecipe(version=1, write=writing),
        clock=clock,
    )
    to_discord = Outgoing(ANYWHERE)
    world = World(
        database=database,
        keyring=keyring,
        tiers=TIERS,
        clock=clock,
        live=live,
        publisher=publisher,
        signing_in=settings.pop("signing_in", SignInRules()),
        discord=DiscordApi(to_discord, settings.pop("discord_url", NOWHERE)),
    )
    about = About(settings.pop("public_url", ""), [Engine("live", "memory", lambda: live.counts(""))])
    management = management_app(
        world=world,
        live=live,
        publisher=publisher,
        about=settings.pop("about", about),
        settings=ManagementSettings(**{"requests_per_second": 1e6, "burst": 1_000_000, **section}),
        **{"failures_burst": 1_000_000, "sign_in_rates": OFTEN, **settings},
    )
    observed = noting(management)
    outgoing = Outgoing(Reach(["127.0.0.0/8"]))
    protocol = ClientProtocol(
        database=database,
        live=live,
        keyring=keyring,
        clock=clock,
        missing_loader_source=missing_loader,
        reports=ReportLog(world),
        settings=ClientSettings(**ANY_RATE),
        connections=ConnectionSettings(),
        trusted_proxies=trusted_proxies,
        watch=SharingWatch(world),
        world=dataclasses.replace(world, outgoing=outgoing),
    )
    checkpoints: list[Checkpoints] = []
    providers = Providers(outgoing, of_checkpoints, clock)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        is_client = scope["path"].startswith(("/client/v1/", "/loader/"))
        if is_checkpoint(scope["path"]):
            await checkpoints[0](scope, receive, send)
        else:
            await (protocol if is_client else observed)(scope, receive, send)

    try:
        async with (
            served(either, keep_alive_seconds=keep_alive_seconds) as url,
            plain_http(base_url=url, timeout=60) as http,
        ):
            checkpoints.append(
                Checkpoints(
                    world=world,
                    providers=providers,
                    settings=of_checkpoints,
                    public_url=url,
                    addresses=Addresses(trusted_proxies),
                    limits=limits_of_this_process(lambda: clock() / 1000),
                    style=b"body { margin: 0 }",
                )
            )
            yield Api(
                url,
                management,
                world,
                database,
                keyring,
                live,
                clock,
                http,
                protocol.history,
                protocol.reports,
                providers,
            )
            await live.close_all()
    finally:
        await outgoing.close()
        await to_discord.close()
        await workers.close()
        await protocol.history.close()
        await protocol.reports.close()
        await database.close()


def done(response: httpx.Response) -> Any:
    """The body of a success."""
    body = response.json()
    assert response.status_code == 200, body
    assert body["success"] is True
    return body


def refused(response: httpx.Response, status: int, code: int, message: str, **extras: Any) -> None:
    """Assert that the reply is exactly this error."""
    expected = {"success": False, "error": {"code": code, "message": message, **extras}}
    assert (response.status_code, response.json()) == (status, expected)


def invalid(response: httpx.Response) -> dict[str, list[str]]:
    """The errors of a validation refusal, by field."""
    body = response.json()
    assert (response.status_code, body["error"]["code"]) == (400, -1), body
    assert body["error"]["message"] == "unauthorized or invalid request"
    return {each["field"]: each["errors"] for each in body["error"]["failed"]}


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path template and OpenAPI operation of every documented endpoint."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation
