"""The real server, killed in the middle of its deliveries: everything that it said had happened arrives, signed, with the id it had."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from support.receiver import Received, Reply, receiver
from support.rounds import rounds
from support.server import MoonlatchServer

KILLS = rounds(2, 20)
CHANGES = 25
SETTINGS = {
    "MOONLATCH_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8",
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "1000000",
    "MOONLATCH_MANAGEMENT__BURST": "1000000",
}


async def test_a_kill_loses_and_forgets_no_delivery(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", SETTINGS)
    token = await asyncio.to_thread(server.new_account, "owner")
    acknowledged: list[str] = []
    async with receiver() as there, httpx.AsyncClient(headers={"token": token}, timeout=60) as http:
        seen: set[str] = set()

        def moody(got: Received) -> Reply | None:
            """Hang up on some, the first time."""
            is_new = got.headers["webhook-id"] not in seen
            seen.add(got.headers["webhook-id"])
            return None if is_new and len(seen) % 12 == 3 else (200, {}, b"")

        there.usual = moody
        await asyncio.to_thread(server.start)
        try:
            project = (await http.post(f"{server.url}/projects", json={"name": "p"})).json()["project"]["id"]
            hook = {"url": there.url, "events": ["project.edited"]}
            made = (await http.post(f"{server.url}/projects/{project}/endpoints", json=hook)).json()
            for kill in range(KILLS):
                before = len(there.received)
                for number in range(CHANGES):
                    name = f"{kill}-{number}"
                    reply = await http.post(f"{server.url}/projects/{project}/edit", json={"name": name})
                    assert reply.status_code == 200
                    acknowledged.append(name)
                await there.got(before + 3)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            async with asyncio.timeout(90):
                path = f"{server.url}/endpoints/{made['endpoint']['id']}/deliveries"
                while (await http.get(path, params={"state": "waiting"})).json()["deliveries"]:
                    await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(server.kill)
        names: dict[str, set[str]] = {}
        for got in there.received:
            payload = Webhook(made["secret"]).verify(got.body, got.headers)
            names.setdefault(payload["data"]["changes"]["name"][1], set()).add(got.headers["webhook-id"])
    assert sorted(names) == sorted(acknowledged)
    assert all(len(ids) == 1 for ids in names.values())


@pytest.mark.parametrize("variable", ["127.0.0.1/8", "home"])
def test_a_network_that_is_none_is_refused_at_the_start(tmp_path: Path, variable: str) -> None:
    server = MoonlatchServer(tmp_path / "data", {"MOONLATCH_WEBHOOKS__ALLOW_NETWORKS": variable})
    refused = server.cli("config", "--data", str(server.data), check=False)
    assert refused.returncode == 1
    assert "webhooks.allow_networks" in refused.stderr + refused.stdout
