"""Two real servers on one PostgreSQL and one Redis: what is begun at one goes on at another, and what is said to one holds at all."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx

from moonlatch.discord.face import PATH
from moonlatch.master_key import MasterKeySource
from support.client import Client, NotDone
from support.developer import Developer, eventually
from support.discord import CUSTOMERS, GUILD, STAFF, TOKEN, FakeDiscord, Person, buttons_of, fake_discord, text_of
from support.discord import Client as People
from support.killed import NO_LIMITS
from support.passkeys import SoftPasskey
from support.server import MoonlatchServer
from support.visitor import key_on, signed

CUSTOMERS_OF_ROLLOUT = 12
PUBLIC_URL = "http://localhost:8000"
"""Of all servers, as behind a proxy: passkeys and sign-ins are of this place."""


@dataclass
class Chain:
    """The servers, and a seller at the first of them."""

    servers: list[MoonlatchServer]
    database_url: str
    developers: list[Developer]
    project: str

    async def client(self, script: str, http: httpx.AsyncClient) -> Client:
        """Who has the script's loader; `at` sends it to one server or another."""
        connection = await asyncpg.connect(self.database_url)
        loader = await connection.fetchval("select loader from scripts where id = $1", script)
        await connection.close()
        ring = MasterKeySource(self.servers[0].data).open()
        key = ring.of_loader(loader)
        assert key is not None
        return Client(
            self.servers[0].url,
            script,
            loader,
            key.loader_secret(loader),
            http,
            signing_key=key.public_key,
            exchange_key=key.exchange_key,
        )

    async def builds(self, client: Client, key: str) -> list[int]:
        """The build that each server gives a key."""
        given = []
        for server in self.servers:
            client.url = server.url
            given.append((await client.execute(key=key)).variables["la_script_build"])
        return given


async def test_several_servers_are_one(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    async with fake_discord() as discord, httpx.AsyncClient(timeout=60) as http:
        settings = {
            **NO_LIMITS,
            "MOONLATCH_DATABASE_URL": postgres_url,
            "MOONLATCH_REDIS_URL": redis_url,
            "MOONLATCH_DISCORD__BASE_URL": discord.url,
            "MOONLATCH_PUBLIC_URL": PUBLIC_URL,
        }
        servers = [MoonlatchServer(tmp_path / str(number), settings) for number in range(2)]
        token = await asyncio.to_thread(servers[0].new_account, "seller")
        try:
            await asyncio.to_thread(servers[0].start)
            for server in servers[1:]:
                server.data.mkdir(mode=0o700)
                shutil.copy(servers[0].data / "master.key", server.data / "master.key")
            await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers[1:]))
            developers = [Developer(server.url, token) for server in servers]
            project = await asyncio.to_thread(developers[0].new_project)
            chain = Chain(servers, postgres_url, developers, project)
            await check_rollout(chain, http)
            await check_halting(chain, http)
            await check_variables(chain, http)
            await check_webhooks_of_scripts(chain, http)
            await check_visit(chain)
            await check_members(chain)
            await check_discord(chain, discord, http)
        finally:
            for server in servers:
                server.kill()


async def check_rollout(chain: Chain, http: httpx.AsyncClient) -> None:
    """Every server gives a key the same build, and a halt or pin that one was told is everybody's."""
    first, second = chain.developers

    def release() -> tuple[str, list[str], str]:
        script = first.new_script(chain.project, "print(1)")
        second.post(f"/scripts/{script}/update", script="print(2)")
        first.post(f"/scripts/{script}/rollback", build=1)
        keys = [first.new_key(chain.project) for _ in range(CUSTOMERS_OF_ROLLOUT)]
        steps = [{"basis_points": 5_000, "minutes": 60}]
        return script, keys, second.post(f"/scripts/{script}/rollouts", build=2, steps=steps)["rollout"]["id"]

    script, keys, rollout = await asyncio.to_thread(release)
    client = await chain.client(script, http)
    given = [await chain.builds(client, key) for key in keys]
    assert [len(set(each)) for each in given] == [1] * len(keys)
    assert {each[0] for each in given} == {1, 2}, "of twelve keys, none or all: once in 2,048"
    await asyncio.to_thread(first.post, f"/rollouts/{rollout}/halt")
    assert [await chain.builds(client, key) for key in keys[:3]] == [[1, 1]] * 3
    await asyncio.to_thread(lambda: second.post(f"/users/{keys[0]}/pin", script=script, build=2))
    assert await chain.builds(client, keys[0]) == [2, 2]
    assert await chain.builds(client, keys[1]) == [1, 1]


