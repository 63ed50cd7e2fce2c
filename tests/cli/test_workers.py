"""`moonlatch serve --workers N`: real processes that share a port, replace each other, and drain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from moonlatch.client.moments import RUNNING
from moonlatch.clock import SECOND_MS
from moonlatch.master_key import MasterKeySource
from moonlatch.serving.server import LEAVE_SECONDS
from moonlatch.storage.interface import Database
from support import rows
from support.client import Client, Copy, Wire
from support.client_server import plain_http
from support.commands import Command
from support.database import opened_at
from support.live import eventually
from support.server import MoonlatchServer, status_at
from support.services import Databases

DEAD_SECONDS = 15.0
BUSY_MACHINE_SECONDS = 10.0


@dataclass
class Workers:
    """Two of them, and what it takes to be their client."""

    server: MoonlatchServer
    database: Database
    token: str
    http: httpx.AsyncClient

    async def client(self) -> Client:
        headers = {"token": self.token}
        created = await self.http.post(f"{self.server.url}/projects", json={"name": "Game"}, headers=headers)
        script, loader = await rows.add_script(self.database, created.json()["project"]["id"], free_for_all=True)
        secret = MasterKeySource(self.server.data).open().loader_secret(loader)
        return Client(self.server.url, script, loader, secret, self.http)

    def pids(self) -> list[int]:
        listed = subprocess.run(["pgrep", "-P", str(self.server.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    async def listed(self, client: Client) -> set[str]:
        response = await self.http.post(
            f"{self.server.url}/scripts/{client.script}/sessions",
            json={"limit": 1000},
            headers={"token": self.token},
        )
        return {session["id"] for session in response.json()["sessions"]}


@pytest.fixture
async def workers(tmp_path: Path, databases: Databases, redis_url: str) -> AsyncIterator[Workers]:
    with databases.migrated() as database_url:
        server = MoonlatchServer(
            tmp_path / "data",
            {
                "MOONLATCH_DATABASE_URL": database_url,
                "MOONLATCH_REDIS_URL": redis_url,
                "MOONLATCH_WORKERS": "2",
                "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
            },
        )
        token = await asyncio.to_thread(server.new_account, "developer")
        await asyncio.to_thread(server.start)
        # A process takes nothing made before it began, and two that begin one after the other tell a client different times: a loader
        # asks again, which the requests here do not.
        await asyncio.sleep(2 * RUNNING.ahead_ms / SECOND_MS)
        try:
            async with opened_at(database_url, tmp_path) as database, httpx.AsyncClient(timeout=60) as http:
                yield Workers(server, database, token, http)
        finally:
            server.kill()  # the workers end with their parent


def test_several_workers_on_one_file_are_refused_with_the_settings_to_set(moonlatch: Command) -> None:
    ended = moonlatch("serve", "--workers", "2")
    assert ended.status == 1
    assert "workers = 2  (command line)" in ended.err
    assert "need PostgreSQL and Redis to share data and sessions: set database_url and redis_url" in ended.err


def test_secrets_of_the_engines_are_not_shown(moonlatch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_REDIS_URL", "redis://:SECRET@127.0.0.1/0")
    assert "SECRET" not in moonlatch("config").out
    monkeypatch.setenv("MOONLATCH_REDIS_URL", "http://:SECRET@127.0.0.1/0")
    refused = moonlatch("config")
    assert "should look like redis://" in refused.err
    assert "SECRET" not in refused.err


async def test_workers_share_what_they_hold_and_a_killed_one_is_replaced(workers: Workers) -> None:
    client = await workers.client()
    copies = [await client.execute() for _ in range(24)]
    wires = [await copy.session() for copy in copies]
    assert await workers.listed(client) == {wire.id for wire in wires}
    for wire in wires[:4]:
        await converse(workers, wire)

    victim = workers.pids()[0]
    os.kill(victim, signal.SIGKILL)
    cut = [number for number, wire in enumerate(wires) if await is_cut(wire)]
    assert 0 < len(cut) < len(wires), "connections were not spread over the workers"
    staying = {wire.id for number, wire in enumerate(wires) if number not in cut}

    async def only_the_others_are_listed() -> bool:
        return await workers.listed(client) == staying

    await eventually(only_the_others_are_listed, DEAD_SECONDS + BUSY_MACHINE_SECONDS)
    returned = [await copies[number].session() for number in cut]
    assert await workers.listed(client) == staying | {wire.id for wire in returned}
    await converse(workers, returned[0])
    assert victim not in workers.pids()
    assert len(workers.pids()) == 2
    counted = await workers.http.get(f"{workers.server.url}/scripts/{client.script}", headers={"token": workers.token})
    assert counted.json()["script"]["total_instances"] == counted.json()["script"]["total_sessions"] == 24


async def test_a_stop_drains(workers: Workers) -> None:
    client = await workers.client()
    wires = [await (await client.execute()).session() for _ in range(20)]
    asking = asyncio.create_task(ask(workers, wires[0]))
    assert (await wires[0].receive())["type"] == "message"
    began = time.monotonic()
    workers.server.send_signal(signal.SIGTERM)
    for wire in wires:
        assert await wire.closed() == (3000, "the server is restarting")
    # A request under way is answered, whatever became of what it asked for.
    assert (await asking).json() == {"success": True, "processed": False, "reason": "client never responded"}
    assert await asyncio.to_thread(workers.server.wait) == 0
    assert time.monotonic() - began < 30 + BUSY_MACHINE_SECONDS


async def test_a_process_that_stops_says_so_and_serves_on_until_proxies_know(workers: Workers) -> None:
    client = await workers.client()
    copy = await client.execute()
    workers.server.send_signal(signal.SIGTERM)
    began = time.monotonic()

    async def says_so() -> bool:
        # Each of the processes, which hear of it one after the other, takes some of so many connections.
        for _ in range(12):
            if await asyncio.to_thread(status_at, f"{workers.server.url}/health/ready") != 503:
                return False
        return True

    await eventually(says_so, BUSY_MACHINE_SECONDS)
    # New connections are accepted, and no proxy takes one of them for another request.
    headers = {"token": workers.token}
    while time.monotonic() < began + LEAVE_SECONDS - 2:
        async with plain_http() as http:
            beat = await http.post(f"{client.url}/client/v1/heartbeat", json=heartbeat(copy))
            listed = await http.get(f"{client.url}/projects", headers=headers)
        assert [one.status_code for one in (beat, listed)] == [200, 200]
        assert [one.headers["connection"] for one in (beat, listed)] == ["close", "close"]
        await copy.session()
        await asyncio.sleep(0.2)
    assert await asyncio.to_thread(workers.server.wait) == 0


def heartbeat(copy: Copy) -> dict[str, object]:
    return {"instance": copy.instance, "token": copy.reply["token"], "sequence": copy.moments.next()}


async def test_a_second_signal_ends_it_at_once(workers: Workers) -> None:
    client = await workers.client()
    wire = await (await client.execute()).session()
    slow = asyncio.create_task(stalled_call(workers))
    await asyncio.sleep(0.5)
    workers.server.send_signal(signal.SIGTERM)
    await wire.closed()
    await asyncio.sleep(1.5)
    assert workers.server.is_running
    workers.server.send_signal(signal.SIGINT)
    began = time.monotonic()
    await asyncio.to_thread(workers.server.wait)
    assert time.monotonic() - began < 10
    slow.cancel()


async def stalled_call(workers: Workers) -> None:
    """A call that is not finished for a long time: its body does not end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", workers.server.port)
    writer.write(
        b"POST /projects HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"token: %s\r\ncontent-length: 100\r\n\r\n{" % workers.token.encode()
    )
    await reader.read()


async def converse(workers: Workers, wire: Wire) -> None:
    asking = asyncio.create_task(ask(workers, wire))
    message = await wire.receive()
    await wire.send({"type": "reply", "id": message["id"], "status": "returned", "data": message["data"]})
    assert (await asking).json()["response"] == {"n": 1}


async def ask(workers: Workers, wire: Wire) -> httpx.Response:
    return await workers.http.post(
        f"{workers.server.url}/sessions/{wire.id}/message",
        content=json.dumps({"key": "handler", "data": {"n": 1}}),
        headers={"token": workers.token, "content-type": "application/json"},
    )


async def is_cut(wire: Wire) -> bool:
    try:
        await asyncio.wait_for(wire.socket.wait_closed(), 0.3)
    except TimeoutError:
        return False
    return True
