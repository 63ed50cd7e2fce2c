"""The log of a whole life at its most talkative: JSON lines that tell which request they belong to, and no secret at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from moonlatch.master_key import MasterKeySource
from support.client import Client, Refused
from support.developer import Developer
from support.server import MoonlatchServer

METRICS_TOKEN = "a-token-that-reads-metrics"
ADDRESS = "203.0.113.77"
SOURCE = "local treasure = 'buried under the old oak'\nla_handle('ask', function() end)\nprint(treasure)"


class Life:
    """A server, everything done to it, and every secret that came up."""

    def __init__(self, server: MoonlatchServer, token: str) -> None:
        self.server = server
        self.token = token
        self.secrets: dict[str, str] = {
            "API token": token,
            "metrics token": METRICS_TOKEN,
            "master key": (server.data / "master.key").read_text().strip(),
            "address": ADDRESS,
            "source": "buried under the old oak",
        }
        self.request_ids: set[str] = set()

    async def live(self) -> None:
        with Developer(self.server.url, self.token) as developer:
            key, script = self._set_up(developer)
            with contextlib.closing(sqlite3.connect(self.server.data / "moonlatch.db")) as connection:
                (loader,) = connection.execute("select loader from scripts where id = ?", [script]).fetchone()
            secret = MasterKeySource(self.server.data).open().loader_secret(loader)
            self.secrets["loader secret"] = secret.hex()
            headers = {"x-forwarded-for": ADDRESS}
            async with httpx.AsyncClient(timeout=60, headers=headers) as http:
                client = Client(self.server.url, script, loader, secret, http)
                await self._run(client, developer, key)
                await self._be_a_nuisance(http, developer, key)
                await self._break(client, developer, key)

    def _set_up(self, developer: Developer) -> tuple[str, str]:
        project = developer.new_project()
        webhook = "https://hooks.example.com/a-path-that-is-a-secret"
        developer.post(f"/projects/{project}/edit", execution_webhook=webhook)
        script = developer.new_script(project, SOURCE)
        user = {"note": "Ada of 12 Example Street", "discord_id": "987654321098765432"}
        key = developer.new_key(project, **user)
        made = developer.post("/account/tokens", name="bot")
        self.secrets |= {"webhook": webhook, "key": key, "second token": made["secret"], **user}
        return key, script

    async def _run(self, client: Client, developer: Developer, key: str) -> None:
        request, copy = await client.start(key=key, fingerprint="a device to be recognised", job_id="a-job-of-somebody")
        self.secrets |= {
            "fingerprint": request["fingerprint"],
            "job": request["job_id"],
            "nonce": request["nonce"],
            **{f"reply's {name}": copy.reply[name] for name in ("nonce", "token", "proof", "payload_key", "instance")},
            "payload": copy.reply["payload"][:60],
        }
        await copy.beat()
        opening = copy.opening()
        self.secrets["session's nonce"] = opening["nonce"]
        socket = await connect(f"{client.url.replace('http', 'ws')}/client/v1/session", compression=None)
        await socket.send(json.dumps(opening))
        opened = json.loads(json.loads(await socket.recv())["body"])
        self.secrets["message"] = "only for this customer's eyes"
        message = {"key": "ask", "data": [self.secrets["message"]]}
        asking = asyncio.create_task(
            client.http.post(
                f"{client.url}/sessions/{opened['session']}/message", json=message, headers={"token": self.token}
            )
        )
        assert self.secrets["message"] in await socket.recv()
        await socket.send(json.dumps({"type": "reply", "id": 999, "status": "returned", "data": [key]}))
        await socket.send(json.dumps({"type": "nonsense", "key": key}))
        await socket.wait_closed()
        self._note(await asking)
        developer.post(f"/users/{key}/blacklist", reason="because of Ada's charge-back")
        self.secrets["reason"] = "Ada's charge-back"
        with pytest.raises(Refused):
            await copy.beat()

    async def _be_a_nuisance(self, http: httpx.AsyncClient, developer: Developer, key: str) -> None:
        """Secrets where they do not belong: in paths, queries, broken bodies, wrong types."""
        url = self.server.url
        for path in ("/client/v1/execute", "/client/v1/heartbeat"):
            await http.post(url + path, content=json.dumps({"key": key, "token": self.token}))
            await http.post(url + path, content=f'{{"key": "{key}"')
        for path in (f"/users/{key}?token={self.token}", f"/nowhere/{key}", f"/loader/{key}", f"/client/v1/{key}"):
            self._note(await http.get(url + path, headers={"token": self.token}))
        self._note(await http.post(f"{url}/projects", json={key: self.token}, headers={"token": self.token + "x"}))
        self._note(developer.http.post("/projects", json={"name": [key], self.token: key}))
        assert (
            await http.get(f"{url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
        ).status_code == 200
        async with connect(f"{url.replace('http', 'ws')}/client/v1/session") as socket:
            await socket.send(json.dumps({"type": "open", "instance": key, "token": self.token, "nonce": key}))
            await socket.wait_closed()

    async def _break(self, client: Client, developer: Developer, key: str) -> None:
        """Fail inside: what is logged then knows of values."""
        with contextlib.closing(sqlite3.connect(self.server.data / "moonlatch.db")) as connection:
            connection.execute("pragma foreign_keys = off")
            connection.execute("drop table users")
        self._note(developer.http.get(f"/users/{key}"))
        with pytest.raises(Refused) as refused:
            await client.execute(key=key)
        assert refused.value.status == 503
        self.request_ids.add(refused.value.headers["x-request-id"])

    def _note(self, reply: httpx.Response) -> None:
        if "x-request-id" in reply.headers:
            self.request_ids.add(reply.headers["x-request-id"])


@pytest.fixture
def life(tmp_path: Path) -> Any:
    settings = {
        "MOONLATCH_LOG__LEVEL": "debug",
        "MOONLATCH_LOG__FORMAT": "json",
        "MOONLATCH_METRICS__TOKEN": METRICS_TOKEN,
        "MOONLATCH_TRUSTED_PROXIES": "127.0.0.1",
    }
    server = MoonlatchServer(tmp_path / "data", settings)
    token = server.new_account("ann")
    with server:
        yield Life(server, token)
        server.stop()


async def test_no_secret_is_in_the_log_of_a_whole_life(life: Life) -> None:
    await life.live()
    text = life.server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    assert {
        name: secret for name, secret in life.secrets.items() if secret in text or json.dumps(secret)[1:-1] in text
    } == {}

    by_request = {line["request_id"] for line in lines if "request_id" in line}
    assert life.request_ids
    assert life.request_ids <= by_request, "a reply named a request that the log does not know"
    failed = [line for line in lines if line["level"] in ("warning", "error") and "request_id" in line]
    assert {line["logger"] for line in failed} >= {"moonlatch.client.protocol", "moonlatch.management"}
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert len(text.splitlines()) - len(lines) <= 2, "what is no JSON object is what the command says at its start"
