"""One action on many users: the same as the calls for one user, all of it or nothing, and counted."""

from __future__ import annotations

import random
from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.licensing.roles import Permission
from moonlatch.operations import bulk
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAST = 1_600_000_000_000
OWN = ("id", "key", "project_id", "luaauth_fingerprint", "created_at", "last_reset")
"""Fields that differ between two users to whom the same was done."""


async def bulk_call(me: Developer, project: str, body: Any, **query: Any) -> Any:
    reply = done(await me.post(f"/projects/{project}/users/bulk", body, params=query))
    assert reply["refused"] == reply["matched"] - reply["changed"] + sum(
        each["id"] is None for each in reply["failures"]
    )
    return reply


def shown(user: Any) -> dict[str, Any]:
    return {name: value for name, value in user.items() if name not in OWN}


async def listed(me: Developer, project: str) -> list[Any]:
    users: list[Any] = done(await me.get(f"/projects/{project}/users?limit=1000"))["users"]
    return users


async def crowd(api: Api, me: Developer, seed: int, size: int = 12) -> tuple[str, list[str]]:
    """A project with users in every state, the same for the same seed."""
    draw = random.Random(seed)
    project = await me.new_project()
    client = await api.running_script(project)
    keys = []
    for number in range(size):
        fields: dict[str, Any] = {"note": f"user {number % 3}"}
        kind = draw.randrange(4)
        if kind == 1:
            fields["key_days"] = draw.choice((1, 36_499, 36_500))
        elif kind > 1:
            fields["key_expires"] = 253_402_300_799_999 - draw.choice((0, DAY_MS * 9))
        api.clock.ahead_ms = number
        key = await me.new_user(project, discord_id=str(number + 1), **fields)
        keys.append(key)
        if draw.random() < 0.5:
            await client.execute(key=key, fingerprint=f"device {number}")
            if draw.random() < 0.3:
                done(await me.post(f"/users/{key}/reset_fingerprint", {"force": True}))
                await client.execute(key=key, fingerprint=f"device {number}")
        if kind == 3:
            done(await me.post(f"/users/{key}/edit", {"key_expires": draw.choice((PAST, api.clock() + 5 * DAY_MS))}))
        if draw.random() < 0.3:
            done(await me.post(f"/users/{key}/blacklist", {"reason": "before"}))
    api.clock.ahead_ms = size
    return project, keys


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("edit", {"note": "renewed", "key_days": 7}),
        ("edit", {"max_instances": 2, "discord_id": "", "key_expires": ""}),
        ("blacklist", {"reason": "charge-back"}),
        ("unblacklist", {}),
        ("reset_fingerprint", {}),
        ("reset_fingerprint", {"force": True}),
        ("remove", {}),
        ("remove", {"forever": True}),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
async def test_it_does_what_the_calls_for_one_user_do(
    api: Api,
    me: Developer,
    action: str,
    body: dict[str, Any],
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.clock, "stands_at_ms", api.clock())
    one_project, one_keys = await crowd(api, me, seed)
    all_project, all_keys = await crowd(api, me, seed)
    assert [shown(user) for user in await listed(me, one_project)] == [
        shown(user) for user in await listed(me, all_project)
    ]
    reasons = []
    for key in one_keys:
        reply = await me.post(f"/users/{key}/{action}", body)
        reasons.append(None if reply.status_code == 200 else reply.json()["error"]["message"])
    ids = {user["key"]: user["id"] for user in await listed(me, all_project)}
    outcome = await bulk_call(me, all_project, {"filter": {"all": True}, action: body})
    assert (outcome["matched"], outcome["changed"]) == (len(all_keys), reasons.count(None))
    assert outcome["failures"] == [
        {"id": ids[key], "key": key, "reason": reason}
        for key, reason in zip(all_keys, reasons, strict=True)
        if reason is not None
    ]
    assert [shown(user) for user in await listed(me, one_project)] == [
        shown(user) for user in await listed(me, all_project)
    ]
    # The same events, in the same order, and the same users who can be brought back.
    one, many = [
        [
            (event["kind"], event["changes"])
            for event in done(await me.get(f"/projects/{project}/events?limit=1000"))["events"]
            if event["resource"]["kind"] == "user"
        ]
        for project in (one_project, all_project)
    ]
    assert sorted(map(repr, one)) == sorted(map(repr, many))
    removed_one, removed_all = [
        [shown(each["user"]) for each in done(await me.get(f"/projects/{project}/users/removed"))["users"]]
        for project in (one_project, all_project)
    ]
    assert sorted(map(repr, removed_one)) == sorted(map(repr, removed_all))
    bars = "select count(*) from bars where project_id = :project"
    assert await api.value(bars, project=one_project) == await api.value(bars, project=all_project)


