"""Every row of `docs/reference/failure-modes.md`, with the real engines cut off behind two servers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from moonlatch.jobs.expiry import remove_expired_users
from moonlatch.live import redis_connection as engine
from support import rows
from support.client import Client, Copy, Wire
from support.full_disk import full_disk
from support.installation import Installation, code_of, running_installation
from support.keys import hashed
from support.management import running_api
from support.proxy import Cut
from support.services import Databases

TABLE = Path(__file__).parents[2] / "docs/reference/failure-modes.md"
UNAVAILABLE = "503 UNAVAILABLE"


@pytest.fixture
async def installation(
    tmp_path: Path, databases: Databases, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    monkeypatch.setattr(engine, "RECONNECT_SECONDS", 0.2)
    with databases.migrated() as postgres_url:
        async with running_installation(tmp_path, postgres_url, redis_url) as running:
            yield running


class Before:
    """What runs already when an engine goes away: copies and a session of a script for all."""

    def __init__(self, client: Client, copy: Copy, wire: Wire) -> None:
        self.client = client
        self.copy = copy
        self.wire = wire

    @classmethod
    async def of(cls, installation: Installation) -> Before:
        client = await installation.client(free_for_all=True)
        copy = await client.execute()
        wire = await (await client.execute()).session()
        return cls(client, copy, wire)


def is_unavailable(response: httpx.Response) -> bool:
    error = response.json()["error"]
    return (response.status_code, error["code"], error["message"], response.headers["retry-after"]) == (
        503, -1, "temporarily unavailable", str(error["retry_after"]),
    )  # fmt: skip


# Without the database.


async def start_without_database(_: Installation, before: Before) -> None:
    assert await code_of(before.client.execute()) == UNAVAILABLE


async def loader_without_database(_: Installation, before: Before) -> None:
    response = await before.client.http.get(f"{before.client.url}/loader/{before.client.script}")
    assert (response.status_code, response.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "error(" in response.text


async def heartbeat_without_database(_: Installation, before: Before) -> None:
    assert await code_of(before.copy.beat()) == UNAVAILABLE


async def session_without_database(installation: Installation, before: Before) -> None:
    """It stands, and its server still reaches it."""
    live = installation.processes[0].moonlatch.live
    assert (before.wire.socket.state.name, await live.session(before.wire.id) is not None) == ("OPEN", True)


async def opening_without_database(_: Installation, before: Before) -> None:
    code, _reason = await (await before.copy.connect()).closed()
    assert code == 3001


async def management_without_database(installation: Installation, before: Before) -> None:
    assert is_unavailable(await installation.call("GET", f"/scripts/{before.client.script}"))
    assert is_unavailable(await installation.call("POST", f"/scripts/{before.client.script}/edit", {"name": "x"}))


async def health_without_database(installation: Installation, _: Before) -> None:
    assert (await installation.call("GET", "/health/live")).status_code == 200
    assert (await installation.call("GET", "/health/ready")).status_code == 503


# Without Redis.


async def start_without_redis(installation: Installation, before: Before) -> None:
    assert await code_of(before.client.execute()) == "granted"
    limited = await installation.user(max_instances=5)
    unlimited = await installation.user()
    assert await code_of(before.client.execute(key=limited)) == UNAVAILABLE
    assert await code_of(before.client.execute(key=unlimited)) == "granted"


async def heartbeat_without_redis(installation: Installation, before: Before) -> None:
    assert await code_of(before.copy.beat()) == "granted"
    elsewhere = replace(before.copy, client=installation.at(before.client, 1))
    assert await code_of(elsewhere.beat()) == "granted"
    before.copy.sequence = elsewhere.sequence


async def session_without_redis(installation: Installation, before: Before) -> None:
    await session_without_database(installation, before)
    wire = await (await before.client.execute()).session()
    await wire.socket.close()


async def management_without_redis(installation: Installation, before: Before) -> None:
    path = f"/scripts/{before.client.script}"
    assert is_unavailable(await installation.call("GET", path))
    assert is_unavailable(await installation.call("POST", f"{path}/sessions", {}))
    assert is_unavailable(await installation.call("GET", f"{path}/sessions/filter?place_id=7"))
    assert (await installation.call("POST", f"{path}/edit", {"name": "another"})).status_code == 200
    assert (await installation.call("GET", f"/projects/{installation.project}/users")).status_code == 200
    assert (await installation.call("GET", "/health/ready")).status_code == 200


async def message_without_redis(installation: Installation, before: Before) -> None:
    path = f"/sessions/{before.wire.id}"
    answering = asyncio.create_task(answer_one(before.wire))
    answered = await installation.call("POST", f"{path}/message", {"key": "handler", "data": [1]})
    await answering
    assert answered.json() == {"success": True, "processed": True, "response": {"got": [1]}}
    assert is_unavailable(await installation.call("POST", f"{path}/message", {"key": "handler"}, process=1))
    assert is_unavailable(await installation.call("POST", f"{path}/disconnect", process=1))


async def limits_without_redis(installation: Installation, _: Before) -> None:
    response = await installation.call("GET", "/account")
    assert response.status_code == 200
    assert int(response.headers["ratelimit-remaining"]) > 0
    live = installation.processes[0].moonlatch.live
    assert not await live.takes_turn("removing expired users", 60)


async def answer_one(wire: Wire) -> None:
    while (frame := await wire.receive())["type"] != "message":
        pass
    await wire.send({"type": "reply", "id": frame["id"], "status": "returned", "data": {"got": frame["data"]}})


Check = Callable[[Installation, Before], Awaitable[None]]
WITHOUT_DATABASE: list[Check] = [
    start_without_database,
    loader_without_database,
    heartbeat_without_database,
    session_without_database,
    opening_without_database,
    management_without_database,
    health_without_database,
]
WITHOUT_REDIS: list[Check] = [
    start_without_redis,
    heartbeat_without_redis,
    session_without_redis,
    management_without_redis,
    message_without_redis,
    limits_without_redis,
]


async def goes_on(installation: Installation, before: Before) -> None:
    """Everything works again, on both servers, and nothing is counted twice."""
    assert await code_of(before.copy.beat()) == "granted"
    assert await code_of(before.client.execute()) == "granted"
    answer = await installation.call("GET", f"/sessions/{before.wire.id}", process=1)
    assert answer.json()["session"]["id"] == before.wire.id
    listed = await installation.call("POST", f"/scripts/{before.client.script}/sessions", {}, process=1)
    assert [session["id"] for session in listed.json()["sessions"]] == [before.wire.id]
    answering = asyncio.create_task(answer_one(before.wire))
    answered = await installation.call(
        "POST", f"/sessions/{before.wire.id}/message", {"key": "handler", "data": [2]}, process=1
    )
    await answering
    assert answered.json()["response"] == {"got": [2]}


@pytest.mark.parametrize("how", ["refuse", "stall"])
async def test_without_the_database(installation: Installation, how: Cut) -> None:
    before = await Before.of(installation)
    async with installation.cut_off([installation.postgres], how):
        for check in WITHOUT_DATABASE:
            await check(installation, before)
    await goes_on(installation, before)


@pytest.mark.parametrize("how", ["refuse", "stall"])
async def test_without_redis(installation: Installation, how: Cut) -> None:
    before = await Before.of(installation)
    async with installation.cut_off([installation.redis], how):
        for check in WITHOUT_REDIS:
            await check(installation, before)
    await goes_on(installation, before)


async def both_away(installation: Installation, before: Before) -> None:
    for check in WITHOUT_DATABASE:
        if check is not session_without_database:
            await check(installation, before)
    assert before.wire.socket.state.name == "OPEN"


async def test_without_both(installation: Installation) -> None:
    before = await Before.of(installation)
    async with installation.cut_off([installation.postgres, installation.redis], "refuse"):
        await both_away(installation, before)
    await goes_on(installation, before)


async def revocation_without_database(installation: Installation) -> None:
    """Who is barred while nobody can look is out as soon as they can; who was disconnected before stays so."""
    client = await installation.client(1)
    barred, disconnected = [await installation.user() for _ in range(2)]
    beating = await client.execute(key=barred)
    wire = await (await client.execute(key=barred)).session()
    ended = await client.execute(key=disconnected)
    gone = await ended.session()
    assert (await installation.call("POST", f"/sessions/{gone.id}/disconnect", process=0)).status_code == 200
    async with installation.cut_off([installation.postgres], "refuse"):
        await rows.change(
            installation.database,
            "update users set blacklisted = true where id = :user",
            user=await installation.id_of(barred),
        )
        assert await code_of(ended.beat()) == UNAVAILABLE
        assert await code_of(beating.beat()) == UNAVAILABLE
    assert await code_of(ended.beat()) == "403 DISCONNECTED"
    assert (await (await ended.connect()).stopped()) == "DISCONNECTED"
    assert await code_of(beating.beat()) == "403 BLACKLISTED"
    assert await code_of(client.execute(key=barred)) == "403 BLACKLISTED"
    # The command line, say, barred them: no server was told, so a session hears of it in its turn.
    await installation.processes[1].moonlatch.live.user_changed(await installation.id_of(barred))
    frames = []
    with contextlib.suppress(Exception):
        while True:
            frames.append((await wire.receive())["type"])
    assert frames[-1] == "stop"


async def test_a_revoked_copy_does_not_come_back(installation: Installation) -> None:
    await revocation_without_database(installation)


async def test_a_limit_stops_nobody_while_redis_is_away_and_holds_once_it_is_back(installation: Installation) -> None:
    client = await installation.client()
    key = await installation.user(max_instances=3)
    copies = [await client.execute(key=key) for _ in range(3)]
    async with installation.cut_off([installation.redis], "refuse"):
        await rows.change(
            installation.database,
            "update users set max_instances = 1 where id = :user",
            user=await installation.id_of(key),
        )
        assert [await code_of(copy.beat()) for copy in copies] == ["granted"] * 3
        copies[1].client = installation.at(client, 1)
        assert await code_of(copies[1].beat()) == "granted"
        wire = await copies[2].session()
    async with asyncio.timeout(60):
        assert await wire.stopped() == "TOO_MANY_INSTANCES"
    assert await code_of(copies[0].beat()) == "granted"
    assert await code_of(copies[1].beat()) == "403 TOO_MANY_INSTANCES"


async def test_expired_users_go_once_redis_is_back(installation: Installation) -> None:
    live = installation.processes[0].moonlatch.live
    assert await live.takes_turn("removing", 60)
    assert not await installation.processes[1].moonlatch.live.takes_turn("removing", 60)
    gone = await installation.user(key_expires=1)
    await rows.change(installation.database, "update projects set delete_expired_users = true")
    removed = await asyncio.gather(*(remove_expired_users(each.moonlatch.world) for each in installation.processes))
    assert sum(removed) == 1
    left = "select count(*) from users where key_hash = :key"
    assert await rows.value(installation.database, left, key=hashed(gone, installation.keyring)) == 0


async def test_on_a_full_disk_what_only_reads_goes_on(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        me = await api.developer()
        project = await me.new_project()
        client = await api.running_script(project, free_for_all=True, payload=b"x" * 200_000)
        copy, wire = await client.execute(), await (await client.execute()).session()
        executions = await api.value("select total_executions from scripts where id = :id", id=client.script)
        with full_disk(tmp_path):
            statuses = [await code_of(client.execute()) for _ in range(200)]
            assert UNAVAILABLE in statuses, "the disk was not full"
            granted = statuses.count("granted")
            assert statuses[granted:] == [UNAVAILABLE] * (len(statuses) - granted)
            refused = await me.post("/projects", {"name": "x" * 64})
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert await copy.beat() is None
            assert (await me.get(f"/scripts/{client.script}")).status_code == 200
            assert wire.socket.state.name == "OPEN"
        assert await code_of(client.execute()) == "granted"
        counted = await api.value("select total_executions from scripts where id = :id", id=client.script)
        assert counted == executions + granted + 1


def test_every_row_of_the_table_names_its_check() -> None:
    named = set(re.findall(r"\| `(\w+)` \|$", TABLE.read_text(), re.MULTILINE))
    checks = {check.__name__ for check in [*WITHOUT_DATABASE, *WITHOUT_REDIS, both_away, revocation_without_database]}
    assert named == checks | {"full_disk", "full_disk_with_room_in_the_log"}  # those are in test_full_disk.py too
