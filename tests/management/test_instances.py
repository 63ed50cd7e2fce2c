"""Running copies over the API: seen with and without a session, and stopped one by one or all of a key."""

from __future__ import annotations

import pytest

from moonlatch.operations import sessions
from moonlatch.operations.changing import perform
from moonlatch.operations.context import Actor, ActorKind
from support.client import Copy, Refused
from support.live import new_instance
from support.management import NOBODY, Api, Developer, done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listed(me: Developer, script: str, query: str = "") -> list[dict[str, object]]:
    instances: list[dict[str, object]] = done(await me.get(f"/scripts/{script}/instances{query}"))["instances"]
    return instances


async def code_of_a_beat(copy: Copy) -> str:
    try:
        await copy.beat()
    except Refused as refusal:
        return refusal.code
    return "granted"


async def test_copies_are_listed_with_and_without_a_session(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project, free_for_all=True)
    first = await client.execute(key=key)
    api.clock.ahead_ms += 1
    second = await client.execute()
    wire = await second.session()
    shown = await listed(me, client.script)
    assert [each["id"] for each in shown] == [first.instance, second.instance]
    assert shown[0] == {
        "id": first.instance,
        "user_key": key,
        "script_id": client.script,
        "build": 1,
        "started_at": shown[0]["started_at"],
        "session_id": None,
    }
    assert (shown[1]["user_key"], shown[1]["session_id"]) == (None, wire.id)
    assert [each["id"] for each in await listed(me, client.script, "?from=1&limit=1")] == [second.instance]
    await wire.socket.close()


async def test_who_may_not_see_keys_sees_them_masked(api: Api, me: Developer, project: str, key: str) -> None:
    client = await api.running_script(project)
    await client.execute(key=key)
    token = await api.token(me.account, permissions=("sessions:read",))
    (shown,) = await listed(Developer(me.account, token, me.http), client.script)
    assert shown["user_key"] != key
    assert str(shown["user_key"])[:4] == key[:4]


async def test_a_stopped_copy_is_refused_from_then_on_and_its_place_is_free(
    api: Api, me: Developer, project: str
) -> None:
    key = await me.new_user(project, max_instances=1)
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    assert done(await me.post(f"/instances/{copy.instance}/stop")) == {"success": True}
    assert await listed(me, client.script) == []
    assert await code_of_a_beat(copy) == "DISCONNECTED"
    assert (await me.post(f"/instances/{copy.instance}/stop")).status_code == 404
    again = await client.execute(key=key)
    assert await code_of_a_beat(again) == "granted"


async def test_a_copy_stays_stopped_when_its_start_is_no_longer_kept(
    api: Api, me: Developer, project: str, key: str
) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    await api.change("delete from executions where id = :id", id=copy.instance)
    assert done(await me.post(f"/instances/{copy.instance}/stop"))
    assert await code_of_a_beat(copy) == "DISCONNECTED"


async def test_a_copy_with_a_session_hears_at_once(api: Api, me: Developer, project: str, key: str) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    wire = await copy.session()
    assert done(await me.post(f"/instances/{copy.instance}/stop"))
    assert await wire.stopped() == "DISCONNECTED"
    newest = done(await me.get("/events"))["events"][0]
    assert (newest["kind"], newest["resource"]["id"]) == ("instance.stopped", copy.instance)


async def test_revoking_stops_every_copy_of_the_key_and_of_no_other(api: Api, me: Developer, project: str) -> None:
    key, other = await me.new_user(project, max_instances=3), await me.new_user(project)
    client = await api.running_script(project)
    copies = [await client.execute(key=key) for _ in range(3)]
    theirs = await client.execute(key=other)
    wire = await copies[0].session()
    assert done(await me.post(f"/users/{key}/revoke_instances")) == {"success": True}
    assert await wire.stopped() == "DISCONNECTED"
    assert [each["user_key"] for each in await listed(me, client.script)] == [other]
    assert [await code_of_a_beat(copy) for copy in copies] == ["DISCONNECTED"] * 3
    assert await code_of_a_beat(theirs) == "granted"
    assert await code_of_a_beat(await client.execute(key=key)) == "granted"
    newest = done(await me.get("/events"))["events"][0]
    assert (newest["kind"], newest["changes"]) == ("user.instances_revoked", {})


