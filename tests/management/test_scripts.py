"""The script endpoints, as the user's specification has them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from moonlatch.clock import DAY_MS, utc_day
from moonlatch.licensing.tracing import strength
from support.client import Refused
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROKEN = "local x = \n"
SESSION_FIELDS = {"id", "user_key", "script_id", "roblox_id", "place_id", "job_id", "created_at", "executor", "build"}


async def test_a_new_script_is_as_it_was_asked_for_and_disabled(me: Developer, project: str) -> None:
    script = await me.new_script(project, name="Fishing", kick_outdated=True, require_sessions=True)
    assert await me.script(script) == {
        "id": script,
        "project_id": project,
        "name": "Fishing",
        "free_for_all": False,
        "use_heartbeat": True,
        "kick_outdated": True,
        "require_sessions": True,
        "enabled": False,
        "total_executions": 0,
        "total_sessions": 0,
        "total_instances": 0,
        "place_seconds": 0,
        "offline_days": 0,
        "report_errors": False,
        "mark_copies": False,
    }


async def test_ids_are_32_letters_and_digits(script: str) -> None:
    assert len(script) == 32
    assert script.isalnum()
    assert script.isascii()


async def test_scripts_are_listed_oldest_first_in_pages(api: Api, me: Developer, project: str) -> None:
    ids = []
    for number in range(3):
        api.clock.ahead_ms = number
        ids.append(await me.new_script(project))
    listed = done(await me.get(f"/projects/{project}/scripts"))["scripts"]
    assert [each["id"] for each in listed] == ids
    page = done(await me.get(f"/projects/{project}/scripts?from=1&limit=1"))["scripts"]
    assert [each["id"] for each in page] == ids[1:2]


async def test_running_copies_are_counted(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wire = await api.session(client, key=key)
    await client.execute(key=key)
    seen = await me.script(client.script)
    assert (seen["total_executions"], seen["total_sessions"], seen["total_instances"]) == (2, 1, 2)
    await wire.socket.close()


async def test_executions_cover_30_days_oldest_first_with_zeros(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    await client.execute(key=key)
    await client.execute(key=key)
    old = utc_day(api.clock() - 29 * DAY_MS)
    too_old = utc_day(api.clock() - 30 * DAY_MS)
    for day in (old, too_old):
        await api.change(
            "insert into execution_days (project_id, script_id, day, executor, executions)"
            " values (:project, :script, :day, 'x', 7)",
            project=project,
            script=client.script,
            day=day,
        )
    executions = done(await me.get(f"/scripts/{client.script}/executions"))["executions"]
    today = dt.datetime.now(dt.UTC)
    days = [(today - dt.timedelta(days=back)).strftime("%m/%d") for back in range(29, -1, -1)]
    assert list(executions) == days
    assert executions[days[0]] == 7
    assert executions[days[-1]] == 2
    assert sum(executions.values()) == 9


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"free_for_all": True},
        {"use_heartbeat": False},
        {"kick_outdated": True},
        {"require_sessions": True},
        {"place_seconds": 86_400},
        {"name": "Both", "use_heartbeat": False, "free_for_all": None},
    ],
)
async def test_an_edit_changes_what_is_given_and_nothing_else(me: Developer, script: str, change: Any) -> None:
    before = await me.script(script)
    assert (await me.post(f"/scripts/{script}/edit", change)).json() == {"success": True}
    assert await me.script(script) == before | {name: value for name, value in change.items() if value is not None}


@pytest.mark.parametrize("wrong", [-1, 86_401, 1.5, True, "60", [], 10**30])
async def test_a_place_lasts_a_day_at_most(me: Developer, project: str, script: str, wrong: Any) -> None:
    assert list(invalid(await me.post(f"/scripts/{script}/edit", {"place_seconds": wrong}))) == ["place_seconds"]
    new = {"name": "New", "place_seconds": wrong}
    assert list(invalid(await me.post(f"/projects/{project}/scripts", new))) == ["place_seconds"]
    assert (await me.script(script))["place_seconds"] == 0


@pytest.mark.parametrize("body", [{}, {"name": None, "free_for_all": None}])
async def test_editing_nothing_is_code_1(me: Developer, script: str, body: Any) -> None:
    refused(await me.post(f"/scripts/{script}/edit", body), 400, 1, "cannot edit nothing")


async def test_every_wrong_field_of_an_edit_is_listed(me: Developer, script: str) -> None:
    body = {"name": "", "free_for_all": "true", "use_heartbeat": 1, "kick_outdated": [], "colour": "red"}
    assert set(invalid(await me.post(f"/scripts/{script}/edit", body))) == set(body)


async def test_an_expired_account_cannot_change_a_script_but_can_read_it(api: Api, project: str, me: Developer) -> None:
    client = await api.running_script(project)
    await api.expire(me)
    for path, body in {
        f"/scripts/{client.script}/edit": {},
        f"/scripts/{client.script}/toggle": {"state": False},
        f"/scripts/{client.script}/update": {"script": BROKEN},
        f"/projects/{project}/scripts": {"name": "New"},
    }.items():
        refused(await me.post(path, body), 403, 0, "account expired")
    assert (await me.script(client.script))["enabled"] is True
    assert (await me.post(f"/scripts/{client.script}/sessions")).status_code == 200
    assert (await me.post(f"/scripts/{client.script}/remove")).status_code == 200


async def test_validation_comes_before_the_expiry_of_the_account(api: Api, me: Developer, script: str) -> None:
    await api.expire(me)
    assert "name" in invalid(await me.post(f"/scripts/{script}/edit", {"name": 5}))


async def test_free_for_all_needs_a_tier_that_allows_it(api: Api) -> None:
    me = await api.developer(tier="free")
    project = await me.new_project()
    script = await me.new_script(project)
    for path in (f"/scripts/{script}/edit", f"/projects/{project}/scripts"):
        body = {"name": "Free", "free_for_all": True}
        refused(await me.post(path, body), 403, 2, "tier does not allow ffa mode")
    assert (await me.post(f"/scripts/{script}/edit", {"free_for_all": False})).status_code == 200


async def test_a_tier_bounds_the_scripts_of_all_projects_together(api: Api) -> None:
    me = await api.developer(tier="tiny")
    one, other = await me.new_project(), await me.new_project()
    script = await me.new_script(one)
    await me.new_script(other)
    refused(await me.post(f"/projects/{one}/scripts", {"name": "Third"}), 403, 1, "max scripts reached")
    await me.post(f"/scripts/{script}/remove")
    assert (await me.post(f"/projects/{one}/scripts", {"name": "Third"})).status_code == 200


async def test_a_removed_script_is_gone_with_its_sessions_and_stays_counted(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    wire = await api.session(client, key=key)
    assert (await me.post(f"/scripts/{client.script}/remove")).json() == {"success": True}
    assert await wire.stopped() == "SCRIPT_NOT_FOUND"
    assert (await me.get(f"/scripts/{client.script}")).status_code == 404
    assert (await api.http.get(f"/loader/{client.script}")).status_code == 404
    assert (await me.project(project))["total_executions"] == 1


async def test_an_update_for_a_machine_tells_which_functions_stay_readable(me: Developer, script: str) -> None:
    source = "local function each(x)\n  return x + 1\nend\nfor i = 1, 3 do each(i) end"
    reply = done(await me.post(f"/scripts/{script}/update", {"script": source, "profile": "maximum"}))
    expected = [{"line": 1, "name": "main chunk", "part": "loops"}, {"line": 1, "name": "each", "part": "all"}]
    assert sorted(reply["readable"], key=lambda one: one["part"], reverse=True) == expected


async def test_an_update_publishes_builds_and_enables_the_script(me: Developer, script: str) -> None:
    first = done(await me.post(f"/scripts/{script}/update", {"script": "print('one')"}))
    sizes = {"source_bytes": len("print('one')"), "source_lines": 1, "payload_bytes": first["payload_bytes"]}
    assert first == {
        "success": True,
        "build": 1,
        "rollout": None,
        **sizes,
        "marks": None,
        "readable": [],
        "warnings": [],
    }
    assert (await me.script(script))["enabled"] is True
    assert done(await me.post(f"/scripts/{script}/update", {"script": "print('two')"}))["build"] == 2
    builds = done(await me.get(f"/scripts/{script}/builds"))["builds"]
    assert [(build["number"], build["current"]) for build in builds] == [(2, True), (1, False)]
    assert (builds[0]["source_bytes"], builds[0]["source_lines"]) == (len("print('two')"), 1)


async def test_an_update_of_a_script_with_marks_says_how_strong_they_are(api: Api, me: Developer, script: str) -> None:
    done(await me.post(f"/scripts/{script}/edit", {"mark_copies": True}))
    text = "local t = {}\n" + "".join(f"t.name_{number} = 'value {number}'\n" for number in range(40))
    marks = done(await me.post(f"/scripts/{script}/update", {"script": text, "profile": "standard"}))["marks"]
    places = await api.value("select places from templates where script_id = :id", id=script)
    assert marks == {"places": places, "traces": strength(places)}
    assert marks["traces"] >= 1
    empty = done(await me.post(f"/scripts/{script}/update", {"script": "print()", "profile": "minify"}))
    assert empty["marks"] == {"places": 0, "traces": 0}


async def test_a_broken_script_is_code_2_and_changes_nothing(me: Developer, script: str) -> None:
    await me.post(f"/scripts/{script}/update", {"script": "print('one')"})
    response = await me.post(f"/scripts/{script}/update", {"script": BROKEN})
    output = response.json()["error"]["parser_output"]
    refused(response, 422, 2, "script is invalid", parser_output=output)
    assert ":2: " in output
    long = (await me.post(f"/scripts/{script}/update", {"script": "1" * 100_000})).json()["error"]["parser_output"]
    assert long.startswith("script:1: "), (
        "a fault that quotes a token longer than all that is told is told all the same"
    )
    assert [each["number"] for each in done(await me.get(f"/scripts/{script}/builds"))["builds"]] == [1]


async def test_the_quota_ends_updates_with_code_1_and_counts_the_loader_with_code_4(api: Api) -> None:
    me = await api.developer(tier="tiny")
    script = await me.new_script(await me.new_project())
    await api.change("update accounts set obfuscations_used = 1 where id = :id", id=me.account.id)
    update = f"/scripts/{script}/update", {"script": "print(1)"}
    refused(await me.post(*update), 403, 4, "not enough obfuscations for init script")
    await api.change("update accounts set obfuscations_used = 0 where id = :id", id=me.account.id)
    assert (await me.post(*update)).status_code == 200
    refused(await me.post(*update), 403, 1, "max obfuscations reached")


async def test_no_build_time_ends_updates_with_code_6(api: Api) -> None:
    me = await api.developer(tier="free")
    script = await me.new_script(await me.new_project())
    await api.change("update accounts set build_ms_used = 1800000 where id = :id", id=me.account.id)
    for text in ("print(1)", "not lua"):
        refused(await me.post(f"/scripts/{script}/update", {"script": text}), 403, 6, "max build seconds reached")
    build_seconds = done(await me.get("/account"))["account"]["build_seconds"]
    assert build_seconds == {"used": 1_800, "limit": 1_800}


@pytest.mark.parametrize(
    "body",
    [{}, {"script": None}, {"script": ""}, {"script": 5}, {"script": ["print(1)"]}, {"script": "print(1)\0"}],
)
async def test_an_update_needs_a_text(me: Developer, script: str, body: Any) -> None:
    assert list(invalid(await me.post(f"/scripts/{script}/update", body))) == ["script"]


async def test_a_script_over_the_tiers_size_is_too_large(api: Api) -> None:
    me = await api.developer(tier="tiny")
    script = await me.new_script(await me.new_project())
    fits = {"script": "--" + "x" * 998}
    assert (await me.post(f"/scripts/{script}/update", fits)).status_code == 200
    assert (await me.post(f"/scripts/{script}/update", {"script": fits["script"] + "x"})).status_code == 413


async def test_toggling_stops_and_allows_executions(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wire = await api.session(client, key=key)
    toggle = f"/scripts/{client.script}/toggle"
    assert (await me.post(toggle, {"state": False})).json() == {"success": True}
    assert await wire.stopped() == "SCRIPT_DISABLED"
    with pytest.raises(Refused):
        await client.execute(key=key)
    assert (await me.post(toggle, {"state": True})).json() == {"success": True}
    await client.execute(key=key)


async def test_a_script_without_a_build_can_be_switched_off_but_not_on(me: Developer, script: str) -> None:
    refused(await me.post(f"/scripts/{script}/toggle", {"state": True}), 409, 1, "script update required")
    assert (await me.post(f"/scripts/{script}/toggle", {"state": False})).status_code == 200


async def test_a_build_that_needs_an_unsupported_loader_must_be_updated(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    await api.change("update loaders set version = 0 where id = :id", id=client.loader)
    toggle = await me.post(f"/scripts/{client.script}/toggle", {"state": True})
    refused(toggle, 409, 1, "script update required")


@pytest.mark.parametrize("body", [{}, {"state": None}, {"state": "true"}, {"state": 1}])
async def test_a_toggle_needs_a_boolean(me: Developer, script: str, body: Any) -> None:
    assert list(invalid(await me.post(f"/scripts/{script}/toggle", body))) == ["state"]


async def test_sessions_show_exactly_the_specified_fields(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wire = await api.session(client, key=key, roblox_id=10_234_711_811, place_id=606_849_621, job_id="JOB")
    (session,) = done(await me.post(f"/scripts/{client.script}/sessions"))["sessions"]
    assert set(session) == SESSION_FIELDS
    assert session["id"] == wire.id
    assert session["user_key"] == key
    assert session["script_id"] == client.script
    assert (session["roblox_id"], session["place_id"], session["job_id"]) == (10_234_711_811, 606_849_621, "JOB")
    assert abs(session["created_at"] - api.clock()) < 60_000
    await wire.socket.close()


async def test_sessions_come_in_pages_oldest_first(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wires = []
    for number in range(3):
        api.clock.ahead_ms = number * 1_000
        wires.append(await api.session(client, key=key))
    path = f"/scripts/{client.script}/sessions"
    ids = [wire.id for wire in wires]
    for body, expected in (
        (None, ids),
        ({}, ids),
        ({"from": None, "limit": None}, ids),
        ({"from": 1}, ids[1:]),
        ({"limit": 2}, ids[:2]),
        ({"from": 1, "limit": 1}, ids[1:2]),
        ({"from": 3}, []),
        ({"from": 10**9, "limit": 1000}, []),
    ):
        assert [each["id"] for each in done(await me.post(path, body))["sessions"]] == expected
    for wire in wires:
        await wire.socket.close()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"from": -1, "limit": 0}, {"from", "limit"}),
        ({"from": 10**400, "limit": 1001}, {"from", "limit"}),
        ({"from": "0", "limit": 1.5}, {"from", "limit"}),
        ({"from": True, "limit": [1]}, {"from", "limit"}),
        ({"from_": 0}, {"from_"}),
    ],
)
async def test_impossible_pages_are_refused(me: Developer, script: str, body: Any, fields: set[str]) -> None:
    assert set(invalid(await me.post(f"/scripts/{script}/sessions", body))) == fields


async def test_sessions_are_filtered_by_every_condition(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    keys = [await me.new_user(project) for _ in range(2)]
    wires = {}
    for key in keys:
        for roblox_id in (2**53, 5):
            api.clock.ahead_ms += 1_000
            wire = await api.session(client, key=key, roblox_id=roblox_id, place_id=7, job_id=f"job {roblox_id}")
            wires[key, roblox_id] = wire
    path = f"/scripts/{client.script}/sessions/filter"
    first, second = keys
    for query, expected in (
        ({"key": first}, [(first, 2**53), (first, 5)]),
        ({"roblox_id": str(2**53)}, [(first, 2**53), (second, 2**53)]),
        ({"key": second, "job_id": "job 5"}, [(second, 5)]),
        ({"place_id": "7", "from": "3"}, [(second, 5)]),
        ({"place_id": "7", "limit": "1"}, [(first, 2**53)]),
        ({"place_id": "8"}, []),
        ({"key": first, "roblox_id": "", "job_id": ""}, [(first, 2**53), (first, 5)]),
    ):
        found = done(await me.get(path, params=query))["sessions"]
        assert [each["id"] for each in found] == [wires[which].id for which in expected], query
    for wire in wires.values():
        await wire.socket.close()


@pytest.mark.parametrize("query", ["", "from=0&limit=5", "key=&roblox_id=&place_id=&job_id="])
async def test_a_filter_must_filter_something(me: Developer, script: str, query: str) -> None:
    refused(await me.get(f"/scripts/{script}/sessions/filter?{query}"), 400, 0, "must filter something")


async def test_every_wrong_field_of_a_filter_is_listed(me: Developer, script: str) -> None:
    query = "from=-1&limit=1_0&key=%00&roblox_id=-5&place_id=99999999999999999&job_id=" + "x" * 129 + "&colour=red"
    failed = invalid(await me.get(f"/scripts/{script}/sessions/filter?{query}"))
    assert set(failed) == {"from", "limit", "key", "roblox_id", "place_id", "job_id", "colour"}
