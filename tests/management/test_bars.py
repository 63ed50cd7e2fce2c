"""What is kept out with a blacklisted key: its devices, its networks where that was asked for; how it is seen and let in again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from moonlatch.clock import DAY_MS
from support.client import Client
from support.client import Refused as NotStarted
from support.management import Api, Developer, done, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def start(client: Client, key: str | None, device: str | None) -> str:
    """What a start is answered with, and what the customer reads first."""
    try:
        await client.execute(key=key, fingerprint=device)
    except NotStarted as error:
        return f"{error.code}: {error.error['message'].partition('.')[0]}"
    return "granted"


async def bars(me: Developer, project: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(await me.get(f"/projects/{project}/bars"))["bars"]
    return found


async def used(api: Api, client: Client, key: str, *devices: str) -> None:
    for device in devices:
        await client.execute(key=key, fingerprint=device)
    await api.history.settle()


async def test_networks_are_barred_only_when_that_is_asked_for(api: Api, me: Developer, project: str, key: str) -> None:
    client, other = await api.running_script(project), await me.new_user(project)
    await used(api, client, key, "one")
    done(await me.post(f"/users/{key}/blacklist"))
    assert [each["kind"] for each in await bars(me, project)] == ["device"]
    assert await start(client, other, "two") == "granted"
    done(await me.post(f"/users/{key}/unblacklist"))
    assert await bars(me, project) == []


async def test_a_barred_network_keeps_new_starts_out_until_the_blacklisting_ends(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client, other = await api.running_script(project), await me.new_user(project)
    free = await api.running_script(project, free_for_all=True)
    foreign = await me.new_project()
    elsewhere, theirs = await api.running_script(foreign), await me.new_user(foreign)
    running = await client.execute(key=other, fingerprint="two")
    await used(api, client, key, "one")
    until = api.clock() + DAY_MS
    done(await me.post(f"/users/{key}/blacklist", {"bar_networks": True, "reason": "resold", "expires": until}))
    shown = await bars(me, project)
    assert sorted((each["kind"], each["expires_at"]) for each in shown) == [("device", until), ("network", until)]
    assert {(each["user_id"], each["user_key"]) for each in shown} == {((await me.user(key))["id"], key)}
    seen = done(await me.get(f"/users/{key}/devices"))
    assert {each["picture"] for each in shown} == {each["picture"] for each in seen["devices"] + seen["networks"]}
    assert await start(client, key, "one") == "BLACKLISTED: This key is blacklisted"
    assert await start(client, other, "one") == "BLACKLISTED: This device is blacklisted"
    assert await start(client, other, "two") == "BLACKLISTED: This network is blacklisted"
    assert (await start(free, None, None)).startswith("BLACKLISTED")
    assert await start(elsewhere, theirs, "two") == "granted"
    await running.beat()
    api.clock.ahead_ms += DAY_MS
    assert await bars(me, project) == []
    assert await start(client, other, "two") == "granted"
    (event,) = [
        each for each in done(await me.get(f"/users/{key}/events"))["events"] if each["kind"] == "user.blacklisted"
    ]
    assert event["changes"]["bar_networks"] == [None, True]


async def test_bars_are_lifted_by_themselves(api: Api, me: Developer, project: str, key: str) -> None:
    client, other, third = await api.running_script(project), await me.new_user(project), await me.new_user(project)
    await api.change("update users set fingerprintless = true where project_id = :project", project=project)
    await used(api, client, key, "one", "two")
    await used(api, client, other, "one")
    bulk = {"users": [key, other], "blacklist": {"bar_networks": True}}
    done(await me.post(f"/projects/{project}/users/bulk", bulk))
    found = await bars(me, project)
    assert sorted(each["kind"] for each in found) == ["device"] * 3 + ["network"] * 2
    (network,) = {each["id"] for each in found if each["kind"] == "network"}
    lift = f"/projects/{project}/bars/lift"
    foreign = await me.new_project()
    assert done(await me.post(f"/projects/{foreign}/bars/lift", {"bars": [network]}))["lifted"] == 0
    assert done(await me.post(lift, {"bars": [network, network, "00" * 32]}))["lifted"] == 1
    assert [await start(client, third, name) for name in ("one", "three")] == [
        "BLACKLISTED: This device is blacklisted",
        "granted",
    ]
    devices = {each["id"] for each in await bars(me, project)}
    assert done(await me.post(lift, {"bars": sorted(devices)}))["lifted"] == 2
    assert await start(client, third, "one") == "granted"
    assert await start(client, key, "one") == "BLACKLISTED: This key is blacklisted"
    assert set(invalid(await me.post(lift, {"bars": ["x"]}))) == {"bars.0"}
    assert set(invalid(await me.post(lift, {"bars": []}))) == {"bars"}
    lifted = [
        each["changes"]["bars"]
        for each in done(await me.get(f"/projects/{project}/events"))["events"]
        if each["kind"] == "project.bars_lifted"
    ]
    assert lifted == [[2, 0], [1, 0]]


async def test_a_use_that_is_written_down_behind_the_blacklisting_bars_its_place_too(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client, other = await api.running_script(project), await me.new_user(project)
    await api.change("update users set fingerprintless = true where project_id = :project", project=project)
    await used(api, client, key, "one")
    await client.execute(key=key, fingerprint="two")
    done(await me.post(f"/users/{key}/blacklist"))
    await api.history.settle()
    assert [await start(client, other, name) for name in ("two", "three")] == [
        "BLACKLISTED: This device is blacklisted",
        "granted",
    ]
    assert [each["kind"] for each in await bars(me, project)] == ["device"] * 2
    done(await me.post(f"/users/{key}/unblacklist"))
    await client.execute(key=key, fingerprint="four")
    await api.history.settle()
    assert await bars(me, project) == []


async def test_and_its_network_where_networks_are_barred(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await api.change("update users set fingerprintless = true where project_id = :project", project=project)
    await used(api, client, key, "one")
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="127.7.7.7")) as elsewhere:
        await replace(client, http=elsewhere).execute(key=key, fingerprint="one")
    done(await me.post(f"/users/{key}/blacklist", {"bar_networks": True}))
    await api.history.settle()
    seen = done(await me.get(f"/users/{key}/devices"))
    assert len(seen["networks"]) == 2
    barred = {each["picture"] for each in await bars(me, project) if each["kind"] == "network"}
    assert barred == {each["picture"] for each in seen["networks"]}
