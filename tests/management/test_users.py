"""The user endpoints: keys, their blacklisting and their devices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from support.client import Client, Refused
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = 60_000
LAST_TIME = 253_402_300_799_999
PAST = 1_600_000_000_000


async def refusal(client: Client, **request: Any) -> str:
    """The code that a start is refused with."""
    with pytest.raises(Refused) as caught:
        await client.execute(**request)
    return caught.value.code


async def test_a_new_user_has_every_documented_field(api: Api, me: Developer, project: str) -> None:
    body = {"discord_id": "123456789012345678", "note": "first", "max_instances": 2, "max_executions": 9}
    (user,) = done(await me.post(f"/projects/{project}/users", body))["users"]
    assert len(user["key"]) == 32
    assert abs(user["created_at"] - api.clock()) < 60_000
    expected = {
        "id": user["id"],
        "key": user["key"],
        "project_id": project,
        "discord_id": "123456789012345678",
        "fingerprint_assigned": False,
        "executor": None,
        "executions": 0,
        "key_expires": None,
        "key_days": None,
        "last_reset": None,
        "total_fingerprint_resets": 0,
        "note": "first",
        "blacklisted": False,
        "blacklist_reason": None,
        "blacklist_expires": None,
        "held_by": None,
        "held_until": None,
        "luaauth_fingerprint": None,
        "max_instances": 2,
        "max_executions": 9,
        "max_devices": None,
        "fingerprintless": False,
        "last_refusal": None,
        "created_at": user["created_at"],
    }
    assert user == expected
    assert await me.user(user["key"]) == expected


async def test_several_users_are_made_at_once_with_different_keys(me: Developer, project: str) -> None:
    users = done(await me.post(f"/projects/{project}/users", {"amount": 1000, "key_days": 30}))["users"]
    assert len({user["key"] for user in users}) == 1000
    assert {user["key_days"] for user in users} == {30}


async def test_every_wrong_field_of_new_users_is_listed(me: Developer, project: str) -> None:
    body = {
        "discord_id": "",
        "key_expires": -1,
        "key_days": 0,
        "note": "x" * 256,
        "max_instances": 0,
        "max_executions": "5",
        "fingerprintless": 1,
        "amount": 1001,
        "nonsense": None,
    }
    assert set(invalid(await me.post(f"/projects/{project}/users", body))) == set(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"discord_id": "1", "amount": 2}, "amount"),
        ({"key_days": 3, "key_expires": LAST_TIME}, "key_days"),
        ({"key_expires": LAST_TIME + 1}, "key_expires"),
        ({"note": "a\0b"}, "note"),
        ({"amount": 10**30}, "amount"),
    ],
)
async def test_new_users_that_make_no_sense_are_refused(me: Developer, project: str, body: Any, field: str) -> None:
    assert list(invalid(await me.post(f"/projects/{project}/users", body))) == [field]


async def test_a_tier_bounds_the_users_all_or_none(api: Api) -> None:
    me = await api.developer(tier="tiny")
    project = await me.new_project()
    refused(await me.post(f"/projects/{project}/users", {"amount": 4}), 403, 1, "max users reached")
    assert done(await me.get(f"/projects/{project}/users"))["users"] == []
    assert len(done(await me.post(f"/projects/{project}/users", {"amount": 3}))["users"]) == 3
    refused(await me.post(f"/projects/{project}/users", {}), 403, 1, "max users reached")


async def test_a_discord_id_belongs_to_one_key_of_a_project(me: Developer, project: str, key: str) -> None:
    await me.new_user(project, discord_id="42")
    taken = {"discord_id": "42"}
    answer = await me.post(f"/projects/{project}/users", taken)
    refused(answer, 409, 2, "key already exists with this discord", fields=["discord_id"])
    refused(await me.post(f"/users/{key}/edit", taken), 409, 1, "key already exists with this discord")
    assert (await me.user(key))["discord_id"] is None
    await me.new_user(await me.new_project(), discord_id="42")


@pytest.mark.parametrize("spelled", ["1123", " 1123 ", "<@1123>", "<@!1123>"])
async def test_a_discord_id_is_the_same_however_it_is_spelled(me: Developer, project: str, spelled: str) -> None:
    key = await me.new_user(project, discord_id=spelled)
    assert (await me.user(key))["discord_id"] == "1123"
    other = await me.new_user(project)
    taken = "key already exists with this discord"
    refused(await me.post(f"/projects/{project}/users", {"discord_id": spelled}), 409, 2, taken, fields=["discord_id"])
    refused(await me.post(f"/users/{other}/edit", {"discord_id": spelled}), 409, 1, taken)
    edited = done(await me.post(f"/users/{key}/edit", {"discord_id": spelled}))["user"]
    assert edited["discord_id"] == "1123"
    found = done(await me.get(f"/projects/{project}/users", params={"discord_id": spelled}))["users"]
    assert [user["key"] for user in found] == [key]


@pytest.mark.parametrize("wrong", ["ann#1123", "@ann", "<@&1123>", "01123", " ", "1" * 21])
async def test_what_is_not_a_discord_id_is_refused_everywhere(
    me: Developer, project: str, key: str, wrong: str
) -> None:
    replies = [
        await me.post(f"/projects/{project}/users", {"discord_id": wrong}),
        await me.post(f"/users/{key}/edit", {"discord_id": wrong}),
        await me.get(f"/projects/{project}/users", params={"discord_id": wrong}),
    ]
    for reply in replies:
        (error,) = invalid(reply)["discord_id"]
        assert error.startswith("must be a Discord user id")


async def test_a_discord_id_as_a_number_is_refused_with_the_reason(me: Developer, project: str) -> None:
    found = invalid(await me.post(f"/projects/{project}/users", {"discord_id": 123456789012345678}))
    assert found == {"discord_id": ["must be a string of digits: a JSON number may lose the last of them"]}


async def test_users_are_filtered_by_every_condition(api: Api, me: Developer, project: str) -> None:
    keys = {}
    for number, fields in enumerate(({"note": "a"}, {"note": "a", "discord_id": "7"}, {}, {"key_expires": LAST_TIME})):
        api.clock.ahead_ms = number
        keys[number] = await me.new_user(project, **fields)
    await me.post(f"/users/{keys[2]}/edit", {"key_expires": PAST})
    await me.post(f"/users/{keys[3]}/blacklist", {"expires": api.clock() + SOON})
    for query, expected in (
        ("", [0, 1, 2, 3]),
        ("from=1&limit=2", [1, 2]),
        ("note=a", [0, 1]),
        ("note=A", []),
        ("note=a&discord_id=7", [1]),
        ("expired=true", [2]),
        ("expired=false", [0, 1, 3]),
        ("blacklisted=true", [3]),
        ("blacklisted=false&expired=false", [0, 1]),
        ("note=&blacklisted=", [0, 1, 2, 3]),
    ):
        found = done(await me.get(f"/projects/{project}/users?{query}"))["users"]
        assert [user["key"] for user in found] == [keys[number] for number in expected], query
    api.clock.ahead_ms += SOON
    assert done(await me.get(f"/projects/{project}/users?blacklisted=true"))["users"] == []


async def test_every_wrong_filter_is_listed(me: Developer, project: str) -> None:
    query = f"from=-1&limit=0&note={'x' * 256}&discord_id=%00&blacklisted=1&expired=yes&colour=red"
    assert set(invalid(await me.get(f"/projects/{project}/users?{query}"))) == {
        *("from", "limit", "note", "discord_id", "blacklisted", "expired", "colour")
    }


@pytest.mark.parametrize(
    "change",
    [
        {"discord_id": "9"},
        {"note": "renewed"},
        {"key_expires": LAST_TIME},
        {"key_days": 7},
        {"max_instances": 3, "max_executions": 1_000_000_000},
        {"fingerprintless": True},
    ],
)
async def test_an_edit_changes_what_is_given_and_nothing_else(me: Developer, key: str, change: Any) -> None:
    before = await me.user(key)
    edited = done(await me.post(f"/users/{key}/edit", change))
    assert edited == {"success": True, "user": before | change}
    assert await me.user(key) == before | change


async def test_an_empty_string_clears_every_nullable_field(me: Developer, project: str) -> None:
    key = await me.new_user(project, discord_id="5", note="n", key_expires=LAST_TIME, max_instances=1, max_executions=1)
    cleared = dict.fromkeys(("discord_id", "note", "key_expires", "max_instances", "max_executions"), "")
    await me.post(f"/users/{key}/edit", cleared)
    user = await me.user(key)
    assert {name: user[name] for name in cleared} == dict.fromkeys(cleared)
    await me.post(f"/users/{key}/edit", {"key_days": 5})
    await me.post(f"/users/{key}/edit", {"key_days": ""})
    assert (await me.user(key))["key_days"] is None


async def test_an_expiry_and_days_replace_each_other(me: Developer, key: str) -> None:
    await me.post(f"/users/{key}/edit", {"key_days": 7})
    await me.post(f"/users/{key}/edit", {"key_expires": LAST_TIME})
    assert [(await me.user(key))[name] for name in ("key_expires", "key_days")] == [LAST_TIME, None]
    await me.post(f"/users/{key}/edit", {"key_days": 7})
    assert [(await me.user(key))[name] for name in ("key_expires", "key_days")] == [None, 7]


async def test_a_cleared_expiry_stays_cleared_when_the_key_is_used_again(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project, key_days=30)
    client = await api.running_script(project)
    await client.execute(key=key)
    assert abs((await me.user(key))["key_expires"] - api.clock() - 30 * DAY_MS) < 60_000
    await me.post(f"/users/{key}/edit", {"key_expires": ""})
    await client.execute(key=key)
    assert (await me.user(key))["key_expires"] is None


@pytest.mark.parametrize("body", [{}, {"note": None, "key_expires": None}])
async def test_editing_nothing_is_code_2(me: Developer, key: str, body: Any) -> None:
    refused(await me.post(f"/users/{key}/edit", body), 400, 2, "cannot edit nothing")


async def test_every_wrong_field_of_an_edit_is_listed(me: Developer, key: str) -> None:
    body = {
        "discord_id": 5,
        "key_expires": "tomorrow",
        "key_days": 1.5,
        "note": "\ud800",
        "max_instances": True,
        "max_executions": -1,
        "fingerprintless": "",
        "key": "mine",
    }
    response = await me.post(
        f"/users/{key}/edit",
        content=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert set(invalid(response)) == set(body)


async def test_an_edit_ends_sessions_of_a_key_that_is_over(api: Api, me: Developer, project: str, key: str) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    await me.post(f"/users/{key}/edit", {"key_expires": PAST})
    assert await wire.stopped() == "KEY_EXPIRED"


async def test_a_blacklisting_stops_the_key_and_bars_its_device_from_the_project(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    other_key = await me.new_user(project)
    other = await api.session(client, key=other_key, fingerprint="device A")
    mine = await api.session(client, key=key, fingerprint="device A")
    blacklist = {"reason": "charge-back", "expires": api.clock() + SOON}
    assert (await me.post(f"/users/{key}/blacklist", blacklist)).json() == {"success": True}
    assert await mine.stopped() == "BLACKLISTED"
    assert await other.stopped() == "BLACKLISTED"
    user = await me.user(key)
    assert (user["blacklisted"], user["blacklist_reason"]) == (True, "charge-back")
    assert user["blacklist_expires"] == blacklist["expires"]
    assert await refusal(client, key=key, fingerprint="device A") == "BLACKLISTED"
    assert await refusal(client, key=other_key, fingerprint="device A") == "BLACKLISTED"
    third = await me.new_user(project)
    assert await refusal(client, key=third, fingerprint="device A") == "BLACKLISTED"
    await client.execute(key=third, fingerprint="device B")


async def test_a_blacklisting_bars_every_device_that_the_key_was_used_on(api: Api, me: Developer, project: str) -> None:
    client, other = await api.running_script(project), await me.new_user(project, fingerprintless=True)
    key, moved = await me.new_user(project, fingerprintless=True), await me.new_user(project)
    for device in ("one", "two"):
        await client.execute(key=key, fingerprint=device)
    await client.execute(key=moved, fingerprint="before")
    done(await me.post(f"/users/{moved}/reset_fingerprint", {"force": True}))
    await api.history.settle()
    running = await api.session(client, key=other, fingerprint="two")
    for each in (key, moved):
        done(await me.post(f"/users/{each}/blacklist", {}))
    assert await running.stopped() == "BLACKLISTED"
    for device in ("one", "two", "before"):
        assert await refusal(client, key=other, fingerprint=device) == "BLACKLISTED"
    await client.execute(key=other, fingerprint="three")
    for each in (key, moved):
        done(await me.post(f"/users/{each}/unblacklist", {}))
    for device in ("one", "two", "before"):
        await client.execute(key=other, fingerprint=device)


async def test_an_unblacklisting_takes_everything_back(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await client.execute(key=key)
    await me.post(f"/users/{key}/blacklist", {"reason": "mistake"})
    assert await refusal(client, key=key) == "BLACKLISTED"
    assert (await me.post(f"/users/{key}/unblacklist")).json() == {"success": True}
    user = await me.user(key)
    assert [user[name] for name in ("blacklisted", "blacklist_reason", "blacklist_expires")] == [False, None, None]
    await client.execute(key=key)
    await client.execute(key=await me.new_user(project))


async def test_a_blacklisting_that_ran_out_is_none(api: Api, me: Developer, key: str) -> None:
    await me.post(f"/users/{key}/blacklist", {"expires": api.clock() + SOON, "reason": "short"})
    api.clock.ahead_ms = SOON
    user = await me.user(key)
    assert (user["blacklisted"], user["blacklist_reason"], user["blacklist_expires"]) == (False, None, None)
    refused(await me.post(f"/users/{key}/unblacklist"), 409, 0, "user not blacklisted")
    assert (await me.post(f"/users/{key}/blacklist")).status_code == 200


@pytest.mark.parametrize("spelled", [int, str])
async def test_a_blacklistings_end_may_be_a_number_or_its_digits(
    api: Api, me: Developer, key: str, spelled: type
) -> None:
    end = api.clock() + SOON
    await me.post(f"/users/{key}/blacklist", {"expires": spelled(end)})
    assert (await me.user(key))["blacklist_expires"] == end


@pytest.mark.parametrize("expires", [1, "1", -1, "", "tomorrow", "1_0", True, 1.5, LAST_TIME + 1, "9" * 15, []])
async def test_an_impossible_end_of_a_blacklisting_is_refused(me: Developer, key: str, expires: Any) -> None:
    assert list(invalid(await me.post(f"/users/{key}/blacklist", {"expires": expires}))) == ["expires"]
    assert (await me.user(key))["blacklisted"] is False


async def test_the_codes_of_blacklisting_come_in_their_order(api: Api, me: Developer, project: str) -> None:
    barred, free = await me.new_user(project), await me.new_user(project)
    await me.post(f"/users/{barred}/blacklist")
    await api.expire(me)
    refused(await me.post(f"/users/{barred}/blacklist"), 409, 0, "user already blacklisted")
    refused(await me.post(f"/users/{free}/blacklist"), 403, 1, "account expired")
    refused(await me.post(f"/users/{free}/unblacklist"), 409, 0, "user not blacklisted")
    refused(await me.post(f"/users/{barred}/unblacklist"), 403, 1, "account expired")


async def test_a_reset_lets_another_device_take_the_key(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="old")
    assert await refusal(client, key=key, fingerprint="new") == "FINGERPRINT_MISMATCH"
    assert (await me.post(f"/users/{key}/reset_fingerprint")).json() == {"success": True}
    user = await me.user(key)
    assert (user["fingerprint_assigned"], user["total_fingerprint_resets"]) == (False, 1)
    assert abs(user["last_reset"] - api.clock()) < 60_000
    await client.execute(key=key, fingerprint="new")
    assert (await me.user(key))["fingerprint_assigned"] is True


async def test_the_codes_of_a_reset_come_in_their_order(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    reset = f"/users/{key}/reset_fingerprint"
    refused(await me.post(reset), 409, 3, "no fingerprint assigned")
    await client.execute(key=key)
    await me.post(f"/projects/{project}/edit", {"allow_fingerprint_resets": False})
    refused(await me.post(reset), 403, 1, "fingerprint resets disabled")
    assert (await me.post(reset, {"force": True})).status_code == 200
    await me.post(f"/projects/{project}/edit", {"allow_fingerprint_resets": True})
    again_at = (await me.user(key))["last_reset"] + DAY_MS
    refused(await me.post(reset, {"force": None}), 409, 2, "on cooldown", retry_at=again_at)
    refused(await me.post(reset, {"force": True}), 409, 3, "no fingerprint assigned")
    await client.execute(key=key)
    api.clock.ahead_ms = DAY_MS
    assert (await me.post(reset)).status_code == 200
    await api.expire(me)
    refused(await me.post(reset, {"force": True}), 403, 0, "account expired")


async def test_a_removed_user_is_gone_and_stopped(api: Api, me: Developer, project: str, key: str) -> None:
    wire = await api.session(await api.running_script(project), key=key)
    assert (await me.post(f"/users/{key}/remove")).json() == {"success": True}
    assert await wire.stopped() == "KEY_NOT_FOUND"
    assert (await me.get(f"/users/{key}")).status_code == 404


async def test_an_expired_account_cannot_change_users_but_can_read_them(
    api: Api, me: Developer, project: str, key: str
) -> None:
    await api.expire(me)
    for path, body in {
        f"/projects/{project}/users": {},
        f"/users/{key}/edit": {},
        f"/users/{key}/remove": {},
        f"/users/{key}/reset_fingerprint": {},
    }.items():
        refused(await me.post(path, body), 403, 0, "account expired")
    assert (await me.user(key))["key"] == key


async def test_the_picture_of_a_device_shows_squares_and_nothing_else(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    await client.execute(key=key, fingerprint="device A")
    first = (await me.user(key))["luaauth_fingerprint"]
    lines = first.split("\n")
    assert [line[6:] for line in lines] == [" -> ip", " -> fingerprint", " -> executor"]
    assert all(square in "🟥🟧🟨🟩🟦🟪🟫⬛" for line in lines for square in line[:6])
    await client.execute(key=key, fingerprint="device A")
    assert (await me.user(key))["luaauth_fingerprint"] == first
    other = await me.new_user(project)
    await client.execute(key=other, fingerprint="device B")
    theirs = (await me.user(other))["luaauth_fingerprint"].split("\n")
    assert (theirs[0], theirs[2]) == (lines[0], lines[2])
    assert theirs[1] != lines[1]
