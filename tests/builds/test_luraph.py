"""Updates with the engine `luraph`: what reaches the service, what is published, and that a failure changes nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from moonlatch.builds.outcomes import Published
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.protection import Asked
from moonlatch.builds.publisher import LoaderRecipe
from moonlatch.config.sections import LuraphSettings
from moonlatch.crypto import LURAPH_KEY, SEAL_MARK_BYTES
from moonlatch.keyring import Keyring
from moonlatch.luraph.engine import LuraphEngine, ServiceLimits, luraph_client
from moonlatch.operations.refusals import Reason, Refused, TryLater
from moonlatch.storage import builds, luraph_keys, projects
from moonlatch.storage.builds import Protection
from moonlatch.storage.scripts import Script
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.luau import run_lua, run_luau
from support.luraph_server import API_KEY, LuraphServer, hang, luraph_server, protected_text, reply
from support.publishing import Publishing
from support.shared_workers import database as database
from support.shared_workers import workers as workers

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRUST = ssl.create_default_context()
SOURCE = """
local greeting = LA_ENCRYPT_STRING("hello") -- a comment
if not la_exists then la_script_name = "a mock" end
local shout = LA_NO_VIRTUALIZE(function(text: string) return text:upper() end)
print(greeting, shout(la_script_name), ...)
"""


@pytest_asyncio.fixture(loop_scope="module")
async def luraph() -> AsyncIterator[LuraphServer]:
    async with luraph_server() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def publishing(database: SqliteDatabase, workers: WorkerPool, luraph: LuraphServer) -> AsyncIterator[Publishing]:
    async with luraph_client(TRUST) as client:
        limits = ServiceLimits(pause_seconds=0.01)
        remote = LuraphEngine(client, LuraphSettings(base_url=luraph.base_url, job_seconds=30), limits=limits)
        yield Publishing(database, workers, remote=remote)


async def set_up(publishing: Publishing, *, key: str = API_KEY, **project: Any) -> Script:
    """A script of a project with that engine, and the account's key."""
    publishing.project = msgspec.structs.replace(publishing.project, **{"engine": "luraph", **project})
    script = await publishing.set_up()
    account = publishing.account.id
    sealed = publishing.keyring.seal_secret(LURAPH_KEY, account, key)
    await publishing.database.run(lambda tx: luraph_keys.put(tx, account, sealed))
    return script


async def refused(publishing: Publishing, script: Script, source: str = SOURCE, **options: Any) -> Refused:
    """The error of an update that is refused, after making sure that it cost and changed nothing."""
    before = await publishing.snapshot(script.id)
    with pytest.raises(Refused) as error:
        await publishing.publisher(**options).update(publishing.account, script, source)
    assert await publishing.snapshot(script.id) == before
    return error.value


async def all_wait(luraph: LuraphServer, updates: int) -> None:
    """Until so many updates have asked the service for its nodes."""
    async with asyncio.timeout(60):
        while len(luraph.calls("nodes")) < updates:
            await asyncio.sleep(0.01)


async def test_script_and_loader_are_protected_by_the_service_and_counted(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing)
    published = await publishing.publisher().update(publishing.account, script, SOURCE)
    assert isinstance(published, Published)
    assert (published.build, published.warnings) == (1, [])
    assert list(luraph.jobs) == ["job-1", "job-2"]
    assert [each.json["fileName"] for each in luraph.calls("new")] == ["script.lua", "script (loader).lua"]
    assert (await publishing.payload(script.id, 1)).encode() == protected_text(luraph.jobs["job-1"])
    assert (await publishing.loader_source(script.id)).encode() == protected_text(luraph.jobs["job-2"])
    assert await publishing.used() == 2
    (build,) = await builds.list_of_script(publishing.database, script.id)
    assert build.protection == Protection(profile="minify", target=None, engine="luraph")
    await publishing.publisher().update(publishing.account, script, SOURCE)
    assert len(luraph.jobs) == 3


async def test_the_service_gets_the_script_checked_plain_and_with_its_own_macros(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing)
    await publishing.publisher().update(publishing.account, script, SOURCE)
    text = luraph.jobs["job-1"]
    for gone in (b"greeting", b"comment", b"mock", b"la_exists", b"LA_", b": string"):
        assert gone not in text
    assert b'LPH_ENCSTR"hello"' in text
    assert b"LPH_NO_VIRTUALIZE(function(" in text