async def check_halting(chain: Chain, http: httpx.AsyncClient) -> None:
    """Copies that start at one server tell another of their errors: one error of all of them, and a rollout that is halted for everybody."""
    first, second = chain.developers

    def release() -> tuple[str, list[str], str]:
        script = first.new_script(chain.project, "print(1)", report_errors=True)
        keys = [first.new_key(chain.project) for _ in range(CUSTOMERS_OF_ROLLOUT)]
        half = [{"basis_points": 5_000, "minutes": 60}]
        return script, keys, second.post(f"/scripts/{script}/update", script="print(2)", steps=half)["rollout"]

    script, keys, rollout = await asyncio.to_thread(release)
    client = await chain.client(script, http)
    copies = []
    for number, key in enumerate(keys):
        client.url = chain.servers[number % 2].url
        copies.append(await client.execute(key=key, reports=True))
    broken = [each for each in copies if each.variables["la_script_build"] == 2]
    assert 0 < len(broken) < len(copies), "of twelve keys, none or all: once in 2,048"
    connection = await asyncpg.connect(chain.database_url)
    noted = "select count(*) from rollout_starts where rollout_id = $1 and outcome is "
    async with asyncio.timeout(30):
        while await connection.fetchval(noted + "null", rollout) < len(copies):
            await asyncio.sleep(0.05)
    for number, copy in enumerate(copies):
        client.url = chain.servers[(number + 1) % 2].url
        if copy in broken:
            await copy.report(error={"message": "attempt to index nil", "line": 1, "kind": "main"})
        await copy.report(health="error" if copy in broken else "ok")
    async with asyncio.timeout(30):
        while await connection.fetchval(noted + "not null", rollout) < len(copies):
            await asyncio.sleep(0.05)
    listed = [await asyncio.to_thread(each.get, f"/scripts/{script}/errors") for each in chain.developers]
    (error,) = await asyncio.to_thread(eventually, lambda: first.get(f"/scripts/{script}/errors")["errors"])
    await asyncio.to_thread(
        eventually, lambda: second.get(f"/errors/{error['id']}")["error"]["instances"] == len(broken)
    )
    assert all(len(each["errors"]) <= 1 for each in listed)
    # What sixty customers more with the new build and as many others say, minutes ago: no server's clock is moved.
    await connection.execute(
        "insert into rollout_starts (instance, rollout_id, is_new, basis_points, holder, started_at, outcome) "
        "select 'x' || n, $1, n % 2 = 0, 5000, cast('x' || n as bytea), 1, "
        "case when n % 2 = 0 then 'error' else 'ok' end from generate_series(1, 120) n",
        rollout,
    )
    await connection.close()
    shown = await asyncio.to_thread(
        eventually,
        lambda: (found := second.get(f"/rollouts/{rollout}")["rollout"])["state"] == "halted" and found,
        timeout_seconds=30,
    )
    assert shown["halted_because"]["because"] == "errors"
    assert shown["halted_because"]["new"]["starts"] >= 60
    events = (await asyncio.to_thread(first.get, "/events", kind="script.rollout_halted"))["events"]
    assert [each["actor"]["kind"] for each in events if each["resource"]["id"] == script][:1] == ["job"]
    assert len([each for each in events if each["actor"]["kind"] == "job"]) == 1, "both servers look, and one halts"
    assert [await chain.builds(client, key) for key in keys[:3]] == [[1, 1]] * 3


