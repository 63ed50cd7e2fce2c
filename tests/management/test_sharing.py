"""Rules about shared keys: what their breach does to a key, how often it is said, and how a key gets going again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moonlatch.client.history import History
from moonlatch.client.sharing import SharingWatch
from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.licensing.sharing import RULES
from moonlatch.operations.sharing import REASON
from moonlatch.storage.executions import Execution
from moonlatch.storage.interface import Query
from support.client import Client
from support.client import Refused as NotStarted
from support.keys import hashed
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFF = {"limit": "", "action": "signal"}


@pytest.fixture
def noon(api: Api) -> None:
    """Time stands still at noon tomorrow (UTC): a day and an hour do not end while a test runs."""
    api.clock.stands_at_ms = None
    api.clock.ahead_ms = DAY_MS - api.clock() % DAY_MS + DAY_MS // 2


async def rules(me: Developer, project: str, **sharing: Any) -> None:
    """These rules and no others."""
    off = dict.fromkeys(RULES, OFF)
    done(await me.post(f"/projects/{project}/edit", {"sharing": {**off, "hold_hours": "", **sharing}}))


async def any_device(api: Api, key: str) -> None:
    await api.change("update users set fingerprintless = true where key_hash = :key", key=hashed(key))


async def start(api: Api, client: Client, key: str, **request: Any) -> str:
    """What a start is answered with; its use is looked at before the next."""
    try:
        await client.execute(key=key, **request)
    except NotStarted as error:
        return error.code
    finally:
        await api.history.settle()
    return "granted"


async def events(me: Developer, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Kinds and changes of what rules did to the key, oldest first."""
    found = done(await me.get(f"/users/{key}/events"))["events"]
    return [(each["kind"], each["changes"]) for each in reversed(found) if each["actor"]["id"] == "sharing"]


