"""The library for key windows under real interpreters, against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from moonlatch.client.key_check import CHECKS_BURST, Library
from moonlatch.client.loader_source import library_source, lua_string
from support import rows
from support.client_server import World, running_world
from support.lua_host import LuaRun

ENGINES = ["luau", "lua51", "luajit"]

WINDOW = """
local api = assert(loadstring(http_get("%s/library.lua"), "=library"))()
print("without", (pcall(api.check_key, "A")))
api.script_id = %s
for _, key in ipairs({ %s }) do
  local answer = api.check_key(key)
  local data = answer.data
  print(answer.code, tostring(data.auth_expire), tostring(data.total_executions), tostring(data.note))
end
print(api.get_key_link(), api.get_key_link("free-keys"), api.load == api.load_script)
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, key_checks_per_minute_per_address=1e6) as running:
        running.app._library = Library(library_source(running.url))
        yield running


async def printed(text: str, engine: str, **settings: str) -> list[str]:
    def run() -> list[str]:
        with LuaRun(text, engine=engine, settings={"fingerprint": "another device", **settings}) as running:
            return [each.text for each in running.finish() if each.event in ("print", "raised")]

    return await asyncio.to_thread(run)


def window(url: str, script: str, *keys: str) -> str:
    return WINDOW % (url, lua_string(script.encode()), ", ".join(lua_string(key.encode()) for key in keys))


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_window_learns_what_a_key_is_good_for(world: World, engine: str) -> None:
    client = await world.script()
    now = world.clock()
    good = await world.user(key_expires=now + 5_000_000, note="Ad Reward", executions=3)
    lasting = await world.user()
    bound = await world.user()
    await client.execute(key=bound, fingerprint="a device")
    states: list[tuple[str, dict[str, Any]]] = [
        ("KEY_EXPIRED", {"key_expires": now - 1}),
        ("KEY_EXPIRED", {"max_executions": 1, "executions": 1}),
        ("KEY_BANNED", {"blacklisted": True}),
        ("KEY_HELD", {"held_by": "devices"}),
    ]
    others = [await world.user(**columns) for _, columns in states]
    foreign = await world.user(project=await rows.add_project(world.database))
    keys = [good, lasting, bound, *others, foreign, "A" * 32, "no key", "x" * 200]
    told = await printed(window(world.url, client.script, *keys), engine)
    nothing = "nil\tnil\tnil"
    assert told == [
        "without\tfalse",
        f"KEY_VALID\t{(now + 5_000_000) // 1000}\t3\tAd Reward",
        "KEY_VALID\t-1\t0\t",
        f"KEY_HWID_LOCKED\t{nothing}",
        *(f"{code}\t{nothing}" for code, _ in states),
        *[f"KEY_INCORRECT\t{nothing}"] * 2,
        *[f"KEY_INVALID\t{nothing}"] * 2,
        f"{world.url}/get/for/{client.script}\t{world.url}/get/free-keys\ttrue",
    ]


async def test_a_script_that_is_not_there_and_a_server_that_is_not_either(world: World) -> None:
    told = await printed(window(world.url, "A" * 32, "B" * 32), "lua51")
    assert told[1].startswith("SCRIPT_ID_INCORRECT")
    away = window(world.url, "A" * 32, "B" * 32).replace(
        "api.script_id =", "moonlatch_host.request = error\napi.script_id ="
    )
    assert (await printed(away, "lua51"))[1].startswith("UNREACHABLE")


async def test_who_tries_many_keys_is_told_nothing(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        client, key = await world.script(), await world.user()
        bodies = [{"script_id": client.script, "key": each} for each in [*["A" * 32] * CHECKS_BURST, key]]
        replies = [await world.http.post(f"{world.url}/client/v1/check_key", json=body) for body in bodies]
        assert [reply.json()["code"] for reply in replies] == ["KEY_INCORRECT"] * CHECKS_BURST + ["RATE_LIMITED"]
        assert (replies[-1].status_code, "retry-after" in replies[-1].headers) == (429, True)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"script_id":1,"key":"x"}', b'{"script_id":"x\\u0000","key":"x"}', b"x" * 20_000]
)
async def test_nonsense_is_refused(world: World, body: bytes) -> None:
    reply = await world.http.post(f"{world.url}/client/v1/check_key", content=body)
    assert (reply.status_code in (400, 413), reply.json()["error"]["code"]) == (True, "INVALID_REQUEST")
    assert (await world.http.get(f"{world.url}/client/v1/check_key")).status_code == 405


async def test_the_library_is_asked_for_anew_only_when_it_changed(world: World) -> None:
    first = await world.http.get(f"{world.url}/library.lua")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    again = await world.http.get(f"{world.url}/library.lua", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_no_address_that_could_be_lua_gets_into_the_library() -> None:
    with pytest.raises(ValueError):
        library_source('https://x.example/"..os.exit()..')
