"""Keys that are bound to several devices: as many as they may, listed, named, and unbound one by one; one stays the default."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from moonlatch.storage import key_devices
from support.client import Client
from support.client import Refused as NotStarted
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 64


async def start(client: Client, key: str, device: str | None) -> str:
    """What a start is answered with, by a database that has time for it."""
    while True:
        try:
            await client.execute(key=key, fingerprint=device)
        except NotStarted as error:
            if error.code != "UNAVAILABLE":
                return error.code
        else:
            return "granted"


async def bound(me: Developer, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = done(await me.get(f"/users/{key}/devices"))["bound"]
    return found


async def test_a_key_is_bound_to_one_device_unless_somebody_says_otherwise(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    assert (await me.project(project))["max_devices"] == 1
    assert [await start(client, key, name) for name in ("one", "two", "one")] == [
        *("granted", "FINGERPRINT_MISMATCH", "granted")
    ]
    assert len(await bound(me, key)) == 1


@pytest.mark.parametrize("devices", [1, 2, 5])
async def test_of_64_devices_at_once_exactly_so_many_get_the_key(
    api: Api, me: Developer, project: str, devices: int
) -> None:
    client, key = await api.running_script(project), await me.new_user(project, max_devices=devices)
    got = await asyncio.gather(*(start(client, key, f"device {number}") for number in range(MANY)))
    assert Counter(got) == {"granted": devices, "FINGERPRINT_MISMATCH": MANY - devices}
    assert len(await bound(me, key)) == devices
    again = await asyncio.gather(*(start(client, key, f"device {number}") for number in range(MANY)))
    assert again == got, "and the same go on"
    assert (await me.user(key))["executions"] >= 2 * devices


async def test_of_many_starts_of_few_devices_at_once_all_are_granted(api: Api, me: Developer, project: str) -> None:
    client, key = await api.running_script(project), await me.new_user(project, max_devices=3)
    got = await asyncio.gather(*(start(client, key, f"device {number % 3}") for number in range(MANY)))
    assert Counter(got) == {"granted": MANY}
    assert len(await bound(me, key)) == 3


async def test_keys_without_a_number_of_their_own_have_their_projects(
    api: Api, me: Developer, project: str, key: str
) -> None:
    done(await me.post(f"/projects/{project}/edit", {"max_devices": 2}))
    client, own = await api.running_script(project), await me.new_user(project, max_devices=1)
    assert [await start(client, key, name) for name in "abc"] == ["granted", "granted", "FINGERPRINT_MISMATCH"]
    assert [await start(client, own, name) for name in "abc"] == ["granted", *["FINGERPRINT_MISMATCH"] * 2]
    done(await me.post(f"/users/{own}/edit", {"max_devices": ""}))
    assert [await start(client, own, name) for name in "abc"] == ["granted", "granted", "FINGERPRINT_MISMATCH"]
    done(await me.post(f"/projects/{project}/edit", {"max_devices": 1}))
    assert [await start(client, key, name) for name in "abc"] == ["granted", "granted", "FINGERPRINT_MISMATCH"]


async def test_a_start_that_comes_to_nothing_binds_no_device(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    key = await me.new_user(project, max_devices=2, max_executions=1)
    assert await start(client, key, "one") == "granted"
    got = await asyncio.gather(*(start(client, key, f"device {number}") for number in range(8)))
    assert set(got) == {"EXECUTION_LIMIT_REACHED"}
    assert len(await bound(me, key)) == 1
    assert await start(client, key, None) == "FINGERPRINT_REQUIRED"


async def test_devices_are_unbound_one_by_one_or_all_together(api: Api, me: Developer, project: str) -> None:
    client, key = await api.running_script(project), await me.new_user(project, max_devices=3)
    copies = [await client.execute(key=key, fingerprint=name) for name in "abc"]
    first, second, third = [each["id"] for each in await bound(me, key)]
    reset = f"/users/{key}/reset_fingerprint"
    done(await me.post(reset, {"device": second}))
    assert [each["id"] for each in await bound(me, key)] == [first, third]
    await copies[0].beat()
    await copies[2].beat()
    with pytest.raises(NotStarted) as stopped:
        await copies[1].beat()
    assert stopped.value.code == "FINGERPRINT_MISMATCH"
    assert (await me.post(reset, {"device": first})).json()["error"]["message"] == "on cooldown"
    refused(await me.post(reset, {"device": second, "force": True}), 409, 5, "device not bound to the key")
    done(await me.post(reset, {"device": first, "force": True}))
    assert [each["id"] for each in await bound(me, key)] == [third], "the next one takes the first one's place"
    await copies[2].beat()
    assert [await start(client, key, name) for name in "bcda"] == [*["granted"] * 3, "FINGERPRINT_MISMATCH"]
    done(await me.post(reset, {"force": True}))
    assert await bound(me, key) == []
    shown = await me.user(key)
    assert (shown["fingerprint_assigned"], shown["total_fingerprint_resets"]) == (False, 3)
    refused(await me.post(reset, {"device": third, "force": True}), 409, 3, "no fingerprint assigned")
    assert set(invalid(await me.post(reset, {"device": "x"}))) == {"device"}
    bulk = {"users": [key], "reset_fingerprint": {"device": third}}
    assert set(invalid(await me.post(f"/projects/{project}/users/bulk", bulk))) == {"reset_fingerprint.device"}
    devices = [
        each["changes"]["device"][0]
        for each in done(await me.get(f"/users/{key}/events"))["events"]
        if each["kind"] == "user.fingerprint_reset" and each["changes"]
    ]
    assert devices == [first, second]


async def test_devices_have_names(
    api: Api, me: Developer, project: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await api.running_script(project), await me.new_user(project)
    await client.execute(key=key, fingerprint="one")
    await client.execute(key=other, fingerprint="two")
    await api.history.settle()
    (device,), (foreign,) = await bound(me, key), await bound(me, other)
    assert (device["name"], device["bound_at"]) == (None, None)
    path = f"/users/{key}/name_device"
    done(await me.post(path, {"device": device["id"], "name": "laptop"}))
    shown = done(await me.get(f"/users/{key}/devices"))
    assert [(each["id"], each["name"]) for each in shown["bound"]] == [(device["id"], "laptop")]
    assert [(each["id"], each["name"], each["is_bound"]) for each in shown["devices"]] == [
        (device["id"], "laptop", True)
    ]
    done(await me.post(f"/users/{key}/reset_fingerprint", {"force": True}))
    (seen,) = done(await me.get(f"/users/{key}/devices"))["devices"]
    assert (seen["name"], seen["is_bound"]) == ("laptop", False)
    for wrong in (foreign["id"], "00" * 32):
        unknown = await me.post(path, {"device": wrong, "name": "x"})
        assert (unknown.status_code, unknown.json()["error"]["failed"]) == (404, ["device not found"])
    assert set(invalid(await me.post(path, {"device": "nonsense", "name": "x" * 101}))) == {"device", "name"}
    (event,) = [
        each for each in done(await me.get(f"/users/{key}/events"))["events"] if each["kind"] == "user.device_named"
    ]
    assert event["changes"]["name"] == [None, "laptop"]
    monkeypatch.setattr(key_devices, "MOST_NAMES", 1)
    await client.execute(key=key, fingerprint="three")
    (third,) = await bound(me, key)
    refused(await me.post(path, {"device": third["id"], "name": "x"}), 409, 1, "max names reached")
    done(await me.post(path, {"device": device["id"], "name": ""}))
    done(await me.post(path, {"device": third["id"], "name": "x"}))


async def test_blacklisting_bars_every_device_that_the_key_is_bound_to(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client, shared = await api.running_script(project), await me.new_user(project, max_devices=2)
    assert [await start(client, shared, name) for name in "ab"] == ["granted"] * 2
    await api.history.settle()
    await api.change("delete from key_uses")
    done(await me.post(f"/users/{shared}/blacklist"))
    assert [await start(client, key, name) for name in "abc"] == ["BLACKLISTED", "BLACKLISTED", "granted"]
