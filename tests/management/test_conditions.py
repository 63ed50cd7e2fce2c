"""`If-Match`: two people who edit the same thing are told. And `dry_run`: everything is checked and nothing is done."""

from __future__ import annotations

import pytest

from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def tag_of(me: Developer, project: str) -> str:
    return (await me.get(f"/projects/{project}")).headers["etag"]


async def test_an_edit_of_what_was_changed_since_is_refused(me: Developer, project: str) -> None:
    read = await tag_of(me, project)
    first = await me.post(f"/projects/{project}/edit", {"name": "Theirs"}, headers={"If-Match": read})
    done(first)
    assert first.headers["etag"] == await tag_of(me, project) != read
    second = await me.post(f"/projects/{project}/edit", {"name": "Mine"}, headers={"If-Match": read})
    refused(second, 412, -1, "changed meanwhile", etag=first.headers["etag"])
    assert second.headers["etag"] == first.headers["etag"]
    assert (await me.project(project))["name"] == "Theirs"
    refused(
        await me.post(f"/projects/{project}/remove", {}, headers={"If-Match": read}),
        412,
        -1,
        "changed meanwhile",
        etag=first.headers["etag"],
    )


async def test_any_version_will_do_without_a_condition(me: Developer, project: str) -> None:
    done(await me.post(f"/projects/{project}/edit", {"name": "One"}))
    done(await me.post(f"/projects/{project}/edit", {"name": "Two"}, headers={"If-Match": "*"}))


async def test_counters_are_no_change(api: Api, me: Developer, project: str) -> None:
    read = await tag_of(me, project)
    await (await api.running_script(project, free_for_all=True)).execute()
    assert (await me.project(project))["total_executions"] == 1
    assert await tag_of(me, project) == read


@pytest.mark.parametrize("condition", ["abc", '"abc', '"a" , "b"', 'W/"abc"'])
async def test_a_wrong_condition_is_named(me: Developer, project: str, condition: str) -> None:
    reply = await me.post(f"/projects/{project}/edit", {"name": "x"}, headers={"If-Match": condition})
    assert set(invalid(reply)) == {"If-Match"}


async def test_a_dry_run_answers_as_if_it_had_been_done(me: Developer, project: str) -> None:
    reply = done(await me.post(f"/projects/{project}/edit", {"name": "Tried"}, params={"dry_run": "true"}))
    assert (reply["dry_run"], reply["project"]["name"]) == (True, "Tried")
    assert (await me.project(project))["name"] == "My game"
    done(await me.post(f"/projects/{project}/remove", {}, params={"dry_run": "true"}))
    assert (await me.get(f"/projects/{project}")).status_code == 200


async def test_a_dry_run_checks_the_rules(api: Api) -> None:
    tiny = await api.developer(tier="tiny")
    for number in range(2):
        await tiny.new_project(str(number))
    reply = await tiny.post("/projects", {"name": "third"}, params={"dry_run": "true"})
    refused(reply, 403, 1, "max projects reached")


async def test_a_wrong_dry_run_is_named(me: Developer) -> None:
    assert set(invalid(await me.post("/projects", {"name": "x"}, params={"dry_run": "perhaps"}))) == {"dry_run"}


async def test_scripts_have_versions_too(me: Developer, project: str) -> None:
    script = await me.new_script(project)
    read = (await me.get(f"/scripts/{script}")).headers["etag"]
    done(await me.post(f"/scripts/{script}/edit", {"name": "Theirs"}, headers={"If-Match": read}))
    for path, body in (
        ("edit", {"name": "Mine"}),
        ("toggle", {"state": False}),
        ("remove", {}),
        ("update", {"script": "print(1)"}),
    ):
        reply = await me.post(f"/scripts/{script}/{path}", body, headers={"If-Match": read})
        assert (reply.status_code, reply.json()["error"]["message"]) == (412, "changed meanwhile"), path
    assert (await me.script(script))["name"] == "Theirs"


async def test_an_update_can_be_tried(api: Api, me: Developer, project: str) -> None:
    script = await me.new_script(project)
    broken = await me.post(f"/scripts/{script}/update", {"script": "local x ="}, params={"dry_run": "true"})
    assert (broken.status_code, broken.json()["error"]["message"]) == (422, "script is invalid")
    before = (await me.get("/account")).json()["account"]["obfuscations"]["used"]
    tried = done(await me.post(f"/scripts/{script}/update", {"script": "print(1)"}, params={"dry_run": "true"}))
    assert (tried["build"], tried["dry_run"]) == (1, True)
    assert done(await me.get(f"/scripts/{script}/builds"))["builds"] == []
    assert (await me.get("/account")).json()["account"]["obfuscations"]["used"] == before


async def test_what_is_done_to_a_script_leaves_events(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    script = await me.new_script(project)
    done(await me.post(f"/scripts/{script}/update", {"script": "print(1)"}))
    done(await me.post(f"/scripts/{script}/edit", {"kick_outdated": True}))
    for state in (False, True):
        done(await me.post(f"/scripts/{script}/toggle", {"state": state}))
    done(await me.post(f"/scripts/{script}/remove", {}))
    events = done(await me.get("/events", params={"resource": script}))["events"]
    assert [(event["kind"], event["changes"]) for event in events] == [
        ("script.removed", {}),
        ("script.enabled", {"enabled": [False, True]}),
        ("script.disabled", {"enabled": [True, False]}),
        ("script.edited", {"kick_outdated": [False, True]}),
        ("script.published", {"build": [None, 1], "profile": [None, "light"]}),
        ("script.created", {}),
    ]


async def test_users_have_versions_too(me: Developer, project: str) -> None:
    key = await me.new_user(project)
    read = (await me.get(f"/users/{key}")).headers["etag"]
    done(await me.post(f"/users/{key}/edit", {"note": "Theirs"}, headers={"If-Match": read}))
    for path, body in (("edit", {"note": "Mine"}), ("blacklist", {}), ("reset_fingerprint", {}), ("remove", {})):
        reply = await me.post(f"/users/{key}/{path}", body, headers={"If-Match": read})
        assert (reply.status_code, reply.json()["error"]["message"]) == (412, "changed meanwhile"), path
