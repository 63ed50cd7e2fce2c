"""Webhook endpoints by the API: made, changed, shown without their secrets, tested, and their deliveries sent again."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.operations.endpoints import MAX_ENDPOINTS_PER_PROJECT
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "https://receiver.invalid/hook?key=sesame"
DISCORD = "https://discord.com/api/webhooks/123456789/very-secret_token"
SINCE = 1_700_000_000_000


async def made(me: Developer, project: str, **fields: Any) -> Any:
    return done(await me.post(f"/projects/{project}/endpoints", {"url": URL, **fields}))


async def test_an_endpoint_is_made_shown_and_listed_without_its_secrets(me: Developer, project: str) -> None:
    reply = await made(me, project, name="Bot", events=["user.blacklisted"], executions="each")
    endpoint = reply["endpoint"]
    assert reply["secret"].startswith("whsec_")
    assert {name: endpoint[name] for name in ("name", "kind", "url", "events", "executions", "enabled", "field")} == {
        "name": "Bot",
        "kind": "standard",
        "url": "https://receiver.invalid/hook?…",
        "events": ["user.blacklisted"],
        "executions": "each",
        "enabled": True,
        "field": None,
    }
    assert done(await me.get(f"/endpoints/{endpoint['id']}"))["endpoint"] == endpoint
    listed = await me.get(f"/projects/{project}/endpoints")
    assert endpoint in done(listed)["endpoints"]
    events = await me.get(f"/projects/{project}/events")
    assert "sesame" not in listed.text + events.text
    assert reply["secret"] not in listed.text + events.text


async def test_neither_url_nor_secret_is_kept_in_clear(api: Api, me: Developer, project: str) -> None:
    reply = await made(me, project, url=DISCORD)
    assert (reply["endpoint"]["kind"], reply["endpoint"]["url"]) == (
        "discord",
        "https://discord.com/api/webhooks/123456789/…",
    )
    for column in ("url", "secret", "shown_url"):
        kept = await api.value(f"select {column} from endpoints where id = :id", id=reply["endpoint"]["id"])
        for secret in ("very-secret_token", reply["secret"]):
            assert secret.encode() not in (kept if isinstance(kept, bytes) else kept.encode())


@pytest.mark.parametrize(
    "url", ["ftp://receiver.invalid/", "https://user:pw@receiver.invalid/", "https://käse.invalid/", "x"]
)
async def test_a_url_that_nobody_could_call_is_refused(me: Developer, project: str, url: str) -> None:
    assert "url" in invalid(await me.post(f"/projects/{project}/endpoints", {"url": url}))
    assert "execution_webhook" in invalid(await me.post(f"/projects/{project}/edit", {"execution_webhook": url}))


async def test_an_endpoint_is_edited(me: Developer, project: str) -> None:
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    etag = (await me.get(path)).headers["etag"]
    changes = {"name": "New", "url": DISCORD, "events": "", "executions": "counts", "enabled": False}
    edited = await me.post(f"{path}/edit", changes, headers={"If-Match": etag})
    assert {**done(edited)["endpoint"], "created_at": 0} == {
        **endpoint,
        "name": "New",
        "kind": "discord",
        "url": "https://discord.com/api/webhooks/123456789/…",
        "events": None,
        "executions": "counts",
        "enabled": False,
        "created_at": 0,
    }
    assert (await me.post(f"{path}/edit", {"name": "x"}, headers={"If-Match": etag})).status_code == 412
    refused(await me.post(f"{path}/edit", {}), 400, 1, "cannot edit nothing")
    assert set(invalid(await me.post(f"{path}/edit", {"executions": "all", "events": ["x.y"]}))) >= {"executions"}


async def test_a_secret_is_rotated_and_shown_once(me: Developer, project: str) -> None:
    reply = await made(me, project)
    path = f"/endpoints/{reply['endpoint']['id']}"
    again = done(await me.post(f"{path}/rotate_secret", {}))
    assert again["secret"] != reply["secret"]
    assert again["endpoint"]["previous_secret_until"] > again["endpoint"]["created_at"]


async def test_a_project_has_so_many_endpoints_and_no_more(me: Developer) -> None:
    project = await me.new_project()
    for _ in range(MAX_ENDPOINTS_PER_PROJECT):
        await made(me, project)
    refused(await me.post(f"/projects/{project}/endpoints", {"url": URL}), 403, 1, "max endpoints reached")


async def test_a_test_is_a_delivery_that_can_be_looked_up(me: Developer, project: str) -> None:
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    delivery = done(await me.post(f"{path}/test", {}))["delivery"]
    assert (delivery["kind"], delivery["state"], delivery["attempts"]) == ("endpoint.test", "waiting", 0)
    assert done(await me.get(f"/deliveries/{delivery['id']}")) == {
        "success": True,
        "delivery": delivery,
        "attempts": [],
    }
    for state, found in (("", [delivery]), ("waiting", [delivery]), ("failed", []), ("delivered", [])):
        listed = done(await me.get(f"{path}/deliveries", params={"state": state}))
        assert (listed["deliveries"], listed["next"]) == (found, None)


async def test_pages_of_deliveries_follow_each_other(me: Developer, project: str) -> None:
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    ids = [done(await me.post(f"{path}/test", {}))["delivery"]["id"] for _ in range(3)]
    first = done(await me.get(f"{path}/deliveries", params={"limit": "2"}))
    rest = done(await me.get(f"{path}/deliveries", params={"limit": "2", "cursor": first["next"]}))
    assert [each["id"] for each in first["deliveries"] + rest["deliveries"]] == ids[::-1]


async def test_deliveries_are_sent_again(api: Api, me: Developer, project: str) -> None:
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    ids = [done(await me.post(f"{path}/test", {}))["delivery"]["id"] for _ in range(3)]
    await api.change("update deliveries set next_at = null, step = 9 where endpoint_id = :id", id=endpoint["id"])
    await api.change("update deliveries set delivered_at = 5 where id = :id", id=ids[0])
    assert done(await me.post(f"/deliveries/{ids[0]}/replay", {}))["delivery"]["state"] == "waiting"
    assert done(await me.post(f"{path}/replay", {"deliveries": [ids[1], NOBODY]}))["replayed"] == 1
    assert done(await me.post(f"{path}/replay", {"failed_since": SINCE}))["replayed"] == 1
    waiting = done(await me.get(f"{path}/deliveries", params={"state": "waiting"}))["deliveries"]
    assert [each["id"] for each in waiting] == ids[::-1]
    for body in ({}, {"deliveries": ids, "failed_since": SINCE}):
        assert "body" in invalid(await me.post(f"{path}/replay", body))


async def test_nothing_is_sent_to_one_that_is_switched_off(me: Developer, project: str) -> None:
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    delivery = done(await me.post(f"{path}/test", {}))["delivery"]["id"]
    done(await me.post(f"{path}/edit", {"enabled": False}))
    assert done(await me.get(f"/deliveries/{delivery}"))["delivery"]["state"] == "failed"
    for where, body in (
        (f"{path}/test", {}),
        (f"{path}/replay", {"failed_since": SINCE}),
        (f"/deliveries/{delivery}/replay", {}),
    ):
        refused(await me.post(where, body), 409, 1, "endpoint is disabled")


async def test_the_projects_settings_are_endpoints(me: Developer) -> None:
    project = await me.new_project()
    path = f"/projects/{project}"
    settings = {"execution_webhook": DISCORD, "information_webhook": URL, "blacklist_webhook": URL}
    assert done(await me.post(f"{path}/edit", settings))["project"]["execution_webhook"] == DISCORD
    found = {each["field"]: each for each in done(await me.get(f"{path}/endpoints"))["endpoints"]}
    assert set(found) == set(settings)
    assert (found["execution_webhook"]["kind"], found["execution_webhook"]["executions"]) == ("discord", "each")
    assert found["blacklist_webhook"]["events"] == ["user.blacklisted", "user.unblacklisted"]
    done(await me.post(f"{path}/edit", {"execution_webhook": URL}))
    done(await me.post(f"/endpoints/{found['information_webhook']['id']}/edit", {"url": DISCORD}))
    done(await me.post(f"/endpoints/{found['blacklist_webhook']['id']}/remove", {}))
    now = await me.project(project)
    assert [now[name] for name in settings] == [URL, DISCORD, None]
    changed = done(await me.get(f"/endpoints/{found['execution_webhook']['id']}"))["endpoint"]
    assert changed["kind"] == "standard"
    done(await me.post(f"{path}/edit", dict.fromkeys(settings, "")))
    assert done(await me.get(f"{path}/endpoints"))["endpoints"] == []


async def test_an_expired_account_changes_no_endpoint(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    endpoint = (await made(me, project, events=[]))["endpoint"]
    path = f"/endpoints/{endpoint['id']}"
    delivery = done(await me.post(f"{path}/test", {}))["delivery"]["id"]
    await api.expire(me)
    for where, body in (
        (f"/projects/{project}/endpoints", {"url": URL}),
        (f"{path}/edit", {"name": "x"}),
        (f"{path}/rotate_secret", {}),
        (f"{path}/test", {}),
        (f"{path}/replay", {"failed_since": SINCE}),
        (f"/deliveries/{delivery}/replay", {}),
    ):
        refused(await me.post(where, body), 403, 0, "account expired")
    done(await me.post(f"{path}/remove", {}))


async def test_every_change_leaves_its_event_once(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    same = {"Idempotency-Key": "once"}
    first = await me.post(f"/projects/{project}/endpoints", {"url": URL, "events": []}, headers=same)
    again = await me.post(f"/projects/{project}/endpoints", {"url": URL, "events": []}, headers=same)
    assert first.json() == again.json()
    endpoint = done(first)["endpoint"]["id"]
    for action, body in (
        ("edit", {"url": DISCORD}),
        ("rotate_secret", {}),
        ("test", {}),
        ("replay", {"failed_since": SINCE}),
        ("remove", {}),
    ):
        done(await me.post(f"/endpoints/{endpoint}/{action}", body))
    events = done(await me.get(f"/projects/{project}/events"))["events"]
    assert [event["kind"] for event in events[::-1]] == [
        "project.created",
        "endpoint.created",
        "endpoint.edited",
        "endpoint.secret_rotated",
        "endpoint.tested",
        "endpoint.replayed",
        "endpoint.removed",
    ]
    assert events[-3]["changes"]["url"] == ["receiver.invalid/…", "discord.com/…"]
