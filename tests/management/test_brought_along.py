"""Customers that are brought along from elsewhere: with their own keys, many in one call, all or none."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.licensing.roles import Permission
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN = "key already exists"


async def keys_of(me: Developer, project: str) -> list[str]:
    return [user["key"] for user in done(await me.get(f"/projects/{project}/users"))["users"]]


async def test_a_key_that_is_brought_along_runs(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project, key="MY_HUB-12345678")
    assert key == "MY_HUB-12345678"
    client = await api.running_script(project)
    await client.execute(key=key)
    assert (await me.user(key))["executions"] == 1


@pytest.mark.parametrize(
    "key", ["short-7", "x" * 65, "with space", "ключ-ключ", "a/b/c/d/e", "12345678\n", 12345678, ""]
)
async def test_what_is_not_a_key_is_refused(me: Developer, project: str, key: Any) -> None:
    assert list(invalid(await me.post(f"/projects/{project}/users", {"key": key}))) == ["key"]
    assert list(invalid(await me.post(f"/projects/{project}/users", {"users": [{}, {"key": key}]}))) == ["users.1.key"]


async def test_a_key_of_any_account_is_refused_without_telling_whose(api: Api, me: Developer, project: str) -> None:
    stranger = await api.developer()
    theirs = await stranger.new_user(await stranger.new_project(), key=f"theirs-{project[:20]}")
    mine = await me.new_user(project, key=f"mine-{project[:20]}")
    for key in (theirs, mine):
        refused(await me.post(f"/projects/{project}/users", {"key": key}), 409, 3, TAKEN, fields=["key"])
    rows = [{}, {"key": theirs}, {"key": f"new-{project[:20]}"}, {"key": mine}]
    answer = await me.post(f"/projects/{project}/users", {"users": rows})
    refused(answer, 409, 3, TAKEN, fields=["users.1.key", "users.3.key"])
    assert await keys_of(me, project) == [mine]


async def test_a_key_that_is_somebodys_id_is_refused(me: Developer, project: str, key: str) -> None:
    known = (await me.user(key))["id"]
    refused(await me.post(f"/projects/{project}/users", {"key": known}), 409, 3, TAKEN, fields=["key"])


async def test_rows_become_users_in_their_order_each_with_its_event(me: Developer, project: str) -> None:
    rows = [
        {"key": f"first-{project[:16]}", "note": "one", "key_days": 30},
        {"discord_id": "<@77>", "max_instances": 2},
        {"key": f"third-{project[:16]}", "fingerprintless": True, "discord_id": None},
    ]
    users = done(await me.post(f"/projects/{project}/users", {"users": rows}))["users"]
    assert [users[0]["key"], users[2]["key"]] == [rows[0]["key"], rows[2]["key"]]
    assert [(user["note"], user["key_days"], user["discord_id"]) for user in users] == [
        ("one", 30, None),
        (None, None, "77"),
        (None, None, None),
    ]
    assert [user["max_instances"] for user in users] == [None, 2, None]
    events = done(await me.get(f"/projects/{project}/events?kind=user.created"))["events"]
    assert {event["resource"]["id"] for event in events} == {user["id"] for user in users}


async def test_a_thousand_rows_are_taken_and_no_more(me: Developer, project: str) -> None:
    rows = [{"key": f"{number:04}-{project[:20]}"} for number in range(1001)]
    assert list(invalid(await me.post(f"/projects/{project}/users", {"users": rows}))) == ["users"]
    users = done(await me.post(f"/projects/{project}/users", {"users": rows[:1000]}))["users"]
    assert [user["key"] for user in users] == [row["key"] for row in rows[:1000]]


async def test_a_bad_row_is_named_and_nobody_is_made(me: Developer, project: str) -> None:
    rows = [{}, {"key_days": 0}, {"amount": 2}, {"note": "x", "discord_id": 5}]
    found = invalid(await me.post(f"/projects/{project}/users", {"users": rows}))
    assert set(found) == {"users.1.key_days", "users.2.amount", "users.3.discord_id"}
    assert await keys_of(me, project) == []


async def test_what_two_rows_share_is_named(me: Developer, project: str) -> None:
    rows = [{"key": "same-same"}, {"discord_id": "5"}, {"key": "same-same"}, {"discord_id": "<@5>"}]
    assert invalid(await me.post(f"/projects/{project}/users", {"users": rows})) == {
        "users.2.key": ["is that of users.0 too"],
        "users.3.discord_id": ["is that of users.1 too"],
    }
    assert await keys_of(me, project) == []


async def test_a_taken_discord_id_is_named_by_its_row(me: Developer, project: str) -> None:
    key = await me.new_user(project, discord_id="42")
    answer = await me.post(f"/projects/{project}/users", {"users": [{"note": "x"}, {"discord_id": "42"}]})
    refused(answer, 409, 2, "key already exists with this discord", fields=["users.1.discord_id"])
    assert await keys_of(me, project) == [key]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"key": "a-key-of-mine", "amount": 2}, "amount"),
        ({"users": [{}], "note": "x"}, "users"),
        ({"users": [{}], "amount": 2}, "users"),
        ({"users": []}, "users"),
    ],
)
async def test_what_excludes_each_other_is_refused(me: Developer, project: str, body: Any, field: str) -> None:
    assert list(invalid(await me.post(f"/projects/{project}/users", body))) == [field]


async def test_a_list_fits_into_the_tier_whole_or_not_at_all(api: Api) -> None:
    me = await api.developer(tier="tiny")
    project = await me.new_project()
    refused(await me.post(f"/projects/{project}/users", {"users": [{}] * 4}), 403, 1, "max users reached")
    assert len(done(await me.post(f"/projects/{project}/users", {"users": [{}] * 3}))["users"]) == 3


async def test_a_dry_run_makes_nobody(me: Developer, project: str) -> None:
    body = {"users": [{"key": "tried-only"}]}
    assert done(await me.post(f"/projects/{project}/users?dry_run=true", body))["users"][0]["key"] == "tried-only"
    assert await keys_of(me, project) == []


async def test_whoever_may_not_see_keys_is_not_shown_those_of_the_list(api: Api, me: Developer, project: str) -> None:
    token = await api.token(me.account, permissions=(Permission.KEYS_WRITE, Permission.KEYS_READ))
    helper = Developer(me.account, token, me.http)
    (user,) = done(await helper.post(f"/projects/{project}/users", {"users": [{"key": f"secret-{project}"[:39]}]}))[
        "users"
    ]
    assert "…" in user["key"]
