"""Two servers on PostgreSQL and Redis take a new master key in stages: each restart by itself, and at no moment does one hand out what another cannot read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from moonlatch.app import Moonlatch, open_moonlatch
from moonlatch.clock import now_ms
from moonlatch.config import Settings
from moonlatch.crypto import seal_mark
from moonlatch.keyring import Keyring
from moonlatch.operations import master_keys as operations
from moonlatch.storage import sealed
from moonlatch.storage.interface import Query
from support.client import Client, Copy
from support.client_server import plain_http, served
from support.commands import Command
from support.management import Developer, done, new_developer


@dataclass
class Process:
    """A server in this loop; `stop` ends it."""

    moonlatch: Moonlatch
    url: str
    ending: contextlib.AsyncExitStack

    @property
    def keyring(self) -> Keyring:
        assert self.moonlatch.world.keyring is not None
        return self.moonlatch.world.keyring

    async def stop(self) -> None:
        await self.ending.aclose()


async def started(settings: Settings) -> Process:
    async with contextlib.AsyncExitStack() as opening:
        moonlatch = await opening.enter_async_context(open_moonlatch(settings))
        url = await opening.enter_async_context(served(moonlatch.application, moonlatch.http_transport))
        return Process(moonlatch, url, opening.pop_all())
    raise AssertionError


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MOONLATCH_DATABASE_URL", postgres_url)
    monkeypatch.setenv("MOONLATCH_REDIS_URL", redis_url)
    return Settings(data_dir=tmp_path / "data", database_url=postgres_url, redis_url=redis_url)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with plain_http(timeout=60) as client:
        yield client


async def test_servers_take_a_new_key_one_after_the_other(
    settings: Settings, moonlatch: Command, http: httpx.AsyncClient
) -> None:
    def keys(*arguments: str) -> str:
        ended = moonlatch("keys", *arguments, "--data", str(settings.data_dir))
        assert ended.status == 0, ended.err
        return ended.out

    one, two = await started(settings), await started(settings)
    old = one.keyring
    me = await new_developer(one.moonlatch.database, http, now_ms())
    project, script, customers = await shop(me, one.url)
    loader = await served_loader(one, script)

    async def everywhere(*, of: str, ring: Keyring, copies: list[Copy]) -> list[Copy]:
        """Every copy beats at every server, every key starts there, and a key made at one starts at the other."""
        found = []
        for process, other in ((one, two), (two, one)):
            secret = ring.of_loader(of)
            assert secret is not None
            client = Client(process.url, script, of, secret.loader_secret(of), http, signing_key=secret.public_key)
            reply = await me.post(f"{other.url}/projects/{project}/users", {})
            customers.append(done(reply)["users"][0]["key"])
            found += [await client.execute(key=key, fingerprint=key) for key in customers[-3:]]
            for copy in (*copies, *found):
                copy.client.url = process.url
                await copy.beat()
        return found

    copies = await everywhere(of=loader, ring=old, copies=[])
    text = await asyncio.to_thread(keys, "rotate")
    assert "Restart every server, one after the other" in text
    new = old_and_new(one, text)
    for process in ("one", "two"):  # each knows the new key by now, and none uses it
        if process == "one":
            await one.stop()
            one = await started(settings)
        else:
            await two.stop()
            two = await started(settings)
        assert one.keyring.current.id == two.keyring.current.id == old.current.id
        copies = await everywhere(of=loader, ring=old, copies=copies[-2:])
    await asyncio.to_thread(keys, "use", new)
    await one.stop()
    one = await started(settings)
    assert (one.keyring.current.id, two.keyring.current.id) == (new, old.current.id)
    copies = await everywhere(of=loader, ring=old, copies=copies[-2:])
    update = await me.post(f"{one.url}/scripts/{script}/update", {"script": "print('new')"})
    assert done(update)["build"] == 2
    newer = await served_loader(one, script)
    assert newer.startswith(new)
    await everywhere(of=newer, ring=one.keyring, copies=copies[-2:])
    (standing,) = [
        each
        for each in await operations.standings(one.moonlatch.database, now=now_ms())
        if each.key.id == old.current.id
    ]
    assert standing.is_in_use, "the second server was not restarted yet"
    assert (
        "a server that was not restarted yet still uses it"
        in (
            await asyncio.to_thread(
                moonlatch, "keys", "retire", old.current.id, "--now", "--data", str(settings.data_dir)
            )
        ).err
    )
    await two.stop()
    two = await started(settings)
    await everywhere(of=loader, ring=old, copies=copies[-2:])
    await asyncio.gather(
        *(sealed.rewrap(each.moonlatch.database, each.keyring, lambda *_: None) for each in (one, two))
    )
    marks = await one.moonlatch.database.fetch_all(Query("test.marks", "select key_sealed from users"))
    assert {bytes(row[0])[:9] for row in marks} == {seal_mark(new)}
    await everywhere(of=newer, ring=one.keyring, copies=copies[-2:])
    await one.stop()
    await two.stop()


async def shop(me: Developer, url: str) -> tuple[str, str, list[str]]:
    """A project with a published script and two keys."""
    project = done(await me.post(f"{url}/projects", {"name": "Game"}))["project"]["id"]
    script = done(await me.post(f"{url}/projects/{project}/scripts", {"name": "Script"}))["script"]["id"]
    done(await me.post(f"{url}/scripts/{script}/update", {"script": "print('hello')"}))
    users = done(await me.post(f"{url}/projects/{project}/users", {"amount": 2}))["users"]
    return project, script, [user["key"] for user in users]


async def served_loader(process: Process, script: str) -> str:
    row = await process.moonlatch.database.fetch_one(
        Query("test.loader", "select loader from scripts where id = :id"), id=script
    )
    assert row is not None
    return str(row[0])


def old_and_new(process: Process, text: str) -> str:
    """The id of the key that a rotation made, as it told."""
    new = text.split()[3]
    assert len(new) == len(process.keyring.current.id)
    return new