@pytest.mark.parametrize("engine", ["luau", "lua51"])
async def test_what_the_service_made_still_reads_the_runtime_table_and_its_arguments(
    publishing: Publishing, engine: str
) -> None:
    script = await set_up(publishing)
    await publishing.publisher().update(publishing.account, script, SOURCE)
    payload = await publishing.payload(script.id, 1)
    host = f"local chunk = (function(...) {payload}\nend)\nchunk({{la_script_name = 'mine'}}, 'one', 2)"
    ran = run_luau(host) if engine == "luau" else run_lua(engine, host)
    assert (ran.output.rstrip("\n"), ran.error) == ("hello\tMINE\tone\t2", None)


async def test_options_of_the_project_and_the_language_of_the_script_are_those_of_the_job(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing, luraph_options={"INTENSE": True})
    publisher = publishing.publisher()
    for source, asked in (
        ("print(1)", Asked()),
        ("local n = 1 n += 1", Asked()),
        ("print(1)", Asked(target="lua51")),
    ):
        await publisher.update(publishing.account, script, source, asked)
    options = [each.json["options"] for each in luraph.calls("new") if "(loader)" not in each.json["fileName"]]
    assert options == [
        {"INTENSE": True},
        {"INTENSE": True, "TARGET_VERSION": "Luau"},
        {"INTENSE": True, "TARGET_VERSION": "Lua 5.1"},
    ]


async def test_one_update_can_choose_the_engine_and_is_told_what_has_no_effect(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing, engine="embedded")
    publisher = publishing.publisher()
    await publisher.update(publishing.account, script, SOURCE)
    assert luraph.requests == []
    asked = Asked(engine="luraph", profile="light")
    published = await publisher.update(publishing.account, script, SOURCE, asked)
    assert published.warnings == ["the profile 'light' has no effect with the engine 'luraph'"]
    assert len(luraph.jobs) == 1


async def test_an_invalid_script_never_reaches_the_service(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing)
    error = await refused(publishing, script, "local x = ")
    assert error.reason == Reason.SCRIPT_INVALID
    assert (await refused(publishing, script, "la_is_premium = true")).reason == Reason.SCRIPT_INVALID
    assert (await refused(publishing, script, "LPH_JIT(5)")).reason == Reason.SCRIPT_INVALID
    assert luraph.requests == []


async def test_the_services_errors_are_code_3_unchanged(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing)
    luraph.plan("new", reply(402, {"errors": [{"param": "useTokens", "message": "No tokens."}, {"message": "Sorry."}]}))
    error = await refused(publishing, script)
    assert error.reason == Reason.NOT_PROTECTED
    assert error.extras["luraph_errors"] == [
        {"param": "useTokens", "message": "No tokens."},
        {"param": None, "message": "Sorry."},
    ]


async def test_when_the_loader_fails_there_is_no_build_either(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing)
    luraph.plan("status", reply(), reply(200, {"error": "Too busy."}))
    error = await refused(publishing, script)
    assert error.reason == Reason.LOADER_NOT_PROTECTED
    assert error.extras["luraph_errors"] == [{"param": None, "message": "Too busy."}]


async def test_a_service_that_is_away_is_code_3_with_its_name(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing)
    await luraph.stop()
    error = await refused(publishing, script)
    assert error.extras["luraph_errors"] == [
        {"param": None, "message": "Luraph did not list its nodes: it cannot be reached"}
    ]


async def test_a_wrong_key_is_the_services_error(publishing: Publishing) -> None:
    error = await refused(publishing, await set_up(publishing, key="other"))
    assert error.extras["luraph_errors"] == [{"param": "Luraph-API-Key", "message": "Invalid API key."}]


async def test_without_a_key_the_way_to_set_one_is_told(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing)
    await publishing.database.run(lambda tx: luraph_keys.clear(tx, publishing.account.id))
    error = await refused(publishing, script)
    assert error.reason == Reason.NOT_PROTECTED
    assert "POST /account/luraph" in error.extras["luraph_errors"][0]["message"]
    assert luraph.requests == []


