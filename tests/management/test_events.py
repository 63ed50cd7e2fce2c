"""Who did what: every change leaves its event, and the events can be read by those who may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from moonlatch.jobs.retention import events_kept, remove_old
from moonlatch.storage.interface import StorageError
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def events(me: Developer, path: str = "/events", **query: Any) -> list[Any]:
    return done(await me.get(path, params=query))["events"]


async def kinds(me: Developer, **query: Any) -> list[str]:
    return [event["kind"] for event in await events(me, **query)]


async def test_a_change_leaves_its_event_with_actor_resource_and_differences(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project("First")
    reply = await me.post(f"/projects/{project}/edit", {"name": "Second", "execution_webhook": "https://d.test/secret"})
    done(reply)
    edited, created = await events(me)
    assert (created["kind"], created["resource"]) == (
        "project.created",
        {"kind": "project", "id": project, "label": "First"},
    )
    assert edited["kind"] == "project.edited"
    assert edited["changes"] == {"name": ["First", "Second"], "execution_webhook": [None, "d.test/…"]}
    assert edited["actor"]["kind"] == "token"
    assert edited["actor"]["address"] == "127.0.0.1"
    assert edited["request_id"] == reply.headers["x-request-id"]
    assert edited["project_id"] == project


async def test_what_is_refused_or_only_tried_leaves_no_event(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    refused(await me.post(f"/projects/{project}/edit", {}), 400, 1, "cannot edit nothing")
    assert done(await me.post("/projects", {"name": "Tried"}, params={"dry_run": "true"}))["dry_run"] is True
    assert await kinds(me) == ["project.created"]
    assert [each["name"] for each in done(await me.get("/projects"))["projects"]] == ["My game"]


async def test_events_are_filtered_and_paged(api: Api) -> None:
    me = await api.developer()
    one, other = await me.new_project("One"), await me.new_project("Other")
    for name in ("a", "b", "c"):
        done(await me.post(f"/projects/{one}/edit", {"name": name}))
        api.clock.ahead_ms += 10
    assert len(await events(me, resource=one)) == 4
    assert await kinds(me, resource=other) == ["project.created"]
    assert await kinds(me, kind="project.created") == ["project.created"] * 2
    assert len(await events(me, f"/projects/{one}/events")) == 4
    actor = (await events(me))[0]["actor"]["id"]
    assert len(await events(me, actor=actor)) == 5
    assert await events(me, actor=NOBODY) == []
    newest = (await events(me))[0]["at"]
    assert len(await events(me, since=newest)) == 1
    assert len(await events(me, until=newest)) == 4
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = done(await me.get("/events", params={"limit": 2, "cursor": cursor}))
        seen += [event["id"] for event in page["events"]]
        cursor = page["next"]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5


async def test_events_are_exported_a_line_each(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    done(await me.post(f"/projects/{project}/edit", {"name": "Two"}))
    reply = await me.get("/events", params={"format": "ndjson"})
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in reply.text.splitlines()] == await events(me)


async def test_nobody_reads_the_events_of_others(api: Api, me: Developer, project: str) -> None:
    stranger = await api.developer()
    assert await events(stranger) == []
    assert (await stranger.get(f"/projects/{project}/events")).status_code == 404


async def test_the_history_of_one_key_is_its_own_page(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    user, other = [await me.user(await me.new_user(project)) for _ in range(2)]
    done(await me.post(f"/users/{user['id']}/edit", {"note": "paid"}))
    done(await me.post(f"/users/{other['id']}/blacklist", {}))
    found = await events(me, f"/users/{user['key']}/events")
    assert [event["kind"] for event in found] == ["user.edited", "user.created"]
    assert found[0]["changes"] == {"note": [None, "paid"]}
    assert await events(me, f"/users/{user['id']}/events", kind="user.created") == found[1:]
    assert user["key"] not in str(found)
    reply = await me.get(f"/users/{user['id']}/events", params={"resource": other["id"]})
    assert set(invalid(reply)) == {"resource"}
    lines = await me.get(f"/users/{user['id']}/events", params={"format": "ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == found


async def test_wrong_filters_are_named(me: Developer) -> None:
    reply = await me.get("/events", params={"kind": "project.exploded", "limit": 0, "since": "soon"})
    assert set(invalid(reply)) == {"kind", "limit", "since"}


async def test_a_removed_project_leaves_its_events(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    done(await me.post(f"/projects/{project}/remove", {}))
    assert await kinds(me) == ["project.removed", "project.created"]


async def test_tokens_and_the_account_leave_events_without_secrets(api: Api) -> None:
    me = await api.developer()
    made = done(await me.post("/account/tokens", {"name": "bot"}))
    done(await me.post(f"/account/tokens/{made['token']['id']}/revoke", {}))
    done(await me.post(f"/account/tokens/{made['token']['id']}/revoke", {}))
    done(await me.post("/account/luraph", {"api_key": "a-secret-of-luraph"}))
    done(await me.post("/account/luraph", {"api_key": None}))
    assert await kinds(me) == [
        "account.luraph_key_cleared",
        "account.luraph_key_set",
        "token.revoked",
        "token.created",
    ]
    text = (await me.get("/events")).text
    assert made["secret"] not in text
    assert "a-secret-of-luraph" not in text


REPLACED = """
    insert or replace into events (id, account_id, at, kind, actor_kind, actor_id, actor_name, resource_kind, resource_id)
    select id, account_id, at, kind, actor_kind, actor_id, 'somebody else', resource_kind, resource_id from events
