"""Fifty copies from fifty networks that all claim one device, on a key as it is sold by default: somebody is told, and may be asked to stop it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from typing import Any

import httpx

from moonlatch.master_key import MasterKeySource
from support.client import Client, Copy, Refused
from support.developer import Developer, eventually
from support.server import MoonlatchServer

COPIES = 50


async def crowd(server: MoonlatchServer, script: str, key: str) -> tuple[list[Copy], Counter[str]]:
    """As many copies as may start, each from a network of its own, and what the others were refused with."""
    with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
        (loader,) = connection.execute("select loader from scripts where id = ?", [script]).fetchone()
    secret = MasterKeySource(server.data).open().loader_secret(loader)
    copies: list[Copy] = []
    refused: Counter[str] = Counter()

    async def start(number: int, http: httpx.AsyncClient) -> None:
        client = Client(server.url, script, loader, secret, http)
        headers = {"x-forwarded-for": f"198.18.{number}.9"}
        try:
            copies.append(
                await client.execute(key=key, fingerprint="the device that all of them claim", headers=headers)
            )
        except Refused as error:
            refused[error.code] += 1

    async with httpx.AsyncClient(timeout=60) as http:
        await asyncio.gather(*(start(number, http) for number in range(COPIES)))
    return copies, refused


def told_of(developer: Developer, key: str) -> list[dict[str, Any]]:
    found = developer.get(f"/users/{key}/events")["events"]
    return [each["changes"] for each in found if each["kind"] == "user.sharing_suspected"]


def test_fifty_copies_of_a_default_key_are_told_of_and_then_held(
    server: MoonlatchServer, developer: Developer, project: str
) -> None:
    script, key = developer.new_script(project, "print('hi')"), developer.new_key(project)
    copies, refused = asyncio.run(crowd(server, script, key))
    assert (len(copies), refused) == (COPIES, {}), "nothing keeps them from it by default"
    (told,) = eventually(lambda: told_of(developer, key), timeout_seconds=60)
    assert told["networks_a_day"][0] == 10
    assert told["networks_a_day"][1] > 10
    assert len(developer.get(f"/users/{key}/devices")["devices"]) == 1

    developer.post(f"/projects/{project}/edit", sharing={"networks_a_day": {"action": "hold"}})
    other = developer.new_key(project)
    asyncio.run(crowd(server, script, other))
    held = eventually(lambda: developer.get(f"/projects/{project}/users", held="true")["users"], timeout_seconds=60)
    assert [(user["key"], user["held_by"]) for user in held] == [(other, "networks_a_day")]
    copies, refused = asyncio.run(crowd(server, script, other))
    assert (copies, refused) == ([], {"KEY_HELD": COPIES})

    developer.post(f"/users/{other}/release")
    copies, _ = asyncio.run(crowd(server, script, other))
    assert copies, "it starts again, until the same is seen again"