async def test_starts_in_a_changed_host_are_counted_told_once_and_stop_nobody(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    client = await api.running_script(project)
    assert [await start(api, client, key) for _ in range(2)] == ["granted"] * 2
    assert await events(me, key) == []
    assert [await start(api, client, key, hooked=True) for _ in range(3)] == ["granted"] * 3
    assert await events(me, key) == [("user.sharing_suspected", {"hooked_starts": [0, 1]})]
    (today,) = done(await me.get(f"/users/{key}/devices"))["days"]
    assert (today["starts"], today["hooked"]) == (5, 3)


async def test_a_key_may_be_held_for_starts_in_a_changed_host(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, hooked_starts={"limit": 1, "action": "hold"})
    client = await api.running_script(project)
    assert [await start(api, client, key, hooked=True) for _ in range(3)] == ["granted", "granted", "KEY_HELD"]
    assert await events(me, key) == [
        ("user.sharing_suspected", {"hooked_starts": [1, 2]}),
        ("user.held", {"held_by": [None, "hooked_starts"], "held_until": [None, None]}),
    ]


async def test_a_signal_is_given_once_a_day_and_stops_nobody(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, devices={"limit": 2})
    client = await api.running_script(project)
    await any_device(api, key)
    got = [await start(api, client, key, fingerprint=f"device {number}") for number in range(6)]
    assert got == ["granted"] * 6
    signal = ("user.sharing_suspected", {"devices": [2, 3]})
    assert await events(me, key) == [signal]
    api.clock.ahead_ms += DAY_MS
    await start(api, client, key, fingerprint="device 0")
    assert await events(me, key) == [signal, ("user.sharing_suspected", {"devices": [2, 6]})]


async def test_with_no_rule_broken_nothing_is_said(api: Api, me: Developer, project: str, key: str, noon: None) -> None:
    client = await api.running_script(project)
    assert [await start(api, client, key) for _ in range(5)] == ["granted"] * 5
    assert await events(me, key) == []
    assert (
        await api.value(
            "select count(*) from key_signals s join users u on u.id = s.user_id where u.key_hash = :key",
            key=hashed(key),
        )
        == 0
    )


async def test_a_held_key_does_not_start_until_it_is_released(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, starts_an_hour={"limit": 3, "action": "hold"})
    client = await api.running_script(project)
    running = await client.execute(key=key)
    assert [await start(api, client, key) for _ in range(3)] == ["granted"] * 3
    assert await start(api, client, key) == "KEY_HELD"
    await running.beat()
    shown = await me.user(key)
    assert (shown["held_by"], shown["held_until"]) == ("starts_an_hour", None)
    assert shown["last_refusal"]["code"] == "KEY_HELD"
    assert await events(me, key) == [
        ("user.sharing_suspected", {"starts_an_hour": [3, 4]}),
        ("user.held", {"held_by": [None, "starts_an_hour"], "held_until": [None, None]}),
    ]
    for query in ("held=true", "state=held", "held=true&order=expires", "held=true&count=true"):
        page = done(await me.get(f"/projects/{project}/users?{query}"))
        assert [user["key"] for user in page["users"]] == [key], query
    assert done(await me.get(f"/projects/{project}/users?held=false"))["users"] == []

    done(await me.post(f"/users/{key}/release"))
    refused(await me.post(f"/users/{key}/release"), 409, 0, "user not on hold")
    shown = await me.user(key)
    assert (shown["held_by"], shown["held_until"]) == (None, None)
    assert done(await me.get(f"/projects/{project}/users?held=true"))["users"] == []
    assert await start(api, client, key) == "granted", "and what was before is forgiven"
    (released,) = [
        each for each in done(await me.get(f"/users/{key}/events"))["events"] if each["kind"] == "user.released"
    ]
    assert released["changes"] == {"held_by": ["starts_an_hour", None]}
    api.clock.ahead_ms += HOUR_MS
    got = [await start(api, client, key) for _ in range(5)]
    assert got == ["granted"] * 4 + ["KEY_HELD"], "and the same again is held again, on the same day"


async def test_an_expired_account_releases_nobody(api: Api, noon: None) -> None:
    me = await api.developer()
    project = await me.new_project()
    key = await me.new_user(project)
    await rules(me, project, starts_an_hour={"limit": 1, "action": "hold"})
    client = await api.running_script(project)
    assert [await start(api, client, key) for _ in range(3)] == ["granted", "granted", "KEY_HELD"]
    await api.expire(me)
    refused(await me.post(f"/users/{key}/release"), 403, 1, "account expired")
    assert (await me.user(key))["held_by"] == "starts_an_hour"


async def test_a_hold_ends_by_itself_and_forgives_what_was_before(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, devices={"limit": 1, "action": "hold"}, hold_hours=2)
    client = await api.running_script(project)
    await any_device(api, key)
    got = [await start(api, client, key, fingerprint=f"device {number}") for number in range(3)]
    assert got == ["granted", "granted", "KEY_HELD"]
    shown = await me.user(key)
    assert 0 <= api.clock() + 2 * HOUR_MS - shown["held_until"] < 60_000
    api.clock.ahead_ms += 2 * HOUR_MS
    assert (await me.user(key))["held_by"] is None
    assert done(await me.get(f"/projects/{project}/users?held=true"))["users"] == []
    refused(await me.post(f"/users/{key}/release"), 409, 0, "user not on hold")
    assert await start(api, client, key, fingerprint="device 0") == "granted"
    assert await start(api, client, key, fingerprint="device 1") == "granted"
    assert await start(api, client, key, fingerprint="device 0") == "KEY_HELD"


async def test_a_rule_may_blacklist(api: Api, me: Developer, project: str, key: str, noon: None) -> None:
    await rules(me, project, devices={"limit": 1, "action": "blacklist"}, starts_an_hour={"limit": 1})
    client, other = await api.running_script(project), await me.new_user(project)
    await any_device(api, key)
    running = await client.execute(key=key, fingerprint="one")
    assert await start(api, client, key, fingerprint="two") == "granted"
    shown = await me.user(key)
    assert (shown["blacklisted"], shown["blacklist_reason"], shown["held_by"]) == (True, REASON, None)
    with pytest.raises(NotStarted) as stopped:
        await running.beat()
    assert stopped.value.code == "BLACKLISTED"
    assert [await start(api, client, other, fingerprint=name) for name in ("one", "two")] == ["BLACKLISTED"] * 2
    kinds = [kind for kind, _ in await events(me, key)]
    assert sorted(kinds) == ["user.blacklisted", "user.sharing_suspected", "user.sharing_suspected"]


@pytest.mark.parametrize(("seconds", "code"), [(59, "KEY_HELD"), (61, "granted")])
async def test_two_devices_may_be_too_close_in_time(
    api: Api, me: Developer, project: str, key: str, noon: None, seconds: int, code: str
) -> None:
    await rules(me, project, seconds_between_devices={"limit": 60, "action": "hold"})
    client = await api.running_script(project)
    await any_device(api, key)
    api.clock.stand_still(api.clock())
    api.clock.ahead_ms = 0
    try:
        for name, wait in (("one", 600), ("two", seconds), ("one", 0)):
            assert await start(api, client, key, fingerprint=name) == "granted"
            api.clock.ahead_ms += wait * 1000
        assert await start(api, client, key, fingerprint="one") == code
    finally:
        api.clock.stands_at_ms = None


async def test_a_start_that_tells_no_device_may_be_one_too_many(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    done(await me.post(f"/projects/{project}/edit", {"require_fingerprint": False}))
    await rules(me, project, starts_without_fingerprint={"limit": 0, "action": "hold"})
    client, roaming = await api.running_script(project), await me.new_user(project, fingerprintless=True)
    assert [await start(api, client, roaming, fingerprint=None) for _ in range(2)] == ["granted"] * 2
    assert [await start(api, client, key, fingerprint=None) for _ in range(2)] == ["granted", "KEY_HELD"]


async def test_another_action_counts_on_the_same_day(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, starts_an_hour={"limit": 1})
    client = await api.running_script(project)
    assert [await start(api, client, key) for _ in range(4)] == ["granted"] * 4
    done(await me.post(f"/projects/{project}/edit", {"sharing": {"starts_an_hour": {"action": "hold"}}}))
    api.clock.ahead_ms += HOUR_MS
    assert [await start(api, client, key) for _ in range(3)] == ["granted", "granted", "KEY_HELD"]


async def test_many_keys_are_released_at_once(api: Api, me: Developer, project: str, key: str) -> None:
    other = await me.new_user(project)
    await api.change("update users set held_by = 'devices', held_at = 1 where key_hash = :key", key=hashed(key))
    bulk = f"/projects/{project}/users/bulk"
    outcome = done(await me.post(bulk, {"filter": {"held": True}, "release": {}}))
    assert (outcome["matched"], outcome["changed"]) == (1, 1)
    outcome = done(await me.post(bulk, {"users": [key, other], "release": {}}))
    assert (outcome["changed"], {each["reason"] for each in outcome["failures"]}) == (0, {"user not on hold"})


async def test_a_hold_outlives_removal(api: Api, me: Developer, project: str, key: str) -> None:
    await api.change("update users set held_by = 'devices', held_at = 1 where key_hash = :key", key=hashed(key))
    done(await me.post(f"/users/{key}/remove"))
    done(await me.post(f"/projects/{project}/users/restore", {"keys": [key]}))
    client = await api.running_script(project)
    assert await start(api, client, key) == "KEY_HELD"


async def test_an_edit_changes_what_it_names(me: Developer, project: str) -> None:
    before = (await me.project(project))["sharing"]
    body = {"sharing": {"devices": {"action": "hold"}, "networks_a_day": {"limit": ""}, "hold_hours": 24}}
    done(await me.post(f"/projects/{project}/edit", body))
    assert (await me.project(project))["sharing"] == {
        **before,
        "devices": {"limit": 5, "action": "hold"},
        "networks_a_day": {"limit": None, "action": "signal"},
        "hold_hours": 24,
    }
    refused(await me.post(f"/projects/{project}/edit", {"sharing": {}}), 400, 1, "cannot edit nothing")
    (edited,) = [
        each for each in done(await me.get(f"/projects/{project}/events"))["events"] if each["kind"] == "project.edited"
    ]
    old, new = edited["changes"]["sharing"]
    assert (old, new["devices"]) == (before, {"limit": 5, "action": "hold"})


async def test_wrong_rules_are_named_by_their_place(me: Developer, project: str) -> None:
    wrong = {
        "devices": {"limit": -1, "action": "kill"},
        "networks_a_day": {"most": 1},
        "starts_an_hour": 5,
        "hold_hours": 0,
        "other": {},
    }
    assert set(invalid(await me.post(f"/projects/{project}/edit", {"sharing": wrong}))) == {
        "sharing.devices.limit",
        "sharing.devices.action",
        "sharing.networks_a_day.most",
        "sharing.starts_an_hour",
        "sharing.hold_hours",
        "sharing.other",
    }


def one_start(api: Api, number: int, *, user: str, project: str, device: bytes) -> Execution:
    return Execution(
        id=f"{number:032}",
        project_id=project,
        script_id="script",
        build=1,
        user_id=user,
        premium=True,
        fingerprint=device,
        ip=None,
        executor="Tests",
        started_at=api.clock(),
    )


async def test_processes_together_say_it_once_and_hold_once(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(
        me, project, devices={"limit": 3}, networks_a_day={"limit": 3, "action": "hold"}, starts_an_hour={"limit": 30}
    )
    user = (await me.user(key))["id"]
    processes = [History(api.database, api.keyring, SharingWatch(api.world)) for _ in range(4)]
    for number in range(48):
        execution = one_start(api, number, user=user, project=project, device=b"%d" % (number % 8))
        processes[number % 4].started(execution, f"198.51.{number % 12}.7")
    await asyncio.gather(*(history.settle() for history in processes))
    kinds = sorted(kind for kind, _ in await events(me, key))
    assert kinds == ["user.held", *["user.sharing_suspected"] * (len(kinds) - 1)]
    said = {name for _, changes in await events(me, key) for name in changes}
    assert said >= {"networks_a_day", "held_by"}
    for history in processes:
        await history.close()


async def test_a_key_that_is_removed_meanwhile_holds_nobody_up(
    api: Api, me: Developer, project: str, key: str, noon: None
) -> None:
    await rules(me, project, starts_an_hour={"limit": 0, "action": "hold"})
    user, other = (await me.user(key))["id"], await me.new_user(project)
    history = History(api.database, api.keyring, SharingWatch(api.world))
    history.started(one_start(api, 1, user=user, project=project, device=b"d"), "198.51.100.7")
    history.started(one_start(api, 2, user=(await me.user(other))["id"], project=project, device=b"d"), "198.51.100.7")
    done(await me.post(f"/users/{key}/remove", {"forever": True}))
    await history.close()
    assert (await me.user(other))["held_by"] == "starts_an_hour"


async def rename(api: Api, table: str, name: str) -> None:
    """Have whatever needs a table fail, or work again."""
    query = Query("rename", f"alter table {table} rename to {name}")
    await api.database.run(lambda tx: tx.fetch_all(query))


async def test_keys_that_could_not_be_looked_at_are_looked_at_with_the_next(
    api: Api, me: Developer, project: str, noon: None
) -> None:
    await rules(me, project, devices={"limit": 1, "action": "hold"})
    shared, last = [await me.new_user(project) for _ in range(3)], await me.new_user(project)
    history = History(api.database, api.keyring, SharingWatch(api.world))

    async def started(*keys: str, device: bytes) -> None:
        for key in keys:
            user = (await me.user(key))["id"]
            history.started(
                one_start(api, hash(key + str(device)), user=user, project=project, device=device), "198.51.100.7"
            )
        await history.settle()

    await started(*shared, device=b"one")
    await rename(api, "key_signals", "key_signals_away")
    await started(*shared, device=b"two")
    await rename(api, "key_signals_away", "key_signals")
    assert [(await me.user(key))["held_by"] for key in shared] == [None] * 3
    await started(last, device=b"one")
    await history.close()
    assert [(await me.user(key))["held_by"] for key in (*shared, last)] == ["devices"] * 3 + [None]


async def test_a_key_that_cannot_be_judged_keeps_no_others_from_it(
    api: Api, me: Developer, project: str, key: str, noon: None, caplog: pytest.LogCaptureFixture
) -> None:
    await rules(me, project, starts_an_hour={"limit": 0, "action": "hold"})
    broken, other = (await me.user(key))["id"], await me.new_user(project)
    history = History(api.database, api.keyring, SharingWatch(api.world))
    await api.change("update users set key_sealed = key_hash where id = :id", id=broken)
    history.started(one_start(api, 1, user=broken, project=project, device=b"d"), "198.51.100.7")
    await history.settle()
    history.started(one_start(api, 2, user=(await me.user(other))["id"], project=project, device=b"d"), "198.51.100.7")
    await history.close()
    assert (await me.user(other))["held_by"] == "starts_an_hour"
    assert f"the key of user {broken} could not be judged" in caplog.text
    await api.change("delete from users where id = :id", id=broken)  # lists would not open it
