"""From set-up to the role that is taken: the real command line, server and loader, with a Discord of our own, and the server killed in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from moonlatch.discord.face import PATH
from support.developer import Developer
from support.discord import (
    CUSTOMERS,
    GUILD,
    STAFF,
    TOKEN,
    Client,
    FakeDiscord,
    Person,
    buttons_of,
    fake_discord,
    text_of,
)
from support.lua_host.run import LoaderRun
from support.server import MoonlatchServer


def told(server: MoonlatchServer, token: str, *arguments: str) -> tuple[int, str]:
    """Status and output of `moonlatch discord ...`."""
    done = server.cli("discord", *arguments, "--url", server.url, "--token", token, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_a_customer_redeems_starts_gets_the_role_and_loses_it_with_the_key(tmp_path: Path) -> None:
    async with fake_discord() as discord:
        settings = {"MOONLATCH_DISCORD__BASE_URL": discord.url, "MOONLATCH_DISCORD_TOKEN": TOKEN}
        server = MoonlatchServer(tmp_path / "data", settings)
        token = await asyncio.to_thread(server.new_account, "seller")
        await asyncio.to_thread(server.start)
        try:
            await _sell(server, token, discord)
        finally:
            await asyncio.to_thread(server.kill)


async def _sell(server: MoonlatchServer, token: str, discord: FakeDiscord) -> None:
    with Developer(server.url, token) as developer:
        project = await asyncio.to_thread(developer.new_project)
        script = await asyncio.to_thread(developer.new_script, project, "print('bought')")
        key = await asyncio.to_thread(lambda: developer.new_key(project, key_days=30))
    status, said = await asyncio.to_thread(told, server, token, "setup")
    assert (status, "The commands are registered" in said) == (0, True), said
    assert TOKEN not in said
    link = ("link", project, "--server", GUILD, "--customer-role", CUSTOMERS, "--role", f"{STAFF}=admin")
    assert (await asyncio.to_thread(told, server, token, *link))[0] == 0
    status, said = await asyncio.to_thread(told, server, token, "check")
    assert status == 1
    assert [line for line in said.splitlines() if line.startswith("missing")] == [
        "missing  this server has an https:// address",
        "missing  something signed has come from Discord",
    ]

    staff, customer = discord.join(Person(name="staff", roles={STAFF})), discord.join(Person())
    async with httpx.AsyncClient(timeout=60) as http:
        client = Client(discord, http, server.url + PATH)
        buttons = buttons_of(await client.use("panel", staff))
        dialog = await client.press(buttons["Redeem key"], customer)
        assert "is yours now" in text_of(await client.write(dialog["data"]["custom_id"], customer, key=key))
        await discord.until(lambda: customer.roles == {CUSTOMERS})
        line = text_of(await client.press(buttons["Get script"], customer))
        assert f'script_key = "{key}"' in line
        loader = line.partition('HttpGet("')[2].partition('"')[0]
        assert loader == f"{server.url}/loader/{script}"
        await asyncio.to_thread(_started, loader, key)
        assert "Starts: 1" in text_of(await client.press(buttons["My stats"], customer))

        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        # What was being done when it died is done again; what is asked again is answered.
        assert "Starts: 1" in text_of(await client.press(buttons["My stats"], customer))
        await client.use("blacklist", staff, user=customer.id, duration="3s")
        await discord.until(lambda: customer.roles == set())
        await discord.until(lambda: customer.roles == {CUSTOMERS})

        dying = asyncio.Event()

        async def die(method: str, _path: str) -> None:
            if method == "DELETE" and not dying.is_set():
                dying.set()
                await asyncio.to_thread(server.kill)

        discord.before_answer = die
        await client.use("unwhitelist", staff, user=customer.id)
        await dying.wait()
        customer.roles.add(CUSTOMERS)  # the call did not arrive after all
        await asyncio.to_thread(server.start)
        await discord.until(lambda: customer.roles == set(), seconds=180)
        assert "no key" in text_of(await client.press(buttons["Get script"], customer))


def _started(loader: str, key: str) -> Any:
    with LoaderRun(loader, key=key) as run:
        return run.wait_for("print", "bought")