async def test_an_extension_counts_from_the_end_or_from_now(api: Api, me: Developer, project: str) -> None:
    soon = api.clock() + DAY_MS
    running = await me.new_user(project, key_expires=soon)
    over = await me.new_user(project)
    done(await me.post(f"/users/{over}/edit", {"key_expires": PAST}))
    unused = await me.new_user(project, key_days=30)
    forever = await me.new_user(project)
    longest = await me.new_user(project, key_days=36_500)
    last = await me.new_user(project, key_expires=253_402_300_799_999)
    before = api.clock()
    outcome = await bulk_call(me, project, {"filter": {"all": True}, "extend": {"days": 3}})
    assert (outcome["matched"], outcome["changed"], outcome["refused"]) == (6, 3, 3)
    assert {each["key"]: each["reason"] for each in outcome["failures"]} == {
        forever: "key never expires",
        longest: "key would expire too late",
        last: "key would expire too late",
    }
    assert (await me.user(running))["key_expires"] == soon + 3 * DAY_MS
    assert before <= (await me.user(over))["key_expires"] - 3 * DAY_MS <= api.clock()
    user = await me.user(unused)
    assert (user["key_days"], user["key_expires"]) == (33, None)
    (event, *_) = done(await me.get(f"/users/{running}/events?kind=user.edited"))["events"]
    assert event["changes"] == {"key_expires": [soon, soon + 3 * DAY_MS]}


async def test_users_are_named_by_key_or_id_and_who_is_not_there_is_told(api: Api, me: Developer, project: str) -> None:
    one, two, other = [await me.new_user(project) for _ in range(3)]
    elsewhere = await me.new_user(await me.new_project())
    known = (await me.user(two))["id"]
    body = {"users": [one, NOBODY, known, elsewhere, two], "blacklist": {"reason": "x"}}
    outcome = await bulk_call(me, project, body)
    assert (outcome["matched"], outcome["changed"], outcome["refused"]) == (2, 2, 2)
    assert outcome["failures"] == [{"id": None, "key": key, "reason": "user not found"} for key in (NOBODY, elsewhere)]
    blacklisted = [(await me.user(key))["blacklisted"] for key in (one, two, other, elsewhere)]
    assert blacklisted == [True, True, False, False]


async def test_a_dry_run_counts_and_changes_nothing(api: Api, me: Developer) -> None:
    project, _ = await crowd(api, me, 3)
    before = await listed(me, project)
    events = done(await me.get(f"/projects/{project}/events?limit=1000"))["events"]
    body = {"filter": {"note": "user 1"}, "remove": {}}
    tried = await bulk_call(me, project, body, dry_run="true")
    assert tried.pop("dry_run") is True
    assert (tried["matched"], tried["changed"]) == (4, 4)
    assert await listed(me, project) == before
    assert done(await me.get(f"/projects/{project}/events?limit=1000"))["events"] == events
    assert await bulk_call(me, project, body) == tried
    assert len(await listed(me, project)) == len(before) - 4


