"""Builds as releases: what they are called and by whom they were published, another one served, one yanked, and which are kept."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from support import rows
from support.client import Client, Refused
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPECTED_OF_EARLIER = {
    "label": None,
    "notes": None,
    "state": "published",
    "source_sha256": None,
    "payload_sha256": None,
    "published_by": None,
    "yanked_at": None,
}


async def builds_of(me: Developer, script: str) -> Any:
    return done(await me.get(f"/scripts/{script}/builds"))["builds"]


async def kept(me: Developer, script: str) -> list[int]:
    return [build["number"] for build in await builds_of(me, script)]


async def running(api: Api, project: str, *, builds: int = 3, **columns: Any) -> Client:
    """A script with so many builds, whose payloads are their numbers; the last one is current."""
    client = await api.running_script(project, build=builds, payload=b"1", **columns)
    for number in range(2, builds + 1):
        await rows.add_build(api.database, client.script, number, str(number).encode())
    return client


async def started(client: Client, key: str) -> int:
    """The build that a start with this key is given."""
    return int((await client.execute(key=key)).payload)


async def test_a_build_tells_what_its_developer_said_of_it(api: Api, me: Developer, script: str) -> None:
    update = {"script": "print('ü')", "label": "1.4.2", "notes": "Two\nlines"}
    done(await me.post(f"/scripts/{script}/update", update))
    (build,) = await builds_of(me, script)
    payload = await api.value("select payload from builds where script_id = :id", id=script)
    assert (build["label"], build["notes"], build["state"]) == ("1.4.2", "Two\nlines", "published")
    assert build["source_sha256"] == hashlib.sha256("print('ü')".encode()).hexdigest()
    assert build["payload_sha256"] == hashlib.sha256(payload).hexdigest()
    event = done(await me.get("/events"))["events"][0]
    assert build["published_by"] == {name: event["actor"][name] for name in ("kind", "id", "name")}
    assert event["changes"]["label"] == [None, "1.4.2"]


async def test_builds_of_before_say_nothing_of_it(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project, builds=1)
    (build,) = await builds_of(me, client.script)
    assert build | EXPECTED_OF_EARLIER == build


@pytest.mark.parametrize("field", ["label", "notes"])
@pytest.mark.parametrize("value", ["", "x" * 10_001, "\0", 7])
async def test_label_and_notes_are_bounded_text(me: Developer, script: str, field: str, value: Any) -> None:
    assert set(invalid(await me.post(f"/scripts/{script}/update", {"script": "print(1)", field: value}))) == {field}


async def test_a_check_takes_no_label(me: Developer, script: str) -> None:
    reply = await me.post(f"/scripts/{script}/check", {"script": "print(1)", "label": "1"})
    assert set(invalid(reply)) == {"label"}


async def test_a_rollback_is_served_from_the_next_start_on(api: Api, me: Developer, project: str, key: str) -> None:
    client = await running(api, project)
    assert await started(client, key) == 3
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 1}))
    assert await started(client, key) == 1
    assert [build["number"] for build in await builds_of(me, client.script) if build["current"]] == [1]
    event = done(await me.get("/events"))["events"][0]
    assert (event["kind"], event["changes"]) == ("script.rolled_back", {"build": [3, 1]})
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 3}))
    assert await started(client, key) == 3


async def test_a_rollback_costs_no_obfuscation_and_the_next_update_has_a_new_number(api: Api) -> None:
    me = await api.developer(tier="tiny")
    client = await running(api, await me.new_project())
    await api.change("update accounts set obfuscations_used = 1 where id = :id", id=me.account.id)
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 1}))
    assert done(await me.get("/account"))["account"]["obfuscations"]["used"] == 1
    await api.change("update loaders set base_url = 'http://127.0.0.1' where script_id = :id", id=client.script)
    assert done(await me.post(f"/scripts/{client.script}/update", {"script": "print(4)"}))["build"] == 4


async def test_copies_of_another_build_are_stopped_only_where_outdated_ones_are(
    api: Api, me: Developer, project: str, key: str
) -> None:
    for is_kicked in (False, True):
        client = await running(api, project, kick_outdated=is_kicked)
        copy = await client.execute(key=key)
        done(await me.post(f"/scripts/{client.script}/rollback", {"build": 2}))
        if is_kicked:
            with pytest.raises(Refused, match="OUTDATED"):
                await copy.beat()
        else:
            await copy.beat()


async def test_what_cannot_be_served_is_not_rolled_back_to(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project)
    path = f"/scripts/{client.script}/rollback"
    refused(await me.post(path, {"build": 4}), 409, 1, "build does not exist", build=4)
    refused(await me.post(path, {"build": 3}), 409, 3, "build is current already")
    done(await me.post(f"/scripts/{client.script}/builds/1/yank"))
    refused(await me.post(path, {"build": 1}), 409, 2, "build was yanked", build=1)
    assert set(invalid(await me.post(path, {}))) == {"build"}
    assert set(invalid(await me.post(path, {"build": 0}))) == {"build"}
    assert done(await me.post(f"{path}?dry_run=true", {"build": 2}))["dry_run"] is True
    assert await api.value("select build from scripts where id = :id", id=client.script) == 3
    await api.expire(me)
    refused(await me.post(path, {"build": 2}), 403, 0, "account expired")


async def test_a_rollback_by_somebody_who_saw_another_build_is_refused(api: Api, me: Developer, project: str) -> None:
    client = await running(api, project)
    seen = (await me.get(f"/scripts/{client.script}")).headers["etag"]
    path, headers = f"/scripts/{client.script}/rollback", {"if-match": seen}
    done(await me.post(path, {"build": 2}, headers=headers))
    assert (await me.post(path, {"build": 1}, headers=headers)).status_code == 412


async def test_a_yanked_build_is_told_as_such(api: Api, me: Developer, project: str, key: str) -> None:
    client = await running(api, project)
    path = f"/scripts/{client.script}/builds"
    done(await me.post(f"{path}/2/yank"))
    states = {
        build["number"]: (build["state"], build["yanked_at"] is None) for build in await builds_of(me, client.script)
    }
    assert states == {3: ("published", True), 2: ("yanked", False), 1: ("published", True)}
    event = done(await me.get("/events"))["events"][0]
    assert (event["kind"], event["changes"]) == ("script.build_yanked", {"yanked": [None, 2]})
    assert await started(client, key) == 3
    refused(await me.post(f"{path}/2/yank"), 409, 2, "build was yanked", build=2)
    assert (await me.post(f"{path}/9/yank")).status_code == 404
    assert (await me.post(f"{path}/x/yank")).status_code == 400


async def test_the_current_build_is_yanked_for_a_successor(api: Api, me: Developer, project: str, key: str) -> None:
    client = await running(api, project)
    path = f"/scripts/{client.script}/builds/3/yank"
    refused(await me.post(path), 409, 3, "current build needs a successor")
    refused(await me.post(path, {"successor": 7}), 409, 1, "build does not exist", build=7)
    assert set(invalid(await me.post(path, {"successor": 3}))) == {"successor"}
    assert await started(client, key) == 3
    done(await me.post(path, {"successor": 1}))
    assert await started(client, key) == 1
    event = done(await me.get("/events"))["events"][0]
    assert event["changes"] == {"yanked": [None, 3], "build": [3, 1]}


@pytest.mark.parametrize(("path", "body"), [("rollback", {"build": 2}), ("builds/2/yank", {})])
async def test_nobody_serves_or_yanks_another_ones_builds(api: Api, project: str, path: str, body: Any) -> None:
    client = await running(api, project)
    stranger = await api.developer()
    theirs, none = [await stranger.post(f"/scripts/{each}/{path}", body) for each in (client.script, NOBODY)]
    assert (theirs.status_code, theirs.json()) == (none.status_code, none.json())


async def test_of_many_yanks_and_rollbacks_at_once_none_leaves_a_yanked_build_served(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await running(api, project, builds=4)
    calls = []
    for number in range(64):
        build = 1 + number // 2 % 4
        if number % 2:
            calls.append(me.post(f"/scripts/{client.script}/rollback", {"build": build}))
        else:
            body = {"successor": build % 4 + 1}
            calls.append(me.post(f"/scripts/{client.script}/builds/{build}/yank", body))
    replies = await asyncio.gather(*calls)
    assert {reply.status_code for reply in replies} <= {200, 409}
    current = [build for build in await builds_of(me, client.script) if build["current"]]
    assert [build["state"] for build in current] == ["published"]
    assert await started(client, key) == current[0]["number"]
    yanks = [reply for reply in replies[::2] if reply.status_code == 200]
    yanked = [build for build in await builds_of(me, client.script) if build["state"] == "yanked"]
    assert len(yanks) == len(yanked) > 0


async def test_what_is_served_is_kept_beside_the_history(api: Api) -> None:
    me = await api.developer()
    client = await running(api, await me.new_project(), builds=13)
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 2}))
    done(await me.post(f"/scripts/{client.script}/update", {"script": "print(1)"}))
    assert await kept(me, client.script) == [14, *range(13, 3, -1)], "the new one is current, ten others are history"


async def test_what_copies_still_run_is_kept_until_they_end(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    client, key = await running(api, project, builds=13), await me.new_user(project)
    done(await me.post(f"/scripts/{client.script}/rollback", {"build": 2}))
    assert await started(client, key) == 2
    done(await me.post(f"/scripts/{client.script}/update", {"script": "print(1)"}))
    assert await kept(me, client.script) == [14, *range(13, 3, -1), 2]
    done(await me.post(f"/users/{key}/revoke_instances", {}))
    done(await me.post(f"/scripts/{client.script}/update", {"script": "print(1)"}))
    assert await kept(me, client.script) == [15, *range(14, 4, -1)]