"""


async def test_an_event_is_never_changed_and_goes_only_when_its_time_is_over(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    with pytest.raises(StorageError):
        await api.change("update events set actor_name = 'somebody else' where resource_id = :id", id=project)
    with pytest.raises(StorageError):
        await api.change("delete from events where resource_id = :id", id=project)
    with pytest.raises(StorageError):
        await api.change(REPLACED if api.engine == "sqlite" else "truncate events")
    await remove_old(api.database, events_kept(1), now=api.clock())
    assert await kinds(me) == ["project.created"]
    await remove_old(api.database, events_kept(1), now=api.clock() + DAY_MS + 1)
    assert await events(me) == []


async def test_the_history_of_a_user_is_told_by_its_id_and_never_shows_the_key(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    key = await me.new_user(project, note="Ada")
    user = (await me.user(key))["id"]
    assert (await me.user(user))["key"] == key
    done(await me.post(f"/users/{user}/edit", {"note": "Ada L."}))
    done(await me.post(f"/users/{user}/blacklist", {"reason": "charge-back"}))
    done(await me.post(f"/users/{user}/unblacklist", {}))
    history = await events(me, resource=user)
    assert [(event["kind"], event["changes"]) for event in history] == [
        ("user.unblacklisted", {"blacklist_reason": ["charge-back", None]}),
        ("user.blacklisted", {"blacklist_reason": [None, "charge-back"], "blacklist_expires": [None, None]}),
        ("user.edited", {"note": ["Ada", "Ada L."]}),
        ("user.created", {}),
    ]
    assert {event["resource"]["label"] for event in history} == {f"{key[:4]}…{key[-4:]}"}
    assert key not in (await me.get("/events")).text


async def test_a_removed_user_leaves_events_without_what_identifies_it(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    user = (await me.user(await me.new_user(project, note="Ada")))["id"]
    done(await me.post(f"/users/{user}/edit", {"note": "Ada L."}))
    done(await me.post(f"/users/{user}/remove", {}))
    history = await events(me, resource=user)
    assert [event["kind"] for event in history] == ["user.removed", "user.edited", "user.created"]
    assert {(event["resource"]["label"], str(event["changes"])) for event in history} == {(None, "{}")}
