"""All sessions cut at once: nearly all are back within a minute, spread over time, in few log lines, and nothing counts twice."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx

from moonlatch.master_key import MasterKeySource
from support import rows
from support.client import Client
from support.client_server import plain_http
from support.crowd import crowd
from support.database import opened
from support.rounds import rounds
from support.server import MoonlatchServer

SESSIONS, CROWDS = rounds(300, 5_000), rounds(2, 4)
BACK_SECONDS = 60.0
MAX_LOG_LINES = 100
SETTINGS = {
    "MOONLATCH_CONNECTIONS__PER_ADDRESS": "0",  # all of them come from here
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
    "MOONLATCH_LOG__LEVEL": "warning",
}


async def test_sessions_cut_all_at_once_come_back(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", SETTINGS)
    token = await asyncio.to_thread(server.new_account, "developer")
    await asyncio.to_thread(server.start)
    try:
        async with contextlib.AsyncExitStack() as stack:
            http = await stack.enter_async_context(plain_http(timeout=60))
            client = await fresh_client(server, http, token)
            crowds = [
                await stack.enter_async_context(crowd(client, server.port, SESSIONS // CROWDS)) for _ in range(CROWDS)
            ]
            await asyncio.gather(*(each.started() for each in crowds))
            assert await totals(server, http, token, client) == (SESSIONS, SESSIONS, SESSIONS)

            lines = len(server.log.read_text().splitlines())
            of_crowds = await asyncio.gather(*(each.cut(BACK_SECONDS) for each in crowds))
            back = sorted(seconds for of_crowd in of_crowds for seconds in of_crowd)
            late = SESSIONS - len(back)
            assert late <= SESSIONS / 1_000

            assert back[len(back) * 9 // 10] - back[len(back) // 10] > 0.2, "all came at the same moment"
            assert len(server.log.read_text().splitlines()) - lines <= MAX_LOG_LINES
            sessions, instances, executions = await totals(server, http, token, client)
            assert SESSIONS - late <= sessions <= SESSIONS
            assert (instances, executions) == (SESSIONS, SESSIONS)
    finally:
        server.kill()


async def fresh_client(server: MoonlatchServer, http: httpx.AsyncClient, token: str) -> Client:
    created = await http.post(f"{server.url}/projects", json={"name": "Game"}, headers={"token": token})
    async with opened(server.data / "moonlatch.db") as database:
        script, loader = await rows.add_script(database, created.json()["project"]["id"], free_for_all=True)
    return Client(server.url, script, loader, MasterKeySource(server.data).open().loader_secret(loader), http)


async def totals(server: MoonlatchServer, http: httpx.AsyncClient, token: str, client: Client) -> tuple[Any, ...]:
    response = await http.get(f"{server.url}/scripts/{client.script}", headers={"token": token})
    script = response.json()["script"]
    return script["total_sessions"], script["total_instances"], script["total_executions"]
