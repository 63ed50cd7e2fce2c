"""All sessions cut at once: nearly all are back within a minute, spread over time, in few log lines, and nothing counts twice."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from moonlatch.crypto import Keyring
from support import rows
from support.client import Client, Copy, Wire
from support.database import opened
from support.proxy import proxied
from support.rounds import rounds
from support.server import MoonlatchServer

SESSIONS = rounds(300, 5_000)
AT_ONCE = 50
BACK_SECONDS = 60.0
MAX_LOG_LINES = 100
SETTINGS = {
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
    "MOONLATCH_LOG__LEVEL": "warning",
}


class Reconnecting:
    """A copy whose session comes back as the protocol's page says: after 1, 2, 4 ... s, each drawn between half and all of it."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.wire: Wire | None = None
        self.back_at = 0.0
        self.attempts = 0

    async def open(self) -> None:
        failures = 0
        while True:
            try:
                async with asyncio.timeout(20):
                    self.wire = await self.copy.session()
            except (OSError, TimeoutError, WebSocketException, AssertionError):
                self.attempts += 1
                await asyncio.sleep(min(2**failures, 60) * random.uniform(0.5, 1))
                failures += 1
            else:
                return

    async def come_back(self) -> None:
        assert self.wire is not None
        await self.wire.socket.wait_closed()
        await asyncio.sleep(random.uniform(0.5, 1))
        await self.open()
        self.back_at = time.monotonic()


async def test_sessions_cut_all_at_once_come_back(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", SETTINGS)
    token = await asyncio.to_thread(server.new_account, "developer")
    await asyncio.to_thread(server.start)
    try:
        limits = httpx.Limits(max_connections=50)
        async with proxied(server.port) as proxy, httpx.AsyncClient(timeout=60, limits=limits) as http:
            client = await fresh_client(server, http, token)
            client.url = f"http://127.0.0.1:{proxy.port}"
            copies: list[Reconnecting] = []
            for _ in range(SESSIONS // AT_ONCE):
                started = await asyncio.gather(*(client.execute() for _ in range(AT_ONCE)))
                copies += [Reconnecting(copy) for copy in started]
                await asyncio.gather(*(copy.open() for copy in copies[-AT_ONCE:]))
            assert await totals(server, http, token, client) == (SESSIONS, SESSIONS, SESSIONS)

            lines = len(server.log.read_text().splitlines())
            began = time.monotonic()
            returning = [asyncio.create_task(copy.come_back()) for copy in copies]
            await proxy.cut("reset")
            _, late = await asyncio.wait(returning, timeout=BACK_SECONDS)
            for task in late:
                task.cancel()
            assert len(late) <= SESSIONS / 1_000

            back = sorted(copy.back_at - began for copy in copies if copy.back_at)
            assert back[len(back) * 9 // 10] - back[len(back) // 10] > 0.2, "all came at the same moment"
            assert len(server.log.read_text().splitlines()) - lines <= MAX_LOG_LINES
            sessions, instances, executions = await totals(server, http, token, client)
            assert SESSIONS - len(late) <= sessions <= SESSIONS
            assert (instances, executions) == (SESSIONS, SESSIONS)
    finally:
        server.kill()


async def fresh_client(server: MoonlatchServer, http: httpx.AsyncClient, token: str) -> Client:
    created = await http.post(f"{server.url}/projects", json={"name": "Game"}, headers={"token": token})
    async with opened(server.data / "moonlatch.db") as database:
        script, loader = await rows.add_script(database, created.json()["project"]["id"], free_for_all=True)
    return Client(server.url, script, loader, Keyring.open(server.data).loader_secret(loader), http)


async def totals(server: MoonlatchServer, http: httpx.AsyncClient, token: str, client: Client) -> tuple[Any, ...]:
    response = await http.get(f"{server.url}/scripts/{client.script}", headers={"token": token})
    script = response.json()["script"]
    return script["total_sessions"], script["total_instances"], script["total_executions"]
