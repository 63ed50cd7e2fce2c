"""The real server, killed at random moments under mixed writes over HTTP: what it answered with success is there, and whole."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from moonlatch.crypto import Keyring
from support.client import Client
from support.crash import assert_sound, kill_in_rounds
from support.developer import Developer
from support.server import MoonlatchServer

ROUNDS = 20
SEED = 20_261_124
WRITERS = 8
NO_LIMITS = {
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000",
    "MOONLATCH_MANAGEMENT__BURST": "100000",
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
}


class Installation:
    """A server that is killed and started again, and what it acknowledged in its lives."""

    def __init__(self, server: MoonlatchServer, token: str, project: str, script: str) -> None:
        self.server = server
        self.project = project
        self.script = script
        self._headers = {"token": token}
        with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
            (self.loader,) = connection.execute("select loader from scripts").fetchone()
        self.secret = Keyring.open(server.data).loader_secret(self.loader)
        self.keys: list[str] = []
        self.instances: set[str] = set()
        self.notes: defaultdict[str, set[str | None]] = defaultdict(set)
        """Values a key's note may have: the last acknowledged one, and those on their way since."""

    async def start(self, _: int) -> asyncio.subprocess.Process:
        with self.server.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.server.command, env=self.server.environment(), stdout=log, stderr=log
            )
        async with httpx.AsyncClient(base_url=self.server.url) as http:
            for _attempt in range(1200):
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/health/ready")).status_code == 200:
                        return process
                await asyncio.sleep(0.05)
        raise AssertionError(f"it did not start again:\n{self.server.log.read_text()[-4000:]}")

    async def load(self, process: asyncio.subprocess.Process) -> None:
        async with httpx.AsyncClient(base_url=self.server.url, headers=self._headers) as http:
            client = Client(self.server.url, self.script, self.loader, self.secret, http)
            await asyncio.gather(*(self._write(http, client, random.Random(number)) for number in range(WRITERS)))
        await process.wait()

    async def _write(self, http: httpx.AsyncClient, client: Client, choice: random.Random) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                kind = choice.choice(["users", "note", "execute", "execute"])
                if kind == "users" or not self.keys:
                    await self._add_users(http)
                elif kind == "note":
                    await self._edit_note(http, choice.choice(self.keys), str(choice.random()))
                else:
                    granted = await client.execute(key=choice.choice(self.keys))
                    self.instances.add(granted.instance)

    async def _add_users(self, http: httpx.AsyncClient) -> None:
        reply = await http.post(f"/projects/{self.project}/users", json={"amount": 3, "fingerprintless": True})
        assert reply.status_code == 200, reply.text
        for user in reply.json()["users"]:
            self.notes[user["key"]] = {None}
            self.keys.append(user["key"])

    async def _edit_note(self, http: httpx.AsyncClient, key: str, note: str) -> None:
        self.notes[key].add(note)
        reply = await http.post(f"/users/{key}/edit", json={"note": note})
        assert reply.status_code == 200, reply.text

    async def verify(self) -> None:
        path = self.server.data / "moonlatch.db"
        assert_sound(path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            stored = dict(connection.execute("select key, note from users").fetchall())
            assert set(self.keys) <= stored.keys()
            assert len(stored) % 3 == 0, "three users are added together or not at all"
            assert [key for key in self.keys if stored[key] not in self.notes[key]] == []
            started = {row[0] for row in connection.execute("select id from executions")}
            assert self.instances <= started
            counters = [
                connection.execute(query).fetchone()[0]
                for query in (
                    "select total_executions from scripts",
                    "select sum(executions) from execution_days",
                    "select sum(executions) from users",
                )
            ]
            assert counters == [len(started)] * 3, "an execution and its counters are written together"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    server = MoonlatchServer(tmp_path / "data", NO_LIMITS)
    token = server.new_account("durable")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, "print('durable')")
    return Installation(server, token, project, script)


async def test_no_acknowledged_write_is_lost_and_none_is_half_applied(installation: Installation) -> None:
    await kill_in_rounds(
        ROUNDS,
        installation.start,
        installation.load,
        installation.verify,
        between_seconds=(0.05, 0.5),
        seed=SEED,
    )
    assert len(installation.instances) > ROUNDS
    assert len(installation.keys) > ROUNDS
