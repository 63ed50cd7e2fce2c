"""What happened to this customer: the starts of a key, how they ended, and what it was refused with."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.jobs.retention import detail_kept, remove_old
from moonlatch.storage import user_history
from moonlatch.storage.user_history import KEPT_REFUSALS
from support.client import Client, Refused
from support.keys import hashed
from support.live import eventually
from support.management import Api, Developer, done, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def executions(api: Api, me: Developer, key: str, **query: Any) -> list[Any]:
    await api.history.settle()
    return done(await me.get(f"/users/{key}/executions", params=query))["executions"]


async def refusals(api: Api, me: Developer, key: str) -> list[Any]:
    await api.history.settle()
    return done(await me.get(f"/users/{key}/refusals"))["refusals"]


async def ended(api: Api, me: Developer, key: str) -> None:
    """Wait until the end of a copy of the key was noted."""

    async def is_noted() -> bool:
        await api.history.settle()
        await executions(api, me, key)
        noted = """
            select count(*) from executions e, key_hours h join users u on u.id = h.user_id
            where u.key_hash = :key and h.last_starts like '%' || e.id || '%' and e.ended_at > 0
        """
        return bool(await api.value(noted, key=hashed(key)))

    await eventually(is_noted)


async def is_refused(client: Client, **request: Any) -> str:
    with pytest.raises(Refused) as refused:
        await client.execute(**request)
    return refused.value.code


async def test_a_start_is_shown_with_its_build_program_device_and_network(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key, executor="Delta")
    user = await me.user(key)
    (shown,) = await executions(api, me, key)
    assert shown == {
        "id": copy.instance,
        "script_id": client.script,
        "build": 1,
        "executor": "Delta",
        "started_at": shown["started_at"],
        "luaauth_fingerprint": user["luaauth_fingerprint"],
        "state": "running",
        "code": None,
        "ended_at": None,
    }
    assert "⬜" not in shown["luaauth_fingerprint"]
    assert await executions(api, me, user["id"]) == [shown]


async def test_starts_of_others_and_without_a_key_are_nobodys(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project, free_for_all=True)
    await client.execute(key=await me.new_user(project))
    await client.execute(key=None)
    assert await executions(api, me, key) == []


async def test_a_start_of_an_expired_key_is_its_users_too(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project, free_for_all=True)
    await api.change("update users set key_expires = 1 where key_hash = :key", key=hashed(key))
    await client.execute(key=key)
    assert len(await executions(api, me, key)) == 1
    assert (await me.user(key))["executions"] == 0


async def test_pages_of_starts_follow_each_other(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    started = [(await client.execute(key=key)).instance for _ in range(5)]
    everything = [each["id"] for each in await executions(api, me, key)]
    assert set(everything) == set(started)
    seen, cursor = [], ""
    while cursor is not None:
        page = done(await me.get(f"/users/{key}/executions", params={"limit": 2, "cursor": cursor}))
        seen += [each["id"] for each in page["executions"]]
        cursor = page["next"]
    assert seen == everything
    for bad in ("x", "1-", "1-a b", "-a", "9" * 19 + "-a"):
        assert set(invalid(await me.get(f"/users/{key}/executions", params={"cursor": bad}))) == {"cursor"}


async def test_a_copy_refused_by_its_heartbeat_says_why_and_when_it_ended(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    await api.change("update users set key_expires = 1 where key_hash = :key", key=hashed(key))
    before = api.clock()
    for _ in range(2):
        with pytest.raises(Refused):
            await copy.beat()
    (shown,) = await executions(api, me, key)
    assert (shown["state"], shown["code"]) == ("stopped", "KEY_EXPIRED")
    assert before <= shown["ended_at"] <= api.clock()
    (refusal,) = await refusals(api, me, key)
    assert (refusal["code"], refusal["moment"], refusal["times"]) == ("KEY_EXPIRED", "heartbeat", 2)


async def test_a_session_that_is_stopped_says_why(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    wire = await copy.session()
    done(await me.post(f"/users/{key}/blacklist", {}))
    assert await wire.stopped() == "BLACKLISTED"
    await ended(api, me, key)
    (shown,) = await executions(api, me, key)
    assert (shown["state"], shown["code"]) == ("stopped", "BLACKLISTED")
    assert shown["ended_at"] is not None
    assert [each["moment"] for each in await refusals(api, me, key)] == ["session"]
    wire = await copy.connect()
    assert await wire.stopped() == "BLACKLISTED"
    assert [each["times"] for each in await refusals(api, me, key)] == [2]


async def test_a_copy_that_is_disconnected_says_so(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wire = await (await client.execute(key=key)).session()
    done(await me.post(f"/sessions/{wire.id}/disconnect", {}))
    assert await wire.stopped() == "DISCONNECTED"
    await ended(api, me, key)
    (shown,) = await executions(api, me, key)
    assert (shown["state"], shown["code"]) == ("stopped", "DISCONNECTED")
    assert shown["ended_at"] is not None


async def test_a_copy_that_closed_is_gone_when_it_is_heard_of_no_more(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    wire = await (await client.execute(key=key)).session()
    await wire.socket.close()
    await ended(api, me, key)
    (shown,) = await executions(api, me, key)
    assert (shown["state"], shown["ended_at"]) == ("running", None)  # it may come back, or beat
    api.clock.ahead_ms += DAY_MS
    (shown,) = await executions(api, me, key)
    assert (shown["state"], shown["code"]) == ("gone", None)
    assert shown["ended_at"] < api.clock() - DAY_MS // 2


async def test_refused_starts_are_shown_and_the_last_one_with_the_user(
    api: Api, me: Developer, project: str, key: str
) -> None:
    assert (await me.user(key))["last_refusal"] is None
    client = await api.running_script(project)
    await client.execute(key=key)
    for _ in range(3):
        assert (
            await is_refused(client, key=key, fingerprint="another device", executor="Wave") == "FINGERPRINT_MISMATCH"
        )
    api.clock.ahead_ms += 5
    await api.change("update scripts set enabled = false where id = :id", id=client.script)
    assert await is_refused(client, key=key) == "SCRIPT_DISABLED"
    disabled, mismatch = await refusals(api, me, key)
    assert mismatch == {
        "code": "FINGERPRINT_MISMATCH",
        "moment": "start",
        "at": mismatch["at"],
        "first_at": mismatch["first_at"],
        "times": 3,
        "script_id": client.script,
        "executor": "Wave",
        "luaauth_fingerprint": mismatch["luaauth_fingerprint"],
    }
    assert mismatch["first_at"] <= mismatch["at"] < disabled["at"]
    own, others = (await me.user(key))["luaauth_fingerprint"].split("\n"), mismatch["luaauth_fingerprint"].split("\n")
    assert [one == other for one, other in zip(own, others, strict=True)] == [True, False, False]
    last = {"code": "SCRIPT_DISABLED", "at": disabled["at"]}
    assert (await me.user(key))["last_refusal"] == last
    assert done(await me.post(f"/users/{key}/edit", {"note": "asked"}))["user"]["last_refusal"] == last
    fresh = await me.new_user(project)
    found = done(await me.get(f"/projects/{project}/users"))["users"]
    assert {each["key"]: each["last_refusal"] for each in found} == {key: last, fresh: None}


async def test_a_projects_refusals_are_counted_by_code(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(of: str, **query: Any) -> Any:
        await api.history.settle()
        return done(await me.get(f"/projects/{of}/refusals", params=query))

    assert (await counted(project))["refusals"] == []
    client = await api.running_script(project)
    keys = [await me.new_user(project) for _ in range(2)]
    for key in keys:
        await client.execute(key=key, fingerprint="mine")
        assert await is_refused(client, key=key, fingerprint="another") == "FINGERPRINT_MISMATCH"
    assert await is_refused(client, key=keys[0], fingerprint="third") == "FINGERPRINT_MISMATCH"
    await me.post(f"/users/{keys[1]}/blacklist", {})
    assert await is_refused(client, key=keys[1], fingerprint="mine") == "BLACKLISTED"
    reply = await counted(project)
    assert [(each["code"], each["times"], each["users"]) for each in reply["refusals"]] == [
        ("FINGERPRINT_MISMATCH", 3, 2),
        ("BLACKLISTED", 1, 1),
    ]
    last = (await refusals(api, me, keys[1]))[0]["at"]
    assert reply["refusals"][1]["last_at"] == last
    # Another project's are not among them, and old ones neither.
    assert (await counted(await me.new_project()))["refusals"] == []
    api.clock.ahead_ms = 2 * DAY_MS
    assert (await counted(project, days=1))["refusals"] == []
    assert len((await counted(project, days=3))["refusals"]) == 2
    # Where there are too many to count, it is said since when they are counted.
    monkeypatch.setattr(user_history, "MAX_COUNTED", 1)
    reply = await counted(project)
    assert [each["code"] for each in reply["refusals"]] == ["BLACKLISTED"]
    assert api.clock() - 7 * DAY_MS < reply["since"] < last
    assert "days" in invalid(await me.get(f"/projects/{project}/refusals", params={"days": 31}))


async def test_a_start_without_a_place_is_a_refusal(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project, max_instances=1, fingerprintless=True)
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="one")
    assert await is_refused(client, key=key, fingerprint="two") == "TOO_MANY_INSTANCES"
    assert [each["code"] for each in await refusals(api, me, key)] == ["TOO_MANY_INSTANCES"]


async def test_who_has_a_key_cannot_fill_the_disk_with_refusals(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    await client.execute(key=key)
    count = "select count(*) from refusals where user_id = :id"
    user = await me.user(key)
    for number in range(3 * KEPT_REFUSALS):
        assert await is_refused(client, key=key, fingerprint=f"device {number}") == "FINGERPRINT_MISMATCH"
    found = await refusals(api, me, key)
    assert 0 < len(found) <= KEPT_REFUSALS
    last = found[0]
    for number in range(2 * KEPT_REFUSALS):
        api.clock.ahead_ms += 1
        await is_refused(client, key=key, fingerprint=f"other device {number}")
        if number % 3 == 0:
            await api.history.settle()
    found = await refusals(api, me, key)
    assert len(found) == KEPT_REFUSALS
    assert await api.value(count, id=user["id"]) == KEPT_REFUSALS
    assert last not in found
    assert found == sorted(found, key=lambda each: -each["at"])


async def test_each_day_has_its_own_refusals(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project, enabled=False)
    for _ in range(2):
        await is_refused(client, key=key)
        api.clock.ahead_ms += DAY_MS
    later, earlier = await refusals(api, me, key)
    assert later["first_at"] == later["at"] > earlier["at"]
    assert (later["times"], earlier["times"]) == (1, 1)


async def test_unknown_keys_leave_nothing(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    before = await api.value("select count(*) from refusals")
    assert await is_refused(client, key="A" * 32) == "KEY_NOT_FOUND"
    assert await is_refused(client, key=None) == "KEY_REQUIRED"
    other = await me.new_project("Other")
    assert await is_refused(client, key=await me.new_user(other)) == "KEY_NOT_FOUND"
    await api.history.settle()
    assert await api.value("select count(*) from refusals") == before


async def test_all_of_it_goes_with_the_detail(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    stopped = await client.execute(key=key)
    wire = await stopped.session()
    done(await me.post(f"/sessions/{wire.id}/disconnect", {}))
    assert await wire.stopped() == "DISCONNECTED"
    await ended(api, me, key)
    assert await is_refused(client, key=key, fingerprint="another") == "FINGERPRINT_MISMATCH"
    assert (len(await executions(api, me, key)), len(await refusals(api, me, key))) == (2, 2)
    for kept in detail_kept(90):
        await remove_old(api.database, kept, now=api.clock() + 89 * DAY_MS)
    assert (len(await executions(api, me, key)), len(await refusals(api, me, key))) == (2, 2)
    for kept in detail_kept(90):
        await remove_old(api.database, kept, now=api.clock() + 91 * DAY_MS)
    assert (await executions(api, me, key), await refusals(api, me, key)) == ([], [])
    assert (await me.user(key))["last_refusal"] is None
    assert await api.value("select count(*) from executions where id = :id", id=copy.instance) == 0
    # The row that refuses a stopped copy stays.
    assert await api.value("select count(*) from executions where id = :id", id=stopped.instance) == 1


async def test_strangers_see_nothing(api: Api, key: str) -> None:
    stranger = await api.developer()
    for page in ("executions", "refusals", "events"):
        assert (await stranger.get(f"/users/{key}/{page}")).status_code == 404
