"""Finding users: by part of a key or note, by executor and state, in order and counted."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.licensing.roles import Permission
from moonlatch.storage import user_lists
from support.management import Api, Developer, done, invalid

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAST = 1_600_000_000_000


async def found(me: Developer, project: str, **query: Any) -> list[str]:
    """The notes of a page."""
    reply = done(await me.get(f"/projects/{project}/users", params=query))
    return [user["note"] for user in reply["users"]]


async def people(api: Api, me: Developer, project: str) -> None:
    """Ada and Bob, who used their keys, Cid, whose time is over, Dan, who is blacklisted, and Eve, who is new."""
    client = await api.running_script(project)
    rows: list[dict[str, Any]] = [
        {"note": "Ada 100%_done"},
        {"note": "Bob", "key_expires": api.clock() + 3 * DAY_MS},
        {"note": "Cid", "key_expires": api.clock() + 2 * DAY_MS, "discord_id": "9"},
        {"note": "Dan", "key_days": 4},
        {"note": "Eve", "key_expires": api.clock() + DAY_MS},
    ]
    for number, row in enumerate(rows):
        api.clock.ahead_ms = number
        key = await me.new_user(project, key=f"hub-{row['note'][0]}_{project[:16]}-{row['note'][0]}-end", **row)
        if row["note"] != "Eve":
            await client.execute(key=key, fingerprint=f"device {number}", executor="Delta" if number % 2 else "Codex")
        if row["note"] == "Cid":
            done(await me.post(f"/users/{key}/edit", {"key_expires": PAST}))
        if row["note"] == "Dan":
            done(await me.post(f"/users/{key}/blacklist", {}))


async def test_every_condition_finds_whom_it_says(api: Api, me: Developer, project: str) -> None:
    await people(api, me, project)
    other = await me.new_project()
    await me.new_user(other, note="Ada", key=f"hub-A_{other[:16]}-A-end")
    everybody = ["Ada 100%_done", "Bob", "Cid", "Dan", "Eve"]
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, everybody),
        ({"key_starts": "hub-A"}, ["Ada 100%_done"]),
        ({"key_starts": "HUB"}, []),
        ({"key_starts": "hub-B_" + project[:16] + "-B-end"}, ["Bob"]),
        ({"key_ends": "D-end"}, ["Dan"]),
        ({"key_ends": "end", "key_starts": "hub-E"}, ["Eve"]),
        ({"note_contains": "aDA"}, ["Ada 100%_done"]),
        ({"note_contains": "%_"}, ["Ada 100%_done"]),
        ({"note_contains": "%"}, ["Ada 100%_done"]),
        ({"note_contains": "__"}, []),
        ({"discord_id": "9"}, ["Cid"]),
        ({"executor": "Delta"}, ["Bob", "Dan"]),
        ({"executor": "delta"}, []),
        ({"state": "active"}, ["Ada 100%_done", "Bob", "Eve"]),
        ({"state": "expired"}, ["Cid"]),
        ({"state": "blacklisted"}, ["Dan"]),
        ({"state": "unused"}, ["Eve"]),
        ({"state": "active", "executor": "Delta"}, ["Bob"]),
        ({"order": "created"}, everybody),
        ({"order": "created", "reverse": "true"}, everybody[::-1]),
        ({"reverse": "true", "limit": 1}, ["Eve"]),
        ({"order": "expires", "limit": 3}, ["Cid", "Eve", "Bob"]),
        ({"order": "expires", "reverse": "true", "from": 1}, ["Dan", "Bob", "Eve", "Cid"]),
        ({"order": "expires", "state": "unused"}, ["Eve"]),
        ({"order": "expires", "executor": "Codex"}, ["Cid", "Ada 100%_done"]),
        ({"order": "created", "state": "expired"}, ["Cid"]),
    ]
    for query, expected in cases:
        assert await found(me, project, **query) == expected, query


@pytest.mark.parametrize("part", [{"key_starts": "hub"}, {"key_ends": "end"}])
async def test_pages_of_a_part_of_a_key_hold_everybody_once(
    api: Api, me: Developer, project: str, part: dict[str, str]
) -> None:
    await people(api, me, project)
    pages = [await found(me, project, **part, limit=2, **{"from": start}) for start in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 1]
    everybody = [*pages[0], *pages[1], *pages[2]]
    assert sorted(everybody) == ["Ada 100%_done", "Bob", "Cid", "Dan", "Eve"]
    assert await found(me, project, **part, reverse="true") == everybody[::-1]


async def test_a_part_longer_than_what_is_coded_is_compared_with_the_keys(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = "My-Hub-Premium-2026-"
    for note in ("one", "two", "three"):
        await me.new_user(project, key=f"{begin}{note}-{project[:16]}-{begin}", note=note)
    assert sorted(await found(me, project, key_starts=begin)) == ["one", "three", "two"]
    assert sorted(await found(me, project, key_starts=begin + "t")) == ["three", "two"]
    assert await found(me, project, key_starts=begin + "t", key_ends=f"wo-{project[:16]}-{begin}") == ["two"]
    assert len(await found(me, project, key_starts=begin + "t", **{"from": 1})) == 1
    where = f"/projects/{project}/users?count=true&key_starts={begin}t"
    assert done(await me.get(where))["total"] == 2
    monkeypatch.setattr(user_lists, "MAX_UNSEALED", 2)
    for begin_twice in (begin, begin + "t"):
        reply = invalid(await me.get(where.replace(begin + "t", begin_twice)))
        assert "give another condition too" in reply["key_starts"][0]
    bulk = {"filter": {"key_starts": begin}, "remove": {}}
    assert list(invalid(await me.post(f"/projects/{project}/users/bulk", bulk))) == ["filter"]
    assert (await me.get(where + "&note=two")).status_code == 200


async def test_users_without_an_end_come_last_by_expiry(api: Api, me: Developer, project: str) -> None:
    for note, end in (("never", None), ("late", 2 * DAY_MS), ("soon", DAY_MS)):
        await me.new_user(project, note=note, key_expires=None if end is None else api.clock() + end)
    assert await found(me, project, order="expires") == ["soon", "late", "never"]
    assert await found(me, project, order="expires", reverse="true") == ["never", "late", "soon"]


async def test_the_total_is_that_of_all_pages(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people(api, me, project)
    where = f"/projects/{project}/users"
    reply = done(await me.get(f"{where}?limit=2&count=true"))
    assert (len(reply["users"]), reply["total"], reply["total_is_exact"]) == (2, 5, True)
    for query, total in (("state=active", 3), ("executor=Delta", 2), ("note_contains=a", 2), ("key_ends=end", 5)):
        assert done(await me.get(f"{where}?limit=1&count=true&{query}"))["total"] == total, query
    without = done(await me.get(where))
    assert (without["total"], without["total_is_exact"]) == (None, None)
    monkeypatch.setattr(user_lists, "MAX_COUNTED", 2)
    counted = done(await me.get(f"{where}?count=true&state=active"))
    assert (counted["total"], counted["total_is_exact"]) == (2, False)
    assert done(await me.get(f"{where}?count=true"))["total"] == 5


async def test_users_are_counted_by_state_in_one_call(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people(api, me, project)
    states = ("active", "expired", "blacklisted", "held", "unused")
    listed = {state: done(await me.get(f"/projects/{project}/users?state={state}"))["users"] for state in states}
    counts = done(await me.get(f"/projects/{project}/users/counts"))["counts"]
    assert counts == {state: {"users": len(users), "is_exact": True} for state, users in listed.items()}
    assert counts["active"]["users"] == 3
    monkeypatch.setattr(user_lists, "MAX_COUNTED", 2)
    counts = done(await me.get(f"/projects/{project}/users/counts"))["counts"]
    assert counts["active"] == {"users": 2, "is_exact": False}


async def test_every_wrong_search_is_listed(me: Developer, project: str) -> None:
    query = (
        f"key_starts=ab&key_ends=%25%25%25&note_contains={'x' * 256}&executor={'x' * 256}&state=gone&order=name"
        "&reverse=1&count=yes"
    )
    assert set(invalid(await me.get(f"/projects/{project}/users?{query}"))) == {
        *("key_starts", "key_ends", "note_contains", "executor", "state", "order", "reverse", "count")
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=active&expired=true", "expired"),
        ("state=active&blacklisted=false", "blacklisted"),
        ("key_starts=abc&order=created", "order"),
        ("key_ends=abc&order=expires", "order"),
    ],
)
async def test_what_excludes_each_other_is_refused(me: Developer, project: str, query: str, field: str) -> None:
    assert list(invalid(await me.get(f"/projects/{project}/users?{query}"))) == [field]


@pytest.mark.parametrize("part", ["key_starts", "key_ends"])
async def test_whoever_may_not_see_keys_cannot_find_one_character_by_character(
    api: Api, me: Developer, project: str, key: str, part: str
) -> None:
    token = await api.token(me.account, permissions=(Permission.KEYS_READ, Permission.KEYS_WRITE))
    helper = Developer(me.account, token, me.http)
    value = key[:3] if part == "key_starts" else key[-3:]
    bulk = {"filter": {part: value}, "unblacklist": {}}
    for reply in (
        await helper.get(f"/projects/{project}/users", params={part: value}),
        await helper.post(f"/projects/{project}/users/bulk?dry_run=true", bulk),
    ):
        assert reply.status_code == 403
        assert reply.json()["error"]["failed"] == ["this needs the permission keys:reveal"]
    assert len(await found(me, project, **{part: value})) == 1
