"""Channels and pins: which keys are given another build than the current one, and until when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moonlatch.clock import DAY_MS, HOUR_MS
from support import rows
from support.client import Client, Refused
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def running(api: Api, project: str, *, builds: int = 3, current: int = 2, **columns: Any) -> Client:
    """A script with so many builds, whose payloads are their numbers."""
    client = await api.running_script(project, build=current, payload=b"1", **columns)
    for number in range(2, builds + 1):
        await rows.add_build(api.database, client.script, number, str(number).encode())
    return client


async def started(client: Client, key: str) -> int:
    """The build that a start with this key is given."""
    return int((await client.execute(key=key)).payload)


async def set_channel(me: Developer, client: Client, name: str, build: int) -> None:
    done(await me.post(f"/scripts/{client.script}/channels", {"name": name, "build": build}))


async def pin(me: Developer, client: Client, key: str, **how: Any) -> None:
    done(await me.post(f"/users/{key}/pin", {"script": client.script, **how}))


async def channels(me: Developer, client: Client) -> dict[str, int]:
    found = done(await me.get(f"/scripts/{client.script}/channels"))["channels"]
    return {channel["name"]: channel["build"] for channel in found}


async def test_a_key_on_a_channel_is_given_its_build_and_others_the_current_one(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client, other = await running(api, project), await me.new_user(project)
    await set_channel(me, client, "beta", 3)
    assert await channels(me, client) == {"stable": 2, "beta": 3}
    assert [await started(client, each) for each in (key, other)] == [2, 2]
    await pin(me, client, key, channel="beta")
    assert [await started(client, each) for each in (key, other)] == [3, 2]
    await set_channel(me, client, "beta", 1)
    assert await started(client, key) == 1
    await pin(me, client, key, channel="stable")
    assert await started(client, key) == 2
    await pin(me, client, key, channel="beta")
    done(await me.post(f"/scripts/{client.script}/channels/beta/remove"))
    assert [await started(client, key), await channels(me, client)] == [2, {"stable": 2}]


async def test_a_start_without_a_key_is_given_the_current_build(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project, free_for_all=True)
    await set_channel(me, client, "beta", 3)
    assert int((await client.execute()).payload) == 2


async def test_the_build_that_a_copy_is_given_is_the_one_it_is_told_and_counted_by(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project)
    await pin(me, client, key, build=1)
    copy = await client.execute(key=key)
    assert copy.variables["la_script_build"] == 1
    assert await api.value("select build from executions where script_id = :id", id=client.script) == 1
    (instance,) = done(await me.get(f"/scripts/{client.script}/instances"))["instances"]
    assert instance["build"] == 1


async def test_an_update_of_a_channel_leaves_the_current_build(api: Api, me: Developer, script: str) -> None:
    path = f"/scripts/{script}/update"
    refused(await me.post(f"{path}?channel=beta", {"script": "print(0)"}), 409, 7, "script update required")
    assert done(await me.post(f"{path}?channel=stable", {"script": "print(1)"}))["build"] == 1
    assert done(await me.post(f"{path}?channel=beta", {"script": "print(2)"}))["build"] == 2
    event = done(await me.get("/events"))["events"][0]
    assert event["changes"] | {"build": [None, 2], "channel": [None, "beta"]} == event["changes"]
    found = done(await me.get(f"/scripts/{script}/channels"))["channels"]
    assert found == [{"name": "stable", "build": 1}, {"name": "beta", "build": 2}]
    assert done(await me.post(path, {"script": "print(3)"}))["build"] == 3
    assert (await me.post(f"{path}?channel=Beta!", {"script": "print(4)"})).status_code == 400


async def test_a_pin_goes_before_the_channel_until_its_end(api: Api, me: Developer, project: str, key: str) -> None:
    client = await running(api, project)
    await set_channel(me, client, "beta", 3)
    await pin(me, client, key, channel="beta", build=1, expires=api.clock() + HOUR_MS)
    assert await started(client, key) == 1
    api.clock.ahead_ms += HOUR_MS
    assert await started(client, key) == 3
    await pin(me, client, key, build=1)
    api.clock.ahead_ms += DAY_MS
    assert await started(client, key) == 1
    await pin(me, client, key, build="")
    assert await started(client, key) == 3


async def test_pins_are_listed_until_nothing_is_left_of_them(api: Api, me: Developer, project: str, key: str) -> None:
    client, end = await running(api, project), api.clock() + HOUR_MS
    await pin(me, client, key, build=1, expires=end)
    (listed,) = done(await me.get(f"/scripts/{client.script}/pins"))["pins"]
    shown = {"user_key": key, "script_id": client.script, "channel": None, "build": 1, "expires": end}
    assert listed | shown == listed
    of_user = done(await me.get(f"/users/{key}/pins"))
    assert (of_user["pins"], of_user["role_channels"]) == ([listed], [])
    await api.change("update users set role_channels = 'beta,alpha' where id = :id", id=listed["user_id"])
    assert done(await me.get(f"/users/{key}/pins"))["role_channels"] == ["beta", "alpha"]
    event = done(await me.get("/events"))["events"][0]
    assert event["kind"] == "user.pinned"
    assert event["changes"] == {"script": [None, client.script], "build": [None, 1], "expires_at": [None, end]}
    await pin(me, client, key, build="")
    assert done(await me.get(f"/scripts/{client.script}/pins"))["pins"] == []
    assert done(await me.get(f"/users/{key}/pins"))["pins"] == []
    assert await api.value("select plan from scripts where id = :id", id=client.script) is None


async def test_outdated_is_what_its_own_key_would_not_be_given(api: Api, me: Developer, project: str, key: str) -> None:
    client, other = await running(api, project, kick_outdated=True), await me.new_user(project)
    await set_channel(me, client, "beta", 3)
    await pin(me, client, key, channel="beta")
    tester, customer = await client.execute(key=key), await client.execute(key=other)
    await tester.beat()
    await customer.beat()
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 1}))
    await tester.beat()
    with pytest.raises(Refused, match="OUTDATED"):
        await customer.beat()
    await set_channel(me, client, "beta", 2)
    with pytest.raises(Refused, match="OUTDATED"):
        await tester.beat()


async def test_a_session_is_closed_when_its_key_is_pinned_to_another_build(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project, kick_outdated=True)
    wire = await api.session(client, key=key)
    await pin(me, client, key, build=1)
    assert await wire.stopped() == "OUTDATED"


async def test_a_yanked_build_is_taken_from_pins_and_channels(api: Api, me: Developer, project: str, key: str) -> None:
    client, other = await running(api, project, builds=4, current=4), await me.new_user(project)
    await set_channel(me, client, "beta", 3)
    await set_channel(me, client, "alpha", 2)
    await pin(me, client, key, build=3, channel="beta")
    await pin(me, client, other, build=2)
    done(await me.post(f"/scripts/{client.script}/builds/3/yank", {"successor": 1}))
    event = done(await me.get("/events"))["events"][0]
    assert event["changes"] == {"yanked": [None, 3], "channels": [["beta"], ["beta"]], "pinned_keys": [1, 0]}
    assert await started(client, key) == 1, "its channel serves the successor"
    done(await me.post(f"/scripts/{client.script}/builds/2/yank"))
    assert [await started(client, other), await channels(me, client)] == [4, {"stable": 4, "beta": 1}]


async def test_what_is_no_build_or_channel_is_not_pinned_to(api: Api, me: Developer, project: str, key: str) -> None:
    client, path = await running(api, project), f"/users/{key}/pin"
    base = {"script": client.script}
    refused(await me.post(path, {**base, "build": 9}), 409, 1, "build does not exist", build=9)
    refused(await me.post(path, {**base, "channel": "beta"}), 409, 3, "channel does not exist", channel="beta")
    refused(await me.post(path, base), 400, 4, "cannot edit nothing")
    assert set(invalid(await me.post(path, {**base, "expires": api.clock() + DAY_MS}))) == {"expires"}
    assert set(invalid(await me.post(path, {**base, "channel": "Beta"}))) == {"channel"}
    elsewhere = await running(api, await me.new_project())
    assert (await me.post(path, {"script": elsewhere.script, "build": 1})).status_code == 404
    assert (await me.post(path, {"script": NOBODY, "build": 1})).status_code == 404
    channel = f"/scripts/{client.script}/channels"
    assert set(invalid(await me.post(channel, {"name": "stable", "build": 1}))) == {"name"}
    refused(await me.post(channel, {"name": "beta", "build": 9}), 409, 1, "build does not exist", build=9)
    assert (await me.post(f"{channel}/beta/remove")).status_code == 404
    for number in range(20):
        await set_channel(me, client, f"c{number}", 1)
    refused(await me.post(channel, {"name": "beta", "build": 1}), 403, 3, "max channels reached")
    update = f"/scripts/{client.script}/update?channel=beta"
    refused(await me.post(update, {"script": "print(1)"}), 403, 8, "max channels reached")
    await set_channel(me, client, "c0", 2)


async def test_what_a_channel_or_a_pin_names_is_kept(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    client, key = await running(api, project, builds=14, current=14), await me.new_user(project)
    await set_channel(me, client, "beta", 1)
    await pin(me, client, key, build=2)
    done(await me.post(f"/scripts/{client.script}/update", {"script": "print(1)"}))
    kept = [build["number"] for build in done(await me.get(f"/scripts/{client.script}/builds"))["builds"]]
    assert kept == [*range(15, 4, -1), 2, 1], "15 is current, ten others are history"


async def test_of_pins_and_yanks_at_once_nobody_is_given_a_yanked_build(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project, builds=5, current=5)
    users = [await me.new_user(project) for _ in range(8)]
    calls = [me.post(f"/scripts/{client.script}/builds/{build}/yank") for build in (1, 2, 3)]
    for number in range(61):
        body = {"script": client.script, "build": 1 + number % 4}
        calls.insert(number, me.post(f"/users/{users[number % 8]}/pin", body))
    replies = await asyncio.gather(*calls)
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert {await started(client, each) for each in users} <= {4, 5}


async def test_an_expired_account_changes_no_release_and_no_key(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project)
    done(await me.post(f"/scripts/{client.script}/builds/1/yank"))
    to_yanked = {"name": "beta", "build": 1}
    refused(await me.post(f"/scripts/{client.script}/channels", to_yanked), 409, 2, "build was yanked", build=1)
    await api.expire(me)
    calls = {
        f"/scripts/{client.script}/builds/2/yank": {},
        f"/scripts/{client.script}/channels": {"name": "beta", "build": 2},
        f"/scripts/{client.script}/channels/beta/remove": {},
        f"/users/{key}/pin": {"script": client.script, "build": 2},
        f"/users/{key}/name_device": {"device": "00" * 32, "name": "desk"},
        f"/projects/{project}/bars/lift": {"bars": ["00" * 32]},
    }
    for path, body in calls.items():
        refused(await me.post(path, body), 403, 0, "account expired")