async def test_revoking_voids_tokens_of_copies_that_the_server_has_forgotten(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    api.clock.ahead_ms += 3_600_000  # long silent
    assert done(await me.post(f"/users/{key}/revoke_instances"))
    assert await code_of_a_beat(copy) == "DISCONNECTED"
    assert await (await copy.connect()).stopped() == "DISCONNECTED"


@pytest.mark.parametrize("free_for_all", [False, True])
async def test_revoking_reaches_starts_that_another_process_granted_by_a_clock_ahead(
    api: Api, me: Developer, project: str, free_for_all: bool
) -> None:
    key = await me.new_user(project)
    client = await api.running_script(project, free_for_all=free_for_all)
    if free_for_all:  # the key itself is not valid; its copies are its own all the same
        await api.change("update users set key_expires = 1 where project_id = :id", id=project)
    api.clock.ahead_ms += 2_000
    copy = await client.execute(key=key)
    api.clock.ahead_ms -= 2_000
    assert done(await me.post(f"/users/{key}/revoke_instances"))
    assert await code_of_a_beat(copy) == "DISCONNECTED"


@pytest.mark.parametrize("free_for_all", [False, True])
async def test_a_key_starts_again_at_once_also_where_the_clock_has_not_moved_on(
    api: Api, me: Developer, project: str, free_for_all: bool
) -> None:
    key = await me.new_user(project)
    client = await api.running_script(project, free_for_all=free_for_all)
    if free_for_all:
        await api.change("update users set key_expires = 1 where project_id = :id", id=project)
    api.clock.ahead_ms += 1_000
    assert done(await me.post(f"/users/{key}/revoke_instances"))
    api.clock.ahead_ms -= 1_000
    assert await code_of_a_beat(await client.execute(key=key)) == "granted"


async def test_stopping_holds_for_a_copy_that_is_forgotten_in_between(
    api: Api, me: Developer, project: str, key: str
) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    found = await api.live.instance(copy.instance)
    assert found is not None
    await api.live.release(copy.instance)
    actor = Actor(account_id=me.account.id, kind=ActorKind.CLI, id="ops", name="ops")
    await perform(api.world, actor, lambda change: sessions.stop(change, found))
    assert await code_of_a_beat(copy) == "DISCONNECTED"


async def test_a_start_is_refused_whose_copy_was_stopped_before_it_was_written(
    api: Api, me: Developer, project: str, key: str
) -> None:
    client = await api.running_script(project)
    request = client.request(key=key)
    instance = api.keyring.instance_id(client.loader, request["nonce"])
    copy = new_instance(client.script, id=instance, project_id=project)
    actor = Actor(account_id=me.account.id, kind=ActorKind.CLI, id="ops", name="ops")
    await perform(api.world, actor, lambda change: sessions.stop(change, copy))
    with pytest.raises(Refused, match="REPLAYED"):
        await client.execute(**request)


async def test_revoking_lasts_through_removal_and_return(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project)
    copy = await (await api.running_script(project)).execute(key=key)
    assert done(await me.post(f"/users/{key}/revoke_instances"))
    assert done(await me.post(f"/users/{key}/remove"))
    assert done(await me.post(f"/projects/{project}/users/restore", {"keys": [key]}))
    assert await code_of_a_beat(copy) == "DISCONNECTED"


async def test_a_revocation_is_no_edit_that_others_must_have_read(api: Api, me: Developer, project: str) -> None:
    key = await me.new_user(project)
    tag = (await me.get(f"/users/{key}")).headers["etag"]
    assert done(await me.post(f"/users/{key}/revoke_instances"))
    assert done(await me.post(f"/users/{key}/edit", {"note": "paid"}, headers={"if-match": tag}))


async def test_dry_runs_stop_nobody(api: Api, me: Developer, project: str, key: str) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    for path in (f"/instances/{copy.instance}/stop", f"/users/{key}/revoke_instances"):
        assert done(await me.post(f"{path}?dry_run=true"))["dry_run"] is True
    assert await code_of_a_beat(copy) == "granted"


async def test_nobody_stops_anothers_copy(api: Api, project: str, key: str) -> None:
    copy = await (await api.running_script(project)).execute(key=key)
    stranger = await api.developer()
    theirs, none = [await stranger.post(f"/instances/{each}/stop") for each in (copy.instance, NOBODY)]
    assert (theirs.status_code, theirs.json()) == (none.status_code, none.json())
    assert await code_of_a_beat(copy) == "granted"


async def test_an_expired_account_may_still_see_and_stop_single_copies(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    key = await me.new_user(project)
    client = await api.running_script(project)
    copy = await client.execute(key=key)
    await api.expire(me)
    assert (await me.post(f"/users/{key}/revoke_instances")).json()["error"]["message"] == "account expired"
    assert [each["id"] for each in await listed(me, client.script)] == [copy.instance]
    assert done(await me.post(f"/instances/{copy.instance}/stop"))
