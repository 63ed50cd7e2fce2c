"""The real server, killed between a visitor's steps and after the last: no attempt is lost, and no key."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from support.server import MoonlatchServer
from support.visitor import key_on, signed

GATE = {"provider": "custom", "settings": {"url": "https://gate.example/in"}, "minimum_seconds": 0}


async def test_a_kill_between_two_steps_loses_no_attempt(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", {})
    token = await asyncio.to_thread(server.new_account, "owner")
    await asyncio.to_thread(server.start)

    async def killed() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    try:
        async with httpx.AsyncClient(headers={"token": token}, timeout=60) as http:
            project = (await http.post(f"{server.url}/projects", json={"name": "p"})).json()["project"]["id"]
            new = {"project_id": project, "name": "Free keys", "slug": "free-keys"}
            system = (await http.post(f"{server.url}/ads/systems/new", json=new)).json()["system_id"]
            path = f"/ads/systems/{system}/steps"
            secrets = [(await http.post(server.url + path, json=GATE)).json()["signing_secret"] for _ in range(2)]
        async with httpx.AsyncClient(timeout=60) as browser:
            await browser.post(f"{server.url}/get/free-keys")
            for secret in secrets:
                left = await browser.get(f"{server.url}/get/free-keys/go")
                (callback,) = parse_qs(urlsplit(left.headers["location"]).query)["callback"]
                await killed()  # while the visitor is away
                back = signed(urlsplit(callback).path, secret, int(time.time() * 1000) + 60_000)
                assert (await browser.get(server.url + back)).status_code == 303
            assert key_on(await browser.get(f"{server.url}/get/free-keys")) is not None
    finally:
        await asyncio.to_thread(server.kill)
