"""Server variables by the API: set, shown, listed, removed; and what a copy is told that asks for them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from moonlatch.client.variables import READS_BURST
from moonlatch.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from moonlatch.licensing.server_variables import MAX_PER_OWNER, MAX_VALUE_BYTES
from support import rows
from support.client import Copy, Refused
from support.management import Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(me: Developer, owner: str, name: str, value: Any, **fields: Any) -> Any:
    return done(await me.post(f"/{owner}/variables", {"name": name, "value": value, **fields}))["variable"]


async def refused_read(copy: Copy, name: str, **changes: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await copy.variable(name, **changes)
    return caught.value.status, caught.value.code


async def test_a_variable_is_set_shown_changed_and_removed(api: Api, me: Developer, project: str) -> None:
    made = await put(me, f"projects/{project}", "drop_rates", {"rare": 0.02, "names": ["ä", None]}, cache_seconds=0)
    assert made | {"name": "drop_rates", "script_id": None, "user_id": None, "cache_seconds": 0} == made
    assert done(await me.get(f"/projects/{project}/variables"))["variables"] == [made]
    shown = await me.get(f"/variables/{made['id']}")
    assert done(shown)["value"] == {"rare": 0.02, "names": ["ä", None]}
    assert made["value_bytes"] == len(
        json.dumps(done(shown)["value"], separators=(",", ":"), ensure_ascii=False).encode()
    )
    again = await put(me, f"projects/{project}", "drop_rates", "secret words")
    assert (again["id"], again["cache_seconds"]) == (made["id"], 300)
    refused(
        await me.post(f"/variables/{made['id']}/remove", {}, headers={"if-match": shown.headers["etag"]}),
        412,
        -1,
        "changed meanwhile",
        etag=(await me.get(f"/variables/{made['id']}")).headers["etag"],
    )
    done(await me.post(f"/variables/{made['id']}/remove"))
    assert done(await me.get(f"/projects/{project}/variables"))["variables"] == []
    events = await me.get("/events")
    kinds = [(event["kind"], event["changes"]) for event in done(events)["events"][:3]]
    assert kinds == [
        ("variable.removed", {}),
        ("variable.set", {"value_bytes": [made["value_bytes"], 14], "cache_seconds": [0, 300]}),
        ("variable.set", {"value_bytes": [None, made["value_bytes"]], "cache_seconds": [None, 0]}),
    ]
    assert "secret words" not in events.text


async def test_a_value_is_kept_sealed(api: Api, me: Developer, project: str) -> None:
    made = await put(me, f"projects/{project}", "token", "sesame")
    kept = await api.value("select value from variables where id = :id", id=made["id"])
    assert b"sesame" not in bytes(kept)


async def test_whoever_may_not_change_a_variable_does_not_see_its_value(api: Api, me: Developer, project: str) -> None:
    made = await put(me, f"projects/{project}", "token", "sesame")
    viewer = Developer(me.account, await api.token(me.account, permissions=("scripts:read",)), api.http)
    listed = await viewer.get(f"/projects/{project}/variables")
    assert [each["name"] for each in done(listed)["variables"]] == ["token"]
    assert "sesame" not in listed.text
    assert (await viewer.get(f"/variables/{made['id']}")).status_code == 403


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"value": None}, "value"),
        ({"value": "x" * (MAX_VALUE_BYTES - 1)}, "value"),
        ({"value": ["ä" * (MAX_VALUE_BYTES // 2)]}, "value"),
        ({"value": 2**60}, "value"),
        ({"value": "\0"}, "value"),
        ({"name": "1st"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"cache_seconds": -1}, "cache_seconds"),
        ({"cache_seconds": 86_401}, "cache_seconds"),
    ],
)
async def test_what_is_no_variable_is_refused(me: Developer, project: str, fields: Any, field: str) -> None:
    wanted = {"name": "a", "value": 1} | fields
    assert field in invalid(await me.post(f"/projects/{project}/variables", wanted))
    assert done(await me.get(f"/projects/{project}/variables"))["variables"] == []


async def test_there_are_so_many_of_one_owner_and_no_more(
    api: Api, me: Developer, project: str, script: str, key: str
) -> None:
    first = await put(me, f"projects/{project}", "a", 1)
    await api.change(
        "insert into variables (id, account_id, project_id, name, value, value_bytes, cache_seconds, revision, created_at, "
        "updated_at) select 'more' || n, account_id, project_id, 'b' || n, value, 1, 0, 1, 0, 0 from variables, "
        f"(with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {MAX_PER_OWNER - 1}) "
        "select n from numbers) counted where id = :id",
        id=first["id"],
    )
    await put(me, f"projects/{project}", "a", 2)
    for owner, column, owner_id in (
        (f"projects/{project}", "script_id", None),
        (f"scripts/{script}", "script_id", script),
        (f"users/{key}", "user_id", await rows.id_of(api.database, key)),
    ):
        if owner_id is not None:
            await put(me, owner, "a", 1)
            await api.change(f"update variables set {column} = :id where id like 'more%'", id=owner_id)
        refused(await me.post(f"/{owner}/variables", {"name": "c", "value": 1}), 403, 1, "max variables reached")
        if owner_id is not None:
            await api.change(f"update variables set {column} = null where id like 'more%'")
    await api.change("delete from variables where id like 'more%'")
    await put(me, f"projects/{project}", "c", 2)


async def test_an_expired_account_changes_no_variables(
    api: Api, me: Developer, project: str, script: str, key: str
) -> None:
    made = await put(me, f"projects/{project}", "a", 1)
    await api.expire(me)
    for owner in (f"projects/{project}", f"scripts/{script}", f"users/{key}"):
        refused(await me.post(f"/{owner}/variables", {"name": "a", "value": 2}), 403, 0, "account expired")
    assert done(await me.get(f"/variables/{made['id']}"))["value"] == 1
    done(await me.post(f"/variables/{made['id']}/remove"))


async def test_what_two_set_at_once_is_what_one_of_them_set(me: Developer, project: str) -> None:
    both = await asyncio.gather(
        *(me.post(f"/projects/{project}/variables", {"name": "a", "value": each}) for each in range(2))
    )
    assert 200 in [reply.status_code for reply in both]
    (listed,) = done(await me.get(f"/projects/{project}/variables"))["variables"]
    assert done(await me.get(f"/variables/{listed['id']}"))["value"] in range(2)


async def test_a_dry_run_sets_nothing(me: Developer, project: str) -> None:
    done(await me.post(f"/projects/{project}/variables?dry_run=true", {"name": "a", "value": 1}))
    assert done(await me.get(f"/projects/{project}/variables"))["variables"] == []


async def test_the_keys_variable_goes_before_the_scripts_before_the_projects(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    other = await api.running_script(project)
    owners = {"project": f"projects/{project}", "script": f"scripts/{client.script}", "user": f"users/{key}"}
    made = {name: await put(me, owner, "who", name, cache_seconds=7) for name, owner in owners.items()}
    assert (made["script"]["script_id"], made["user"]["script_id"]) == (client.script, None)
    copies = [
        await client.execute(key=key),
        await client.execute(key=await me.new_user(project)),
        await other.execute(key=await me.new_user(project)),
    ]
    assert [await copy.variable("who") for copy in copies] == ["user", "script", "project"]
    assert copies[0].cache_seconds == 7
    done(await me.post(f"/variables/{made['user']['id']}/remove"))
    assert await copies[0].variable("who") == "script"
    assert await copies[0].variable("nobody") is None
    for owner in ("script", "user"):
        listed = done(await me.get(f"/{owners[owner]}/variables"))["variables"]
        assert [each["name"] for each in listed] == (["who"] if owner == "script" else [])


async def test_a_copy_is_told_nothing_of_another_project(api: Api, me: Developer, project: str, key: str) -> None:
    stranger = await api.developer()
    elsewhere = await stranger.new_project()
    await put(stranger, f"projects/{elsewhere}", "token", "theirs")
    await put(me, f"projects/{await me.new_project()}", "token", "ours, of another game")
    client = await api.running_script(project)
    assert await (await client.execute(key=key)).variable("token") is None


async def test_without_a_valid_key_nothing_is_told_that_is_the_keys(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project, free_for_all=True)
    await put(me, f"users/{key}", "plan", "gold")
    await put(me, f"projects/{project}", "plan", "none")
    copy = await client.execute(key=key)
    assert await copy.variable("plan") == "gold"
    await api.change(
        "update users set key_expires = :now where id = :id",
        now=api.clock() - 1,
        id=await rows.id_of(api.database, key),
    )
    assert await copy.variable("plan") == "none"


async def test_a_copy_that_may_not_go_on_is_told_nothing(api: Api, me: Developer, project: str, key: str) -> None:
    await put(me, f"projects/{project}", "token", "sesame")
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    assert await copy.variable("token") == "sesame"
    done(await me.post(f"/users/{key}/blacklist", {"reason": "shared"}))
    assert await refused_read(copy, "token") == (403, "BLACKLISTED")


def later(api: Api, milliseconds: int, *copies: Copy) -> None:
    """Time goes by, and these copies know it."""
    api.clock.ahead_ms += milliseconds
    for copy in copies:
        copy.moments.tell(api.clock())


async def test_a_copy_without_the_session_that_it_needs_is_told_nothing(
    api: Api, me: Developer, project: str, key: str
) -> None:
    await put(me, f"projects/{project}", "token", "sesame")
    client = await api.running_script(project, require_sessions=True)
    copy = await client.execute(key=key)
    assert await copy.variable("token") == "sesame"
    later(api, 31 * SECOND_MS, copy)
    assert await refused_read(copy, "token") == (403, "SESSIONS_REQUIRED")
    with pytest.raises(Refused, match="SESSIONS_REQUIRED"):
        await copy.call("function", "it", {})
    later(api, 2 * MINUTE_MS, copy)  # forgotten, it has a minute as a copy has that beats
    assert await copy.variable("token") == "sesame"
    later(api, 61 * SECOND_MS, copy)
    assert await refused_read(copy, "token") == (403, "SESSIONS_REQUIRED")


async def test_a_copy_that_does_not_beat_has_no_place_beside_those_that_do(
    api: Api, me: Developer, project: str, key: str
) -> None:
    """Else one key would serve any number, which ask their questions and are counted nowhere."""
    done(await me.post(f"/projects/{project}/edit", {"max_instances": 1}))
    await put(me, f"projects/{project}", "token", "sesame")
    client = await api.running_script(project)
    silent = await client.execute(key=key)
    later(api, 10 * MINUTE_MS, silent)
    other = await client.execute(key=key)
    await other.beat()
    assert await refused_read(silent, "token") == (403, "TOO_MANY_INSTANCES")
    with pytest.raises(Refused, match="TOO_MANY_INSTANCES"):
        await silent.call("function", "it", {})
    assert await other.variable("token") == "sesame"
    # While there is room it takes it.
    later(api, 10 * MINUTE_MS, silent, other)
    for _ in range(2):
        assert await silent.variable("token") == "sesame"
    assert await silent.beat() is None
    assert await refused_read(other, "token") == (403, "TOO_MANY_INSTANCES")
    with pytest.raises(Refused, match="TOO_MANY_INSTANCES"):
        await client.execute(key=key)
    # Of scripts without beats none is counted for longer than its start is.
    await api.change("update scripts set use_heartbeat = false where id = :id", id=client.script)
    assert await other.variable("token") == "sesame"


async def test_only_the_copys_own_token_is_good_for_as_long_as_it_is(
    api: Api, me: Developer, project: str, key: str
) -> None:
    await put(me, f"projects/{project}", "token", "sesame")
    client = await api.running_script(project)
    copy, other = await client.execute(key=key), await client.execute(key=key)
    assert await refused_read(copy, "token", token=other.reply["token"]) == (404, "INSTANCE_UNKNOWN")
    assert await refused_read(copy, "token", token="x") == (404, "INSTANCE_UNKNOWN")
    assert await refused_read(copy, "token", sequence=1) == (409, "CLOCK_WRONG")
    for wrong in ("", "a b", "a" * 65, "1", "a\n"):
        assert await refused_read(copy, wrong) == (400, "INVALID_REQUEST")
    first = await client.execute(key=key, protocol=1)
    assert await refused_read(first, "token") == (400, "INVALID_REQUEST")
    api.clock.ahead_ms += 13 * HOUR_MS
    assert await refused_read(copy, "token") == (404, "INSTANCE_UNKNOWN")


async def test_a_value_is_read_by_the_copy_that_asked_alone(api: Api, me: Developer, project: str, key: str) -> None:
    await put(me, f"projects/{project}", "token", "sesame")
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    body = {
        "instance": copy.instance,
        "token": copy.reply["token"],
        "sequence": copy.moments.next(),
        "share": copy.share,
    }
    replies = [await client.post("/client/v1/variable", {**body, "name": "token"}) for _ in range(2)]
    values = [reply.json()["value"] for reply in replies]
    assert values[0] != values[1]  # never two under one key
    assert "sesame" not in "".join(reply.text for reply in replies)


async def test_a_question_takes_no_moment_that_a_session_or_a_beat_needs(
    api: Api, me: Developer, project: str, key: str
) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    at, nonce = copy.moments.next(), copy.moments.nonce()
    assert await copy.variable("token") is None
    assert await copy.beat(at) is None
    assert await copy.variable("token") is None
    wire = await copy.connect(nonce=nonce)
    assert (await wire.receive())["type"] == "opened"


async def test_a_copy_may_ask_so_often(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    answers = [await copy.variable("x") for _ in range(READS_BURST)]
    assert answers == [None] * READS_BURST
    with pytest.raises(Refused) as caught:
        for _ in range(READS_BURST):  # one more a second may come through
            await copy.variable("x")
    assert (caught.value.status, caught.value.code) == (429, "RATE_LIMITED")
    assert await copy.beat() is None


async def test_sessions_are_told_which_variable_changed(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    wires = [await (await client.execute(key=each)).session() for each in (key, await me.new_user(project))]
    made = await put(me, f"scripts/{client.script}", "a", 1)
    await put(me, f"users/{key}", "b", 1)
    await put(me, f"projects/{project}", "c", 1)
    done(await me.post(f"/variables/{made['id']}/remove"))
    assert [[await told(wire) for _ in range(count)] for wire, count in zip(wires, (4, 3), strict=True)] == [
        ["a", "b", "c", "a"],
        ["a", "c", "a"],
    ]


async def told(wire: Any) -> str:
    while (body := await wire.receive())["type"] != "variable_changed":
        pass
    return str(body["name"])


async def test_what_was_sealed_for_a_variable_goes_with_its_owner(
    api: Api, me: Developer, project: str, script: str, key: str
) -> None:
    for owner in (f"users/{key}", f"scripts/{script}", f"projects/{project}"):
        await put(me, owner, "a", 1)
    count = "select count(*) from variables where project_id = :id"
    for path, left in ((f"/users/{key}", 2), (f"/scripts/{script}", 1), (f"/projects/{project}", 0)):
        done(await me.post(f"{path}/remove"))
        assert await api.value(count, id=project) == left
