"""Offline licences: who may have one made, what it changes, and that the real loader starts the script by it without HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from moonlatch.client.loader_source import loader_source
from moonlatch.clock import DAY_MS
from support import rows
from support.client import Client, Refused
from support.lua_host import LuaRun
from support.management import NOBODY, Api, Developer, done, invalid, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = b"local la, argument = ... print(la.la_script_name, la.la_seconds_left, argument)"
DEVICE = "76561198000000000"


async def offline_script(api: Api, project: str, **columns: Any) -> Client:
    """One whose loader is the real one, as it was written."""
    client = await api.running_script(project, **{"payload": PAYLOAD, "offline_days": 7, **columns})
    source = loader_source(
        script_id=client.script,
        loader_id=client.loader,
        secret=client.secret,
        signing_key=api.keyring.public_key,
        exchange_key=api.keyring.exchange_key,
        base_url=api.url,
        keeps_leases=True,
    )
    await api.change(
        "update loaders set source = :source, keeps_leases = true, version = 4 where id = :id",
        source=source,
        id=client.loader,
    )
    return client


def asked(client: Client, **fields: Any) -> dict[str, Any]:
    return {"script_id": client.script, "device": DEVICE, **fields}


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    return error


async def made(me: Developer, key: str, client: Client, **fields: Any) -> dict[str, Any]:
    licence: dict[str, Any] = done(await me.post(f"/users/{key}/licence", asked(client, **fields)))["licence"]
    return licence


def run(program: str, key: str, files: Path | None = None, *, engine: str, device: str = DEVICE, **host: str) -> LuaRun:
    settings = {"fingerprint": device, "http": "no", "keeps": "no" if files is None else "yes", **host}
    return LuaRun(f'script_key = "{key}"\n{program}', "argument", engine=engine, settings=settings, files=files)


@pytest.mark.parametrize("engine", ["lua51", "lua54", "luau"])
async def test_a_program_without_http_starts_the_script(
    api: Api, me: Developer, project: str, tmp_path: Path, engine: str
) -> None:
    client = await offline_script(api, project)
    key = await me.new_user(project)
    licence = await made(me, key, client, days=30)
    for days, files in (("0", None), ("29", tmp_path), ("29", tmp_path), ("30.5", None)):
        with run(licence["program"], key, files, engine=engine, days_ahead=days) as started:
            assert started.wait_line("Script") == "Script\tnil\targument"
    with run(licence["program"], key, tmp_path, engine=engine, days_ahead="28") as started:
        assert started.wait_for("raised").endswith("the licence cannot be used: the clock of this device went back")
    for reason, other in {
        "it has ended": {"days_ahead": "31.1"},
        "it is for another key or device": {"device": "another"},
    }.items():
        with run(licence["program"], key, engine=engine, **other) as started:
            assert started.wait_for("raised").endswith(f"the licence cannot be used: {reason}")
    with run(licence["program"], "x" * 32, engine=engine) as started:
        assert started.wait_for("raised").endswith("it is for another key or device")


async def test_a_licence_binds_the_key_as_a_start_does_and_holds_the_device(
    api: Api, me: Developer, project: str
) -> None:
    client = await offline_script(api, project)
    key = await me.new_user(project, key_days=20)
    api.clock.stand_still(api.clock())
    try:
        licence, now = await made(me, key, client, days=90), api.clock()
        user = done(await me.get(f"/users/{key}"))["user"]
        assert (licence["build"], licence["expires"], licence["grace"]) == (1, now + 20 * DAY_MS, now + 20 * DAY_MS)
        assert (user["key_expires"], user["fingerprint_assigned"], user["executions"]) == (licence["expires"], True, 0)
        refusal = error_of(await me.post(f"/users/{key}/reset_fingerprint"), 409)
        assert (refusal["code"], refusal["retry_at"]) == (4, licence["grace"])
        with pytest.raises(Refused) as caught:
            await client.execute(key=key, fingerprint="another")
        assert caught.value.code == "FINGERPRINT_MISMATCH"
        assert done(await me.post(f"/users/{key}/reset_fingerprint", {"force": True}))
    finally:
        api.clock.stands_at_ms = None
    kinds = [event["kind"] for event in done(await me.get(f"/users/{key}/events"))["events"]]
    assert kinds[:2] == ["user.fingerprint_reset", "user.licensed"]


async def test_a_reset_is_free_again_when_the_lease_is_over(api: Api, me: Developer, project: str) -> None:
    client = await offline_script(api, project, offline_days=2)
    key = await me.new_user(project)
    await client.execute(key=key, keeps_leases=True)
    api.clock.ahead_ms += 3 * DAY_MS - 60_000
    assert error_of(await me.post(f"/users/{key}/reset_fingerprint"), 409)["code"] == 4
    api.clock.ahead_ms += 60_001
    assert done(await me.post(f"/users/{key}/reset_fingerprint"))


async def test_a_dry_run_tells_of_one_makes_none_and_changes_nothing(api: Api, me: Developer, project: str) -> None:
    client = await offline_script(api, project)
    key = await me.new_user(project)
    reply = done(await me.post(f"/users/{key}/licence?dry_run=true", asked(client)))
    assert reply["dry_run"] is True
    assert (reply["licence"]["program"], reply["licence"]["build"]) == ("", 1), "what is signed is good without a trace"
    assert done(await me.get(f"/users/{key}"))["user"]["fingerprint_assigned"] is False


async def test_where_a_start_would_be_refused_no_licence_is_made(api: Api, me: Developer, project: str) -> None:
    client = await offline_script(api, project)
    keys = {
        "FINGERPRINT_MISMATCH": await me.new_user(project),
        "BLACKLISTED": await me.new_user(project),
        "KEY_EXPIRED": await me.new_user(project),
    }
    await client.execute(key=keys["FINGERPRINT_MISMATCH"])
    done(await me.post(f"/users/{keys['BLACKLISTED']}/blacklist"))
    await api.change("update users set key_expires = 1 where id = :id", id=(await me.user(keys["KEY_EXPIRED"]))["id"])
    for code, key in keys.items():
        refusal = error_of(await me.post(f"/users/{key}/licence", asked(client)), 403)
        assert (refusal["code"], refusal["refusal"]) == (3, code)
    for settings in ({"fingerprintless": True}, {"max_executions": 9}):
        key = await me.new_user(project, **settings)
        assert error_of(await me.post(f"/users/{key}/licence", asked(client)), 403)["code"] == 4


async def test_the_script_must_be_one_of_the_project_that_starts_without_the_server(
    api: Api, me: Developer, project: str, key: str
) -> None:
    online = await offline_script(api, project, offline_days=0)
    assert error_of(await me.post(f"/users/{key}/licence", asked(online)), 403)["code"] == 1
    before = await api.running_script(project, offline_days=7)
    assert error_of(await me.post(f"/users/{key}/licence", asked(before)), 409)["code"] == 2
    elsewhere = await offline_script(api, await me.new_project())
    for script in (elsewhere.script, NOBODY):
        failed = invalid(await me.post(f"/users/{key}/licence", {"script_id": script, "device": DEVICE}))
        assert failed == {"script_id": ["must be a script of the key's project"]}


async def test_an_expired_account_makes_no_licence(api: Api) -> None:
    me = await api.developer()
    project = await me.new_project()
    client, key = await offline_script(api, project), await me.new_user(project)
    await api.expire(me)
    refused(await me.post(f"/users/{key}/licence", asked(client)), 403, 0, "account expired")


@pytest.mark.parametrize(
    "wrong", [{"device": ""}, {"device": "\n"}, {"device": "x" * 513}, {"days": 0}, {"days": 367}, {"days": 1.5}]
)
async def test_what_is_asked_for_is_checked(api: Api, me: Developer, project: str, key: str, wrong: Any) -> None:
    client = await offline_script(api, project)
    assert list(invalid(await me.post(f"/users/{key}/licence", asked(client, **wrong)))) == list(wrong)


async def test_offline_days_are_a_setting_of_the_script(me: Developer, project: str, script: str) -> None:
    assert done(await me.get(f"/scripts/{script}"))["script"]["offline_days"] == 0
    done(await me.post(f"/scripts/{script}/edit", {"offline_days": 30}))
    assert done(await me.get(f"/scripts/{script}"))["script"]["offline_days"] == 30
    for wrong in (31, -1, "", True):
        assert list(invalid(await me.post(f"/scripts/{script}/edit", {"offline_days": wrong}))) == ["offline_days"]


async def test_a_key_on_another_build_gets_a_licence_for_that(api: Api, me: Developer, project: str) -> None:
    client = await offline_script(api, project)
    await rows.add_build(api.database, client.script, 2, b"print('build 2')")
    key, other = await me.new_user(project), await me.new_user(project)
    done(await me.post(f"/users/{key}/pin", {"script": client.script, "build": 2}))
    licence = await made(me, key, client)
    assert (licence["build"], (await made(me, other, client))["build"]) == (2, 1)
    with run(licence["program"], key, engine="lua54") as started:
        started.wait_line("build 2")


@pytest.mark.parametrize(
    ("path", "change", "refusal"),
    [
        ("/users/{key}/blacklist", {}, "BLACKLISTED"),
        ("/users/{key}/edit", {"key_expires": 100_000_000_000}, "KEY_EXPIRED"),
        ("/users/{other}/blacklist", {}, "BLACKLISTED"),
        ("/scripts/{script}/toggle", {"state": False}, "SCRIPT_DISABLED"),
    ],
)
async def test_no_licence_is_made_behind_a_change(
    api: Api, me: Developer, project: str, path: str, change: dict[str, Any], refusal: str
) -> None:
    client = await offline_script(api, project, payload=b"--" + b"x" * 4_000_000)
    key, other = await me.new_user(project), await me.new_user(project, fingerprintless=True)
    if "other" in path:
        await client.execute(key=other, fingerprint=DEVICE)
        await api.history.settle()
    named = path.format(key=key, other=other, script=client.script, project=project)
    # Sealing a large build takes longer than the change.
    asking = [asyncio.create_task(me.post(f"/users/{key}/licence", asked(client))) for _ in range(3)]
    await asyncio.sleep(0)
    done(await me.post(named, change))
    changed_at = api.clock()
    answers = await asyncio.gather(*asking)
    events = done(await me.get(f"/projects/{project}/events?limit=100"))["events"]
    assert [each for each in events if each["kind"] == "user.licensed" and each["at"] > changed_at] == []
    late = [error_of(answer, 403) for answer in answers if answer.status_code != 200]
    assert {(each["code"], each["refusal"]) for each in late} <= {(3, refusal)}


async def test_who_asks_for_many_at_once_waits_and_others_do_not(api: Api, me: Developer, project: str) -> None:
    client, key = await offline_script(api, project), await me.new_user(project)
    answers = await asyncio.gather(*(me.post(f"/users/{key}/licence", asked(client)) for _ in range(40)))
    late = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in late} == {429}
    assert {answer.headers["retry-after"] for answer in late} == {"1"}
    other = await api.developer()
    elsewhere = await other.new_project()
    assert await made(other, await other.new_user(elsewhere), await offline_script(api, elsewhere))