async def test_a_key_sealed_elsewhere_or_for_another_account_is_no_key(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing)
    account = publishing.account.id
    for sealed in (
        Keyring(b"x" * 32).seal_secret(LURAPH_KEY, account, API_KEY),
        publishing.keyring.seal_secret(LURAPH_KEY, "somebody else", API_KEY),
        publishing.keyring.seal_secret("something else", account, API_KEY),
        b"short",
        b"",
    ):
        await publishing.database.run(lambda tx, sealed=sealed: luraph_keys.put(tx, account, sealed))  # type: ignore[misc]
        error = await refused(publishing, script)
        assert "cannot be read with this server's master key" in error.extras["luraph_errors"][0]["message"]
    assert luraph.requests == []


@pytest.mark.parametrize("result", [b"<html>Bad gateway</html>", b"return(function(...) local t={1,2", b"\0"])
async def test_a_result_that_is_no_script_is_not_published(
    publishing: Publishing, luraph: LuraphServer, result: bytes
) -> None:
    script = await set_up(publishing)
    luraph.plan("download", reply(200, result))
    error = await refused(publishing, script)
    assert error.reason == Reason.NOT_PROTECTED
    assert error.extras["luraph_errors"][0]["message"].startswith("Luraph's result is not a script: script:1: ")


async def test_a_service_that_hangs_does_not_hold_up_our_own_engine(
    publishing: Publishing, luraph: LuraphServer
) -> None:
    script = await set_up(publishing)
    others = [await publishing.new_script() for _ in range(8)]
    luraph.plan("nodes", *[hang] * 8)
    publisher = publishing.publisher()
    hanging = [asyncio.create_task(publisher.update(publishing.account, one, SOURCE)) for one in others]
    await all_wait(luraph, len(others))
    published = await publisher.update(publishing.account, script, SOURCE, Asked(engine="embedded"))
    assert published.build == 1
    assert not any(task.done() for task in hanging)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_an_account_has_half_of_the_places_with_the_service(publishing: Publishing, luraph: LuraphServer) -> None:
    await set_up(publishing)
    scripts = [await publishing.new_script() for _ in range(17)]
    luraph.plan("nodes", *[hang] * 16)
    publisher = publishing.publisher()
    waiting = [asyncio.create_task(publisher.update(publishing.account, one, "print(1)")) for one in scripts[:16]]
    await all_wait(luraph, len(waiting))
    with pytest.raises(TryLater):
        await publisher.update(publishing.account, scripts[16], "print(1)")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_server_without_the_service_says_so(database: SqliteDatabase, workers: WorkerPool) -> None:
    publishing = Publishing(database, workers)
    error = await refused(publishing, await set_up(publishing))
    assert error.extras["luraph_errors"] == [{"param": None, "message": "this server has no such engine"}]


async def test_a_loader_of_ours_stays_when_the_engine_changes(publishing: Publishing, luraph: LuraphServer) -> None:
    script = await set_up(publishing, engine="embedded")
    publisher = publishing.publisher(loader=LoaderRecipe(version=1, write=lambda **_: b"return 1"))
    await publisher.update(publishing.account, script, SOURCE)
    changed = msgspec.structs.replace(publishing.project, engine="luraph")
    await publishing.database.run(lambda tx: projects.save(tx, changed, now=1))
    await publisher.update(publishing.account, script, SOURCE)
    assert len(luraph.jobs) == 1
    assert await publishing.used() == 3


async def test_the_key_is_in_no_log_no_error_and_not_readable_in_the_database(
    publishing: Publishing, luraph: LuraphServer, caplog: pytest.LogCaptureFixture
) -> None:
    script = await set_up(publishing)
    luraph.plan("new", reply(500, b""))
    with caplog.at_level(logging.DEBUG):
        error = await refused(publishing, script)
        await publishing.publisher().update(publishing.account, script, SOURCE)
    assert API_KEY not in f"{error!r} {error.extras} {caplog.text}"
    sealed = await luraph_keys.find(publishing.database, publishing.account.id)
    assert sealed is not None
    assert API_KEY.encode() not in sealed
    assert len(sealed) == SEAL_MARK_BYTES + 12 + len(API_KEY) + 16