async def check_variables(chain: Chain, http: httpx.AsyncClient) -> None:
    """A variable that is set at one server is heard of by the copies at another, and read at any."""
    first = chain.developers[0]

    def put(developer: Developer, value: str) -> None:
        developer.post(f"/projects/{chain.project}/variables", name="greeting", value=value)

    await asyncio.to_thread(put, first, "hello")
    script = await asyncio.to_thread(first.new_script, chain.project, "print(la_var('greeting'))")
    key = await asyncio.to_thread(first.new_key, chain.project)
    client = await chain.client(script, http)
    client.url = chain.servers[1].url
    copy = await client.execute(key=key)
    assert await copy.variable("greeting") == "hello"
    session = await copy.session()
    await asyncio.to_thread(put, first, "good evening")
    async with asyncio.timeout(30):
        while (frame := await session.receive())["type"] == "alive":
            pass
    assert frame == {"type": "variable_changed", "name": "greeting"}
    for server in chain.servers:
        client.url = server.url
        assert await copy.variable("greeting") == "good evening"
    await session.socket.close()


async def check_webhooks_of_scripts(chain: Chain, http: httpx.AsyncClient) -> None:
    """What copies at any server have posted is taken over once, as often as its limit lets all of them together."""
    first, second = chain.developers
    taken, calls = 3, 6

    def put() -> tuple[str, str, str]:
        url = "https://receiver.invalid/hook"
        endpoint = first.post(f"/projects/{chain.project}/endpoints", url=url, events=[])["endpoint"]["id"]
        remote = {"name": "drops", "kind": "webhook", "endpoint_id": endpoint, "per_key": taken}
        second.post(f"/projects/{chain.project}/remotes", **remote)
        script = first.new_script(chain.project, "print(la_webhook('drops', {}))")
        return script, first.new_key(chain.project), endpoint

    script, key, endpoint = await asyncio.to_thread(put)
    client = await chain.client(script, http)
    copy = await client.execute(key=key)
    answers = []
    for number in range(calls):
        client.url = chain.servers[number % 2].url
        try:
            answers.append(await copy.call("webhook", "drops", {"number": number}))
        except NotDone as problem:
            answers.append(problem.code)
    assert answers == [True] * taken + ["RATE_LIMITED"] * (calls - taken)
    listed = [await asyncio.to_thread(each.get, f"/endpoints/{endpoint}/deliveries") for each in chain.developers]
    assert [len(each["deliveries"]) for each in listed] == [taken, taken]


async def check_visit(chain: Chain) -> None:
    """A visitor who begins at one server and leaves by another has the key at both, once."""
    first, second = (server.url for server in chain.servers)
    gate = {"provider": "custom", "settings": {"url": "https://gate.example/in"}, "minimum_seconds": 0}

    def open_system() -> str:
        new = {"project_id": chain.project, "name": "Free keys", "slug": "free-keys"}
        system = chain.developers[0].post("/ads/systems/new", **new)["system_id"]
        return str(chain.developers[1].post(f"/ads/systems/{system}/steps", **gate)["signing_secret"])

    secret = await asyncio.to_thread(open_system)
    async with httpx.AsyncClient(timeout=60) as browser:
        await browser.post(f"{first}/get/free-keys")
        left = await browser.get(f"{second}/get/free-keys/go")
        (callback,) = parse_qs(urlsplit(left.headers["location"]).query)["callback"]
        back = signed(urlsplit(callback).path, secret, int(time.time() * 1000) + 60_000)
        together = await asyncio.gather(*(browser.get(url + back) for url in (first, second) * 4))
        assert sorted(reply.status_code for reply in together) == [303] + [403] * 7
        keys = {key_on(await browser.get(f"{url}/get/free-keys")) for url in (first, second)}
    assert len(keys) == 1
    assert None not in keys


