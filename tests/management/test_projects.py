"""The project endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_new_project_has_the_documented_fields_and_defaults(me: Developer) -> None:
    project = await me.new_project("My game")
    assert await me.project(project) == {
        "id": project,
        "name": "My game",
        "fingerprint_reset_cooldown": DAY_MS,
        "allow_fingerprint_resets": True,
        "delete_expired_users": False,
        "execution_webhook": None,
        "information_webhook": None,
        "blacklist_webhook": None,
        "engine": "embedded",
        "luraph_options": {},
        "require_fingerprint": True,
        "max_instances": None,
        "sharing": {
            "devices": {"limit": 5, "action": "signal"},
            "networks_a_day": {"limit": 10, "action": "signal"},
            "starts_an_hour": {"limit": 120, "action": "signal"},
            "seconds_between_devices": {"limit": None, "action": "signal"},
            "starts_without_fingerprint": {"limit": None, "action": "signal"},
            "hooked_starts": {"limit": 0, "action": "signal"},
            "hold_hours": None,
        },
        "max_devices": 1,
        "total_executions": 0,
    }


@pytest.mark.parametrize("required", [True, False])
async def test_a_project_may_be_made_to_ask_for_no_devices(me: Developer, required: bool) -> None:
    reply = done(await me.post("/projects", {"name": "New", "require_fingerprint": required}))
    assert reply["project"]["require_fingerprint"] is required
    assert await me.project(reply["project"]["id"]) == reply["project"]
    assert set(invalid(await me.post("/projects", {"name": "New", "require_fingerprint": None}))) == {
        "require_fingerprint"
    }


async def test_only_ones_own_projects_are_listed_in_pages(api: Api, me: Developer) -> None:
    await (await api.developer()).new_project("Somebody else's")
    ids = []
    for number in range(3):
        api.clock.ahead_ms = number
        ids.append(await me.new_project())
    for query in ("", "?from=&limit=", "?limit=1000"):
        assert [each["id"] for each in done(await me.get(f"/projects{query}"))["projects"]] == ids
    assert [each["id"] for each in done(await me.get("/projects?from=2&limit=1"))["projects"]] == ids[2:]


@pytest.mark.parametrize("query", ["from=-1&limit=0", "from=99999999999999999999999&limit=1001", "from=x&limit=1.5"])
async def test_impossible_pages_are_refused(me: Developer, query: str) -> None:
    assert set(invalid(await me.get(f"/projects?{query}"))) == {"from", "limit"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"fingerprint_reset_cooldown": 0},
        {"allow_fingerprint_resets": False, "delete_expired_users": True},
        {"execution_webhook": "https://hooks.example.com/a?b=c", "information_webhook": "http://127.0.0.1:9000/"},
        {"blacklist_webhook": "https://[2001:db8::1]/x"},
        {"engine": "luraph", "luraph_options": {"TARGET_VERSION": "Luau", "INTENSE": True}},
        {"luraph_options": {}},
        {"require_fingerprint": False},
        {"max_instances": 3},
    ],
)
async def test_an_edit_changes_what_is_given_and_replies_with_the_project(
    me: Developer, project: str, change: Any
) -> None:
    expected = await me.project(project) | change
    assert done(await me.post(f"/projects/{project}/edit", change)) == {"success": True, "project": expected}
    assert await me.project(project) == expected


async def test_an_empty_webhook_removes_it(me: Developer, project: str) -> None:
    await me.post(f"/projects/{project}/edit", {"execution_webhook": "https://hooks.example.com/"})
    await me.post(f"/projects/{project}/edit", {"execution_webhook": ""})
    assert (await me.project(project))["execution_webhook"] is None


async def test_an_empty_limit_of_copies_is_none(me: Developer, project: str) -> None:
    await me.post(f"/projects/{project}/edit", {"max_instances": 1})
    done(await me.post(f"/projects/{project}/edit", {"max_instances": ""}))
    assert (await me.project(project))["max_instances"] is None


async def test_editing_nothing_is_code_1(me: Developer, project: str) -> None:
    refused(await me.post(f"/projects/{project}/edit", {"name": None}), 400, 1, "cannot edit nothing")


async def test_every_wrong_field_of_an_edit_is_listed(me: Developer, project: str) -> None:
    body = {
        "name": "x" * 101,
        "fingerprint_reset_cooldown": -1,
        "allow_fingerprint_resets": "",
        "delete_expired_users": "no",
        "execution_webhook": "ftp://example.com",
        "information_webhook": "https://",
        "blacklist_webhook": 7,
        "engine": "",
        "luraph_options": [],
        "require_fingerprint": 1,
        "max_instances": 0,
        "total_executions": 5,
    }
    assert set(invalid(await me.post(f"/projects/{project}/edit", body))) == set(body)


@pytest.mark.parametrize("options", [{"A": 5}, {"A": None}, {"": True}, {"A": "x" * 1001}, {"x" * 101: True}])
async def test_impossible_luraph_options_are_refused(me: Developer, project: str, options: Any) -> None:
    failed = invalid(await me.post(f"/projects/{project}/edit", {"luraph_options": options}))
    assert len(failed) == 1
    assert all(name.startswith("luraph_options.") for name in failed)
    numbers = {"luraph_options": {"A": 5, "B": True}}
    assert invalid(await me.post(f"/projects/{project}/edit", numbers)) == {
        "luraph_options.A": ["must be a string or a boolean"]
    }
    too_many = {"luraph_options": {str(number): True for number in range(101)}}
    assert list(invalid(await me.post(f"/projects/{project}/edit", too_many))) == ["luraph_options"]


async def test_an_expired_account_cannot_create_or_edit(api: Api, me: Developer, project: str) -> None:
    await api.expire(me)
    refused(await me.post(f"/projects/{project}/edit", {}), 403, 0, "account expired")
    refused(await me.post("/projects", {"name": "New"}), 403, 0, "account expired")
    assert (await me.get("/projects")).status_code == 200


async def test_a_tier_bounds_the_projects(api: Api) -> None:
    me = await api.developer(tier="free")
    project = await me.new_project()
    refused(await me.post("/projects", {"name": "Second"}), 403, 1, "max projects reached")
    await me.post(f"/projects/{project}/remove")
    assert (await me.post("/projects", {"name": "Second"})).status_code == 200


async def test_a_removed_project_is_gone_with_all_that_was_in_it(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project)
    client = await api.running_script(project)
    wire = await api.session(client, key=key)
    assert (await me.post(f"/projects/{project}/remove")).json() == {"success": True}
    assert await wire.stopped() == "SCRIPT_NOT_FOUND"
    for path in (f"/projects/{project}", f"/scripts/{client.script}", f"/users/{key}", f"/sessions/{wire.id}"):
        assert (await me.get(path)).status_code == 404


async def test_executions_are_counted_in_all_and_per_script(api: Api, me: Developer, project: str, key: str) -> None:
    kept, removed = await api.running_script(project, name="Kept"), await api.running_script(project, name="Removed")
    unused = await me.new_script(project, name="Unused")
    for client in (kept, removed, removed):
        await client.execute(key=key)
    await me.post(f"/scripts/{removed.script}/remove")
    executions = done(await me.get(f"/projects/{project}/executions"))["executions"]
    assert set(executions) == {"total", f"Kept - {kept.script}", f"Unused - {unused}"}
    assert {name: sum(days.values()) for name, days in executions.items()} == {
        "total": 3,
        f"Kept - {kept.script}": 1,
        f"Unused - {unused}": 0,
    }
    assert {len(days) for days in executions.values()} == {30}
    assert (await me.project(project))["total_executions"] == 3


async def test_executors_are_counted_the_most_used_first(api: Api, me: Developer, project: str, key: str) -> None:
    kept, removed = await api.running_script(project), await api.running_script(project)
    for client, executor in ((kept, "Delta"), (removed, "Wave"), (kept, "Wave"), (removed, "Codex")):
        await client.execute(key=key, executor=executor)
    for _ in range(2):
        executors = done(await me.get(f"/projects/{project}/executors"))["executors"]
        assert list(executors.items()) == [("Wave", 2), ("Codex", 1), ("Delta", 1)]
        await me.post(f"/scripts/{removed.script}/remove")