async def test_sessions_of_those_who_are_stopped_end(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    keys = [await me.new_user(project) for _ in range(3)]
    wires = [
        await (await client.execute(key=key, fingerprint=f"device {number}")).session()
        for number, key in enumerate(keys)
    ]
    await bulk_call(me, project, {"users": [keys[0]], "remove": {}})
    assert await wires[0].stopped() == "KEY_NOT_FOUND"
    await bulk_call(me, project, {"users": keys[1:], "blacklist": {}})
    assert [await wire.stopped() for wire in wires[1:]] == ["BLACKLISTED", "BLACKLISTED"]


async def test_sessions_end_where_too_many_change_to_be_told_one_by_one(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_TOLD_ONE_BY_ONE", 1)
    client = await api.running_script(project)
    keys = [await me.new_user(project) for _ in range(2)]
    wires = [
        await (await client.execute(key=key, fingerprint=f"device {number}")).session()
        for number, key in enumerate(keys)
    ]
    await bulk_call(me, project, {"users": keys, "edit": {"key_expires": PAST}})
    assert [await wire.stopped() for wire in wires] == ["KEY_EXPIRED", "KEY_EXPIRED"]


async def test_more_than_the_bound_are_refused_by_its_number(
    me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(await me.post(f"/projects/{project}/users", {"amount": 3, "note": "x"}))
    body = {"filter": {"note": "x"}, "remove": {}}
    monkeypatch.setattr(bulk, "MOST_USERS", 2)
    answer = await me.post(f"/projects/{project}/users/bulk", body)
    refused(answer, 409, 1, "too many users matched", limit=2)
    assert len(await listed(me, project)) == 3
    monkeypatch.setattr(bulk, "MOST_USERS", 3)
    assert (await bulk_call(me, project, body))["changed"] == 3


async def test_twenty_failures_are_shown_and_all_are_counted(me: Developer, project: str) -> None:
    done(await me.post(f"/projects/{project}/users", {"amount": 30}))
    outcome = await bulk_call(me, project, {"filter": {"all": True}, "extend": {"days": 1}})
    assert (outcome["matched"], outcome["changed"], outcome["refused"], len(outcome["failures"])) == (30, 0, 30, 20)


async def test_keys_of_failures_are_masked_for_those_who_may_not_see_them(
    api: Api, me: Developer, project: str, key: str
) -> None:
    token = await api.token(me.account, permissions=(Permission.KEYS_READ, Permission.KEYS_WRITE))
    helper = Developer(me.account, token, me.http)
    outcome = await bulk_call(helper, project, {"filter": {"all": True}, "unblacklist": {}})
    assert outcome["failures"][0]["key"] == f"{key[:4]}…{key[-4:]}"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"remove": {}}, {"filter"}),
        ({"filter": {"all": True}, "users": ["x"], "remove": {}}, {"filter"}),
        ({"filter": {}, "remove": {}}, {"filter"}),
        ({"filter": {"all": False}, "remove": {}}, {"filter"}),
        ({"filter": {"all": True, "note": "x"}, "remove": {}}, {"filter"}),
        ({"filter": {"state": "expired", "expired": False}, "remove": {}}, {"filter.expired"}),
        ({"filter": {"colour": "red"}, "remove": {}}, {"filter.colour"}),
        ({"users": [], "remove": {}}, {"users"}),
        ({"users": ["x", "x"], "remove": {}}, {"users"}),
        ({"users": ["x"] * 1001, "remove": {}}, {"users"}),
        ({"users": ["x"]}, {"extend"}),
        ({"users": ["x"], "remove": {}, "unblacklist": {}}, {"remove"}),
        ({"users": ["x"], "extend": {}}, {"extend.days"}),
        ({"users": ["x"], "extend": {"days": 0}}, {"extend.days"}),
        ({"users": ["x"], "edit": {}}, {"edit"}),
        ({"users": ["x"], "edit": {"discord_id": "5"}}, {"edit.discord_id"}),
        ({"users": ["x"], "edit": {"key_days": 0, "note": 5}}, {"edit.key_days", "edit.note"}),
        ({"users": ["x"], "blacklist": {"expires": 5}}, {"blacklist.expires"}),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_place(
    me: Developer, project: str, body: Any, fields: set[str]
) -> None:
    assert set(invalid(await me.post(f"/projects/{project}/users/bulk", body))) == fields


async def test_an_expired_account_changes_nobody(api: Api, me: Developer, project: str, key: str) -> None:
    await api.expire(me)
    refused(
        await me.post(f"/projects/{project}/users/bulk", {"filter": {"all": True}, "remove": {}}),
        403,
        0,
        "account expired",
    )
    assert (await me.user(key))["key"] == key
