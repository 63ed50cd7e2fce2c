"""Whether several people share a key: the devices and networks that it is used with, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import utc_day
from support.keys import hashed
from support.management import Api, Developer, done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def devices(api: Api, me: Developer, key: str) -> dict[str, Any]:
    await api.history.settle()
    return done(await me.get(f"/users/{key}/devices"))


async def test_a_key_that_was_not_used_has_none(api: Api, me: Developer, project: str, key: str) -> None:
    assert await devices(api, me, key) == {
        "success": True,
        "bound": [],
        "devices": [],
        "networks": [],
        "executors": {},
        "days": [],
        "hours": [],
    }


async def test_devices_and_programs_of_a_key_are_shown_and_nobody_elses(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    await api.change("update users set fingerprintless = true where key_hash = :key", key=hashed(key))
    for fingerprint, executor in (("one", "Delta"), ("two", "Delta"), ("two", "Wave"), (None, "Wave")):
        await client.execute(key=key, fingerprint=fingerprint, executor=executor)
    await client.execute(key=await me.new_user(project), fingerprint="three")
    shown = await devices(api, me, key)
    assert sorted((each["starts"], each["is_bound"]) for each in shown["devices"]) == [(1, False), (2, False)]
    assert len({each["picture"] for each in shown["devices"]}) == 2
    (network,) = shown["networks"]
    assert (network["starts"], network["devices"], network["days"]) == (4, 2, 1)
    assert shown["executors"] == {"Delta": 2, "Wave": 2}
    assert sum(hour["starts"] for hour in shown["hours"]) == 4
    assert sum(day["starts"] for day in shown["days"]) == 4
    assert shown["days"][-1]["day"] == utc_day(api.clock())
    assert await devices(api, me, (await me.user(key))["id"]) == shown


async def test_the_bound_device_is_told_from_those_before_and_resets_are_counted(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="before")
    done(await me.post(f"/users/{key}/reset_fingerprint", {"force": True}))
    await client.execute(key=key, fingerprint="now")
    shown = await devices(api, me, key)
    bound = {each["is_bound"]: each["picture"] for each in shown["devices"]}
    assert bound.keys() == {True, False}
    assert bound[True] in (await me.user(key))["luaauth_fingerprint"]
    assert sum(day["resets"] for day in shown["days"]) == 1


async def test_no_address_is_kept(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await client.execute(key=key)
    assert "127.0.0" not in str(await devices(api, me, key))
    network = await api.value(
        "select k.network from key_uses k join users u on u.id = k.user_id where u.key_hash = :key", key=hashed(key)
    )
    assert len(bytes(network)) == 32
