"""Who was removed can be brought back for seven days, as they were."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS, MINUTE_MS
from moonlatch.jobs.expiry import remove_expired_users
from support import rows
from support.client import Refused
from support.keys import stored
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAST = 1_600_000_000_000


async def removed(me: Developer, project: str, **query: Any) -> list[Any]:
    return list(done(await me.get(f"/projects/{project}/users/removed", params=query))["users"])


async def restored(me: Developer, project: str, *keys: str, **fields: Any) -> list[Any]:
    return list(done(await me.post(f"/projects/{project}/users/restore", {"keys": [*keys], **fields}))["users"])


async def run_expiry(api: Api) -> int:
    return await remove_expired_users(api.world)


async def test_a_user_removed_by_hand_comes_back_as_they_were(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project, discord_id="1123", note="Ada", key_days=30, max_instances=2)
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="their device")
    before = await me.user(key)
    done(await me.post(f"/users/{key}/remove"))
    (shown,) = await removed(me, project)
    assert (shown["user"], shown["removed_by"]) == (before, "developer")
    assert abs(shown["removed_at"] - api.clock()) < MINUTE_MS
    assert shown["restorable_until"] == shown["removed_at"] + 7 * DAY_MS
    assert await restored(me, project, key) == [before]
    assert await me.user(key) == before
    assert await removed(me, project) == []
    await client.execute(key=key, fingerprint="their device")
    with pytest.raises(Refused, match="FINGERPRINT_MISMATCH"):
        await client.execute(key=key, fingerprint="another device")


async def test_a_paying_customer_whose_expiry_was_set_to_long_ago_is_not_lost(
    api: Api, me: Developer, project: str
) -> None:
    await me.post(f"/projects/{project}/edit", {"delete_expired_users": True})
    api.clock.ahead_ms += 20 * MINUTE_MS
    key = await me.new_user(project, key_days=30)
    done(await me.post(f"/users/{key}/edit", {"key_expires": PAST}))
    assert await run_expiry(api) == 0
    assert (await me.user(key))["key_expires"] == PAST
    api.clock.ahead_ms += 16 * MINUTE_MS
    assert await run_expiry(api) == 1
    assert (await me.get(f"/users/{key}")).status_code == 404
    (shown,) = await removed(me, project)
    assert (shown["user"]["key"], shown["removed_by"]) == (key, "expiry")
    later = api.clock() + 30 * DAY_MS
    (user,) = await restored(me, project, key, key_expires=later)
    assert (user["key_expires"], user["key_days"]) == (later, None)
    api.clock.ahead_ms += DAY_MS
    assert await run_expiry(api) == 0


async def test_who_is_brought_back_expired_stays_for_fifteen_minutes(api: Api, me: Developer, project: str) -> None:
    await me.post(f"/projects/{project}/edit", {"delete_expired_users": True})
    key = await me.new_user(project)
    await me.post(f"/users/{key}/edit", {"key_expires": PAST})
    api.clock.ahead_ms += 16 * MINUTE_MS
    assert await run_expiry(api) == 1
    await restored(me, project, key)
    api.clock.ahead_ms += 14 * MINUTE_MS
    assert await run_expiry(api) == 0
    api.clock.ahead_ms += 2 * MINUTE_MS
    assert await run_expiry(api) == 1


async def test_a_blacklisting_and_its_bar_come_back_too(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="their device")
    await me.post(f"/users/{key}/blacklist", {"reason": "charge-back"})
    await me.post(f"/users/{key}/remove")
    other = await me.new_user(project)
    await client.execute(key=other, fingerprint="their device")
    await restored(me, project, key)
    for barred in (key, other):
        with pytest.raises(Refused, match="BLACKLISTED"):
            await client.execute(key=barred, fingerprint="their device")


async def test_after_seven_days_nobody_is_brought_back(api: Api, me: Developer, project: str, key: str) -> None:
    await me.post(f"/users/{key}/remove")
    api.clock.ahead_ms += 7 * DAY_MS
    assert await removed(me, project) == []
    reply = await me.post(f"/projects/{project}/users/restore", {"keys": [key]})
    refused(reply, 409, 2, "user was not removed", keys=[key])


async def test_who_is_removed_for_ever_is_not_kept(me: Developer, project: str, key: str) -> None:
    done(await me.post(f"/users/{key}/remove", {"forever": True}))
    assert await removed(me, project) == []


async def test_removed_users_are_listed_latest_first_and_found_by_discord_id(
    api: Api, me: Developer, project: str
) -> None:
    keys = [await me.new_user(project, discord_id=f"112{number}") for number in range(3)]
    for key in keys:
        api.clock.ahead_ms += 1
        await me.post(f"/users/{key}/remove")
    assert [each["user"]["key"] for each in await removed(me, project)] == keys[::-1]
    assert [each["user"]["key"] for each in await removed(me, project, **{"from": 1, "limit": 1})] == [keys[1]]
    assert [each["user"]["key"] for each in await removed(me, project, discord_id="<@1121>")] == [keys[1]]


async def test_all_come_back_or_none(me: Developer, project: str, key: str) -> None:
    await me.post(f"/users/{key}/remove")
    restore = f"/projects/{project}/users/restore"
    refused(await me.post(restore, {"keys": [key, NOBODY]}), 409, 2, "user was not removed", keys=[NOBODY])
    assert [each["user"]["key"] for each in await removed(me, project)] == [key]


async def test_another_projects_removed_users_are_none(api: Api, me: Developer, project: str, key: str) -> None:
    await me.post(f"/users/{key}/remove")
    other = await me.new_project()
    reply = await me.post(f"/projects/{other}/users/restore", {"keys": [key]})
    refused(reply, 409, 2, "user was not removed", keys=[key])
    assert await removed(me, other) == []


async def test_a_discord_id_that_somebody_has_by_now_is_refused(me: Developer, project: str) -> None:
    first, second = [await me.new_user(project, discord_id="1123")], []
    await me.post(f"/users/{first[0]}/remove")
    second.append(await me.new_user(project, discord_id="1123"))
    restore, taken = f"/projects/{project}/users/restore", "key already exists with this discord"
    refused(await me.post(restore, {"keys": first}), 409, 3, taken, keys=first)
    await me.post(f"/users/{second[0]}/remove")
    refused(await me.post(restore, {"keys": first + second}), 409, 3, taken, keys=second)
    await restored(me, project, *first)


async def test_a_key_that_exists_again_is_refused(api: Api, me: Developer, project: str, key: str) -> None:
    await me.post(f"/users/{key}/remove")
    other = await me.new_project()
    kept = stored(key, user_id="another", project_id=other)
    await rows.insert(api.database, "users", id="another", project_id=other, created_at=1, **kept)
    reply = await me.post(f"/projects/{project}/users/restore", {"keys": [key]})
    refused(reply, 409, 4, "key already exists", keys=[key])


async def test_a_tier_bounds_those_who_come_back(api: Api) -> None:
    me = await api.developer(tier="tiny")
    project = await me.new_project()
    keys = [await me.new_user(project) for _ in range(3)]
    await me.post(f"/users/{keys[0]}/remove")
    await me.new_user(project)
    reply = await me.post(f"/projects/{project}/users/restore", {"keys": [keys[0]]})
    refused(reply, 403, 1, "max users reached")


async def test_an_expired_account_brings_nobody_back(api: Api, me: Developer, project: str, key: str) -> None:
    await me.post(f"/users/{key}/remove")
    await api.expire(me)
    refused(await me.post(f"/projects/{project}/users/restore", {"keys": [key]}), 403, 0, "account expired")


async def test_every_wrong_field_is_listed(api: Api, me: Developer, project: str) -> None:
    body = {"keys": [NOBODY, NOBODY], "key_expires": api.clock() - 1, "colour": "red"}
    assert set(invalid(await me.post(f"/projects/{project}/users/restore", body))) == set(body)
    assert set(invalid(await me.post(f"/projects/{project}/users/restore", {"keys": []}))) == {"keys"}
