"""The real server, killed at random moments under mixed load over HTTP: what it answered with success is there, and whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import numbered
from support.client import Client, Copy, Refused
from support.crash import kill_in_rounds
from support.database import ENGINES
from support.developer import Developer
from support.keys import opened
from support.killed import NO_LIMITS, SqliteData
from support.rounds import rounds
from support.server import MoonlatchServer
from support.services import PostgresServer

ROUNDS = {"sqlite": rounds(4, 200), "postgres": rounds(2, 50)}
SEED = 20_261_124
WRITERS = 8
READY_SECONDS = 6.0
KINDS = ["users"] * 3 + ["note"] * 4 + ["execute"] * 8 + ["beat"] * 4 + ["blacklist"] * 2 + ["remove"]


class PostgresData:
    """The database that a dead server used; its PostgreSQL crashes every other time, too."""

    def __init__(self, postgres: PostgresServer) -> None:
        self._postgres = postgres
        self._deaths = 0

    async def settle(self) -> None:
        """Wait for the last statements of the dead server, which PostgreSQL still carries out."""
        others = "select count(*) from pg_stat_activity where application_name = 'moonlatch'"
        async with asyncio.timeout(60):
            while (await self.rows(others))[0][0]:
                await asyncio.sleep(0.02)

    async def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self._postgres.url("postgres"))
        try:
            return [tuple(row) for row in await connection.fetch(numbered(sql, "$"), *parameters.values())]
        finally:
            await connection.close()

    async def break_too(self) -> None:
        self._deaths += 1
        if self._deaths % 2:
            await asyncio.to_thread(self._postgres.stop)
            await asyncio.to_thread(self._postgres.start)


class Installation:
    """A server that is killed and started again, and what it acknowledged in its lives."""

    def __init__(
        self, server: MoonlatchServer, data: SqliteData | PostgresData, token: str, project: str, scripts: list[str]
    ) -> None:
        self.server = server
        self.data = data
        self.project = project
        self.script, self.updated_script = scripts
        self._headers = {"token": token}
        self.loader, self.secret = "", b""
        self.keys: list[str] = []
        """Those that nobody has begun to remove or blacklist."""
        self.copies: list[Copy] = []
        self.instances: set[str] = set()
        self.notes: defaultdict[str, set[str | None]] = defaultdict(set)
        """Values a key's note may have: the last acknowledged one, and those on their way since."""
        self.blacklisted: set[str] = set()
        self.leaving: set[str] = set()
        self.removed: set[str] = set()
        self.newest_build = 1
        self.cpu_seconds_to_ready: list[float] = []

    async def prepare(self) -> None:
        ((self.loader,),) = await self.data.rows("select loader from scripts where id = :id", id=self.script)
        self.secret = MasterKeySource(self.server.data).open().loader_secret(self.loader)

    async def start(self, _: int) -> asyncio.subprocess.Process:
        with self.server.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.server.command, env=self.server.environment(), stdout=log, stderr=log
            )
        async with httpx.AsyncClient(base_url=self.server.url) as http:
            for _attempt in range(1200):
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/health/ready")).status_code == 200:
                        self.cpu_seconds_to_ready.append(cpu_seconds(process.pid))
                        return process
                await asyncio.sleep(0.02)
        raise AssertionError(f"it did not start again:\n{self.server.log.read_text()[-4000:]}")

    async def load(self, process: asyncio.subprocess.Process) -> None:
        async with httpx.AsyncClient(base_url=self.server.url, headers=self._headers, timeout=60) as http:
            client = Client(self.server.url, self.script, self.loader, self.secret, http)
            self.copies.clear()  # they hold the HTTP client of their round
            # Each life does something else.
            lives = len(self.cpu_seconds_to_ready)
            writers = [self._write(http, client, random.Random(f"{lives} {number}")) for number in range(WRITERS)]
            await asyncio.gather(self._keep_updating(http), *writers)
        await process.wait()

    async def _write(self, http: httpx.AsyncClient, client: Client, choice: random.Random) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                kind = choice.choice(KINDS)
                if kind == "users" or len(self.keys) < WRITERS:
                    await self._add_users(http)
                elif kind == "note":
                    await self._edit_note(http, choice.choice(self.keys), str(choice.random()))
                elif kind == "blacklist":
                    await self._blacklist(http, self._take_key(choice))
                elif kind == "remove":
                    await self._remove(http, self._take_key(choice))
                elif kind == "beat" and self.copies:
                    await self._beat(self.copies.pop())
                else:
                    await self._execute(client, choice.choice(self.keys))

    def _take_key(self, choice: random.Random) -> str:
        return self.keys.pop(choice.randrange(len(self.keys)))

    async def _add_users(self, http: httpx.AsyncClient) -> None:
        reply = await http.post(f"/projects/{self.project}/users", json={"amount": 3, "fingerprintless": True})
        assert reply.status_code == 200, reply.text
        for user in reply.json()["users"]:
            self.notes[user["key"]] = {None}
            self.keys.append(user["key"])

    async def _edit_note(self, http: httpx.AsyncClient, key: str, note: str) -> None:
        self.notes[key].add(note)
        reply = await http.post(f"/users/{key}/edit", json={"note": note})
        assert reply.status_code == 200 or key in self.leaving, reply.text

    async def _execute(self, client: Client, key: str) -> None:
        try:
            # On a device of its own, or blacklisting one key would bar all of them.
            granted = await client.execute(key=key, fingerprint=key)
        except Refused:
            assert key in self.blacklisted | self.leaving, "nothing else keeps a key from starting"
            return
        self.instances.add(granted.instance)
        self.copies.append(granted)

    async def _beat(self, copy: Copy) -> None:
        with contextlib.suppress(Refused):  # its key was blacklisted or removed since
            await copy.beat()

    async def _blacklist(self, http: httpx.AsyncClient, key: str) -> None:
        self.blacklisted.add(key)
        reply = await http.post(f"/users/{key}/blacklist", json={"reason": "test"})
        assert reply.status_code == 200, reply.text
        self.notes[f"blacklisted {key}"] = {None}

    async def _remove(self, http: httpx.AsyncClient, key: str) -> None:
        self.leaving.add(key)
        reply = await http.post(f"/users/{key}/remove", json={})
        assert reply.status_code == 200, reply.text
        self.removed.add(key)

    async def _keep_updating(self, http: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                reply = await http.post(f"/scripts/{self.updated_script}/update", json={"script": "print('again')"})
                assert reply.status_code == 200, reply.text
                self.newest_build = reply.json()["build"]

    def has_done_much(self, rounds: int) -> bool:
        """Return whether of everything that is written something was acknowledged."""
        many = len(self.instances) > rounds and len(self.notes) > rounds
        return many and bool(self.removed) and self.newest_build > 1

    async def verify(self) -> None:
        await self.data.break_too()
        await self.data.settle()
        await self._verify_users()
        await self._verify_executions()
        await self._verify_builds()

    async def _verify_users(self) -> None:
        keyring = MasterKeySource(self.server.data).open(create=False)
        rows = await self.data.rows("select id, key_sealed, note, blacklisted from users")
        keys = {user: opened(keyring, user, sealed) for user, sealed, _, _ in rows}
        stored = {keys[user]: note for user, _, note, _ in rows}
        acknowledged = {key for key in self.notes if not key.startswith("blacklisted ")}
        assert acknowledged - self.leaving <= stored.keys(), "acknowledged users are missing"
        assert self.removed & stored.keys() == set(), "removed users are back"
        gone = len(self.leaving - stored.keys())
        assert (len(stored) + gone) % 3 == 0, "three users are added together or not at all"
        assert [key for key in acknowledged & stored.keys() if stored[key] not in self.notes[key]] == []
        barred = {keys[user] for user, _, _, blacklisted in rows if blacklisted}
        done = {key.removeprefix("blacklisted ") for key in self.notes if key.startswith("blacklisted ")}
        assert done <= barred <= self.blacklisted

    async def _verify_executions(self) -> None:
        started = {row[0] for row in await self.data.rows("select id from executions")}
        assert self.instances <= started, "acknowledged starts are missing"
        total, by_day, by_user = [
            (await self.data.rows(f"select coalesce(sum({column}), 0) from {table}"))[0][0]
            for column, table in (
                ("total_executions", "scripts"),
                ("executions", "execution_days"),
                ("executions", "users"),
            )
        ]
        assert (total, by_day) == (len(started), len(started)), "a start and its counters are written together"
        assert by_user <= len(started)
        assert self.removed or by_user == len(started)

    async def _verify_builds(self) -> None:
        ((served,),) = await self.data.rows("select build from scripts where id = :id", id=self.updated_script)
        ((kept,),) = await self.data.rows(
            "select count(*) from builds where script_id = :id and number = :number",
            id=self.updated_script,
            number=served,
        )
        ((used,),) = await self.data.rows("select obfuscations_used from accounts where name = 'durable'")
        assert served >= self.newest_build, "an acknowledged build is not served"
        assert kept == 1, "a build is served that is not there"
        # Two scripts with a loader each, and one for every further build.
        assert used == 4 + served - 1, "a build and its cost are written together"


def cpu_seconds(pid: int) -> float:
    """What a process has used so far; unlike the time that passed, it says the same on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def installation(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> Installation:
    settings, data = NO_LIMITS, tmp_path / "data"
    kept: SqliteData | PostgresData = SqliteData(data)
    if engine == "postgres":
        postgres: PostgresServer = request.getfixturevalue("own_postgres")
        kept = PostgresData(postgres)
        settings = {**NO_LIMITS, "MOONLATCH_DATABASE_URL": postgres.url("postgres")}
    server = MoonlatchServer(data, settings)
    token = server.new_account("durable")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        scripts = [developer.new_script(project, "print('durable')") for _ in range(2)]
    return Installation(server, kept, token, project, scripts)


async def test_no_acknowledged_write_is_lost_and_none_is_half_applied(installation: Installation, engine: str) -> None:
    await installation.prepare()
    await kill_in_rounds(
        ROUNDS[engine],
        installation.start,
        installation.load,
        installation.verify,
        between_seconds=(0.05, 1.5),  # the first update of a life waits for its worker process
        seed=SEED,
        is_enough=lambda: installation.has_done_much(ROUNDS[engine]),
    )
    assert installation.has_done_much(ROUNDS[engine])
    assert max(installation.cpu_seconds_to_ready) < READY_SECONDS
