"""Calls with an idempotency key, sent again after the server was killed: each is carried out once, and leaves one event."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import httpx

from moonlatch.master_key import MasterKeySource
from support.crash import kill_in_rounds
from support.developer import Developer
from support.keys import opened
from support.killed import NO_LIMITS, SqliteData
from support.rounds import rounds
from support.server import MoonlatchServer

ROUNDS = rounds(3, 50)
SEED = 20_261_129
WRITERS = 6
AGAIN_OF_ANSWERED = 20
READY_TRIES = 1200


class Senders:
    """What was sent, what was answered, and what nobody knows the end of."""

    def __init__(self, server: MoonlatchServer, token: str, project: str) -> None:
        self.server = server
        self.project = project
        self._headers = {"token": token}
        self._choice = random.Random(SEED)
        self.sent = 0
        self.answered: dict[str, Any] = {}
        self.unknown: set[str] = set()
        self.replayed = 0

    async def start(self, _: int) -> asyncio.subprocess.Process:
        with self.server.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.server.command, env=self.server.environment(), stdout=log, stderr=log
            )
        async with self._http() as http:
            for _try in range(READY_TRIES):
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/health/ready")).status_code == 200:
                        return process
                await asyncio.sleep(0.02)
        raise AssertionError(f"it did not start again:\n{self.server.log.read_text()[-4000:]}")

    async def load(self, process: asyncio.subprocess.Process) -> None:
        async with self._http() as http:
            await self.send_again(http)
            await asyncio.gather(*(self._write(http) for _ in range(WRITERS)))
        await process.wait()

    async def send_again(self, http: httpx.AsyncClient) -> None:
        """Everything whose end is unknown, and some of what was answered."""
        with contextlib.suppress(httpx.TransportError):
            for key in sorted(self.unknown):
                await self._send(http, key)
            some = self._choice.sample(sorted(self.answered), min(AGAIN_OF_ANSWERED, len(self.answered)))
            for key in some:
                before = self.answered[key]
                assert await self._send(http, key) == before, "a call that was answered gets another answer"
                self.replayed += 1

    async def _write(self, http: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                self.sent += 1
                key = f"call {self.sent}"
                self.unknown.add(key)
                await self._send(http, key)

    async def _send(self, http: httpx.AsyncClient, key: str) -> Any:
        reply = await http.post(
            f"/projects/{self.project}/users", json={"note": key}, headers={"Idempotency-Key": f'"{key}"'}
        )
        assert reply.status_code == 200, reply.text
        self.answered[key] = reply.json()
        self.unknown.discard(key)
        return reply.json()

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.url, headers=self._headers, timeout=60)


async def test_a_call_sent_again_after_a_crash_is_carried_out_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    server = MoonlatchServer(folder, NO_LIMITS)
    token = server.new_account("twice")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
    senders, data = Senders(server, token, project), SqliteData(folder)

    async def verify() -> None:
        await data.settle()
        twice = await data.rows("select note from users group by note having count(*) > 1")
        assert twice == [], "a call was carried out more than once"
        keyring = MasterKeySource(folder).open(create=False)
        rows = await data.rows("select note, id, key_sealed from users")
        stored = {note: opened(keyring, user, sealed) for note, user, sealed in rows}
        lost = [key for key, reply in senders.answered.items() if stored.get(key) != reply["users"][0]["key"]]
        assert lost == [], "an acknowledged user is missing"
        without = await data.rows(
            "select u.id from users u where "
            "(select count(*) from events e where e.resource_id = u.id and e.kind = 'user.created') <> 1"
        )
        assert without == [], "a user and its event are written together"

    await kill_in_rounds(
        ROUNDS,
        senders.start,
        senders.load,
        verify,
        between_seconds=(0.2, 1.5),
        seed=SEED,
        is_enough=lambda: bool(senders.answered),
    )
    with server:
        async with httpx.AsyncClient(base_url=server.url, headers={"token": token}, timeout=60) as http:
            await senders.send_again(http)
    await verify()
    assert senders.unknown == set()
    assert senders.replayed > 0
    assert len(senders.answered) == senders.sent
