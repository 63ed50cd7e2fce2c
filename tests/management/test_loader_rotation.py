"""A loader's secret that became known is replaced: earlier loaders end with a grace, or at once, and nobody who runs is stopped."""

from __future__ import annotations

from typing import Any

import pytest

from moonlatch.clock import DAY_MS, HOUR_MS
from support.client import Client, Refused
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def rotated(me: Developer, script: str, **body: Any) -> int:
    return int(done(await me.post(f"/scripts/{script}/rotate_loader", body))["previous_valid_until"])


async def grace_given(api: Api, me: Developer, script: str, **body: Any) -> int:
    """Milliseconds that earlier loaders have left, by the clock that stands meanwhile."""
    api.clock.stand_still(api.clock() - api.clock.ahead_ms)
    try:
        return await rotated(me, script, **body) - api.clock()
    finally:
        api.clock.stands_at_ms = None


async def served(api: Api, script: str) -> Client:
    """A client that starts the script by the loader which is served now."""
    tag = (await api.http.get(f"/loader/{script}", headers={"accept-encoding": "identity"})).headers["etag"]
    loader = tag.strip('"')
    return Client(api.url, script, loader, api.keyring.loader_secret(loader), api.http)


async def code_of(client: Client, **request: Any) -> str:
    try:
        await client.execute(**request)
    except Refused as refusal:
        return refusal.code
    return "granted"


async def test_the_new_loader_is_served_and_the_old_one_starts_until_the_grace_is_over(
    api: Api, me: Developer, project: str, key: str
) -> None:
    old = await api.running_script(project)
    before = (await api.http.get(f"/loader/{old.script}")).headers["etag"]
    assert await grace_given(api, me, old.script, grace=HOUR_MS) == HOUR_MS
    new = await served(api, old.script)
    assert new.loader != old.loader
    assert (await api.http.get(f"/loader/{old.script}", headers={"if-none-match": before})).status_code == 200
    api.clock.ahead_ms += HOUR_MS - 30_000
    assert [await code_of(old, key=key), await code_of(new, key=key)] == ["granted", "granted"]
    api.clock.ahead_ms += 30_000
    assert [await code_of(old, key=key), await code_of(new, key=key)] == ["LOADER_OUTDATED", "granted"]


async def test_the_text_of_the_new_loader_holds_its_own_secret(api: Api, me: Developer, project: str) -> None:
    old = await api.running_script(project)
    await rotated(me, old.script)
    text = (await api.http.get(f"/loader/{old.script}")).text
    assert not text.startswith(("error(", "-- loader of"))
    assert old.secret.hex() not in text


async def test_the_grace_is_a_day_where_nobody_says_otherwise(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    assert await grace_given(api, me, client.script) == DAY_MS


async def test_without_a_grace_the_old_loader_starts_nothing_and_what_runs_goes_on(
    api: Api, me: Developer, project: str, key: str
) -> None:
    old = await api.running_script(project)
    running = await old.execute(key=key)
    wire = await api.session(old, key=key)
    assert await grace_given(api, me, old.script, grace=0) == 0
    assert await code_of(old, key=key) == "LOADER_OUTDATED"
    await running.beat()
    assert (await api.session(await served(api, old.script), key=key)).id != wire.id
    await wire.socket.close()


async def test_an_earlier_end_is_not_put_off_by_another_rotation(
    api: Api, me: Developer, project: str, key: str
) -> None:
    first = await api.running_script(project)
    await rotated(me, first.script, grace=HOUR_MS)
    second = await served(api, first.script)
    await rotated(me, first.script, grace=DAY_MS)
    api.clock.ahead_ms += HOUR_MS
    third = await served(api, first.script)
    codes = [await code_of(each, key=key) for each in (first, second, third)]
    assert codes == ["LOADER_OUTDATED", "granted", "granted"]
    await rotated(me, first.script, grace=0)
    kept = await api.value("select count(*) from loaders where script_id = :id", id=first.script)
    assert kept == 3, "the one that had ended is gone, the two that end now and the new one are there"


async def test_a_rotation_leaves_an_event_and_nothing_of_a_secret(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    await rotated(me, client.script, grace=1)
    newest = done(await me.get("/events"))["events"][0]
    assert (newest["kind"], newest["resource"]["id"]) == ("script.loader_rotated", client.script)
    assert newest["changes"] == {"grace": [None, 1]}


async def test_a_rotation_costs_one_obfuscation(api: Api) -> None:
    me = await api.developer(tier="tiny")
    project = await me.new_project()
    client = await api.running_script(project)
    await rotated(me, client.script)
    await rotated(me, client.script)
    before = await api.value("select loader from scripts where id = :id", id=client.script)
    refused(await me.post(f"/scripts/{client.script}/rotate_loader", {}), 403, 2, "max obfuscations reached")
    await api.change("update accounts set obfuscations_used = 0, build_ms_used = 1800000, tier = 'free'")
    refused(await me.post(f"/scripts/{client.script}/rotate_loader", {}), 403, 4, "max build seconds reached")
    assert await api.value("select loader from scripts where id = :id", id=client.script) == before


async def test_a_dry_run_rotates_nothing(api: Api, me: Developer, project: str) -> None:
    client = await api.running_script(project)
    reply = await me.post(f"/scripts/{client.script}/rotate_loader?dry_run=true", {})
    assert done(reply)["dry_run"] is True
    assert await api.value("select loader from scripts where id = :id", id=client.script) == client.loader
    assert await api.value("select count(*) from loaders where script_id = :id", id=client.script) == 1


async def test_a_script_without_a_loader_has_none_to_rotate(me: Developer, script: str) -> None:
    refused(await me.post(f"/scripts/{script}/rotate_loader", {}), 409, 1, "script update required")


async def test_an_expired_account_rotates_nothing(api: Api) -> None:
    me = await api.developer()
    client = await api.running_script(await me.new_project())
    await api.expire(me)
    refused(await me.post(f"/scripts/{client.script}/rotate_loader", {}), 403, 0, "account expired")


@pytest.mark.parametrize("grace", [-1, 30 * DAY_MS + 1, "soon", 1.5, True, None])
async def test_a_grace_is_a_number_of_milliseconds_up_to_30_days(me: Developer, script: str, grace: Any) -> None:
    assert set(invalid(await me.post(f"/scripts/{script}/rotate_loader", {"grace": grace}))) == {"grace"}


async def test_a_loader_that_cannot_be_protected_leaves_the_old_one(
    api: Api, me: Developer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await api.running_script(project)
    assert api.world.publisher is not None
    workers = api.world.publisher._workshop._workers
    monkeypatch.setattr(workers, "_settings", workers._settings.model_copy(update={"timeout_seconds": 0.001}))
    reply = await me.post(f"/scripts/{client.script}/rotate_loader", {})
    body = reply.json()["error"]
    assert (reply.status_code, body["code"], body["message"]) == (422, 3, "failed to obfuscate init script")
    assert await api.value("select loader from scripts where id = :id", id=client.script) == client.loader


async def test_nobody_rotates_another_ones_loader(api: Api, project: str) -> None:
    client = await api.running_script(project)
    stranger = await api.developer()
    theirs, none = [await stranger.post(f"/scripts/{each}/rotate_loader", {}) for each in (client.script, NOBODY)]
    assert (theirs.status_code, theirs.json()) == (none.status_code, none.json())
    assert await api.value("select loader from scripts where id = :id", id=client.script) == client.loader