async def check_members(chain: Chain) -> None:
    """Whoever signed in at one is signed in at all, until they sign out at any; a challenge is answered once, wherever it was asked for."""

    async def send(at: int, path: str, body: object, cookies: httpx.Cookies | None = None) -> httpx.Response:
        async with httpx.AsyncClient(timeout=60, headers={"Origin": PUBLIC_URL}) as page:
            headers = {}
            if cookies is not None:
                held = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
                me = (await page.get(f"{chain.servers[1 - at].url}/me", headers=held)).json()
                headers = {**held, "X-CSRF-Token": me["me"]["csrf"]}
            return await page.post(chain.servers[at].url + path, json=body, headers=headers)

    link = await asyncio.to_thread(
        lambda: chain.developers[0].post("/members", name="Ana", sign_in_name="ana@example.com", role="owner")
    )
    taken = await send(1, "/auth/accept", {"secret": link["secret"], "password": "correct horse battery"})
    assert taken.status_code == 200, taken.text
    again = await send(0, "/auth/accept", {"secret": link["secret"], "password": "correct horse battery"})
    assert again.status_code >= 400
    key = SoftPasskey.at(PUBLIC_URL)
    asked = (await send(0, "/me/passkeys/challenge", {}, taken.cookies)).json()
    new = {"challenge_id": asked["challenge_id"], "name": "laptop", "credential": key.create(asked["options"])}
    added = await send(1, "/me/passkeys", new, taken.cookies)
    assert added.status_code == 200, added.text
    asked = (await send(0, "/auth/passkey/challenge", {})).json()
    answer = {"challenge_id": asked["challenge_id"], "credential": key.get(asked["options"])}
    arrivals = await asyncio.gather(*(send(number % 2, "/auth/passkey", answer) for number in range(8)))
    assert sorted(each.status_code for each in arrivals) == [200, *[401] * 7]
    (arrived,) = [each for each in arrivals if each.status_code == 200]
    assert (await send(0, "/me/sign_out", {}, arrived.cookies)).status_code == 200
    async with httpx.AsyncClient(timeout=60) as page:
        for server in chain.servers:
            for cookies, status in ((arrived.cookies, 401), (taken.cookies, 200)):
                held = "; ".join(f"{name}={value}" for name, value in cookies.items())
                assert (await page.get(f"{server.url}/me", headers={"Cookie": held})).status_code == status


async def check_discord(chain: Chain, discord: FakeDiscord, http: httpx.AsyncClient) -> None:
    """Whichever server Discord comes to answers, and of both together one does."""
    first, second = (People(discord, http, server.url + PATH) for server in chain.servers)

    def link() -> str:
        me = chain.developers[0]
        me.post("/account/discord", bot_token=TOKEN)
        roles = {STAFF: "admin"}
        me.post(f"/projects/{chain.project}/discord", guild_id=GUILD, customer_role_id=CUSTOMERS, roles=roles)
        return me.new_key(chain.project)

    key = await asyncio.to_thread(link)
    staff, customer = discord.join(Person(name="staff", roles={STAFF})), discord.join(Person())
    buttons = buttons_of(await first.use("panel", staff))
    dialog = await second.press(buttons["Redeem key"], customer)
    assert "is yours now" in text_of(await first.write(dialog["data"]["custom_id"], customer, key=key))
    assert "Starts: 0" in text_of(await first.press(buttons["My stats"], customer))
    await discord.until(lambda: customer.roles == {CUSTOMERS})
    once = discord.interaction(2, staff, name="create_keys", options=[{"name": "count", "value": 1}])
    replies = await asyncio.gather(*(people.send(once) for people in (first, second) * 4))
    assert sorted(reply.status_code for reply in replies) == [200] + [401] * 7
    await check_channel_of_role(chain, discord, http)
    assert discord.faults == []


async def check_channel_of_role(chain: Chain, discord: FakeDiscord, http: httpx.AsyncClient) -> None:
    """A role that somebody has puts their key on its channel, whichever server read of it."""
    first, second = chain.developers
    tester = discord.join(Person(roles={STAFF}))

    def publish() -> tuple[str, str]:
        script = first.new_script(chain.project, "print(1)")
        second.post(f"/scripts/{script}/update?channel=beta", script="print(2)")
        key = first.new_key(chain.project, discord_id=tester.id)
        first.post(f"/projects/{chain.project}/discord", channels={STAFF: "beta"})
        return script, key

    def is_read() -> bool:
        return second.get(f"/users/{key}/pins")["role_channels"] == ["beta"]

    script, key = await asyncio.to_thread(publish)
    await asyncio.to_thread(eventually, is_read, timeout_seconds=30)
    assert await chain.builds(await chain.client(script, http), key) == [2, 2]
