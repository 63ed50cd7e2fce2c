"""Updates: what they publish, what they cost, and that a failed one changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlatch.builds.outcomes import Published
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.publisher import LoaderRecipe
from moonlatch.config.sections import ProtectorSettings
from moonlatch.licensing.quota import PERIOD_MS
from moonlatch.licensing.tier import Tier
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused, TooLarge, TryLater
from moonlatch.storage import builds, loaders, quota, scripts
from moonlatch.storage.scripts import Script
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.luau import compile_luau, run_lua, run_luau
from support.publishing import Publishing, write_loader
from support.shared_workers import database as database
from support.shared_workers import workers as workers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = 'local greeting = "hello from the source"\nprint(greeting, la_script_name)'


async def refused(
    publishing: Publishing, script: Script, source: str = SOURCE, kind: type[Any] = Refused, **options: object
) -> Any:
    """The error of an update that is refused, after making sure that it changed nothing."""
    before = await publishing.snapshot(script.id)
    with pytest.raises(kind) as error:
        await publishing.publisher(**options).update(publishing.account, script, source)  # type: ignore[arg-type]
    assert await publishing.snapshot(script.id) == before
    return error.value


async def test_the_first_update_publishes_script_and_loader_and_enables_the_script(publishing: Publishing) -> None:
    script = await publishing.set_up()
    published = await publishing.publisher().update(publishing.account, script, SOURCE)
    after = await publishing.script(script.id)
    size = len(await publishing.payload(script.id, 1))
    assert published == Published(
        build=1, warnings=[], readable=[], rollout=None, source_bytes=len(SOURCE), source_lines=2, payload_bytes=size
    )
    assert (after.build, after.enabled) == (1, True)
    assert await publishing.used() == 2
    assert publishing.live.changed == [script.id]


async def test_the_stored_payload_behaves_like_the_source_and_does_not_contain_it(
    publishing: Publishing, tmp_path: Path
) -> None:
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, SOURCE)
    payload = await publishing.payload(script.id, 1)
    host = f"local chunk = (function(...) {payload}\nend)\nchunk({{la_script_name = 'mine'}})"
    assert run_luau(host).output.rstrip("\n") == "hello from the source\tmine"
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert payload.encode() in stored
    assert b"hello from the source" not in stored
    assert b"greeting" not in stored


async def test_the_stored_loader_is_made_for_the_script_and_runs_on_plain_lua(publishing: Publishing) -> None:
    script = await publishing.set_up()
    await publishing.publisher(public_url="https://a.example").update(publishing.account, script, SOURCE)
    source = await publishing.loader_source(script.id)
    loader_id = (await publishing.script(script.id)).loader
    printed = run_lua("lua51", f"print((function() {source}\nend)())").output.split()
    assert printed[:2] == [script.id, loader_id]
    assert printed[3] == "https://a.example"
    assert script.id not in source


@pytest.mark.parametrize("engine", ["lua51", "luajit21", "lua54", "luau"])
async def test_a_script_in_plain_lua_is_published_for_every_lua(publishing: Publishing, engine: str) -> None:
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, SOURCE)
    payload = await publishing.payload(script.id, 1)
    host = f"local chunk = (function(...) {payload}\nend)\nchunk({{la_script_name = 'mine'}})"
    ran = run_luau(host) if engine == "luau" else run_lua(engine, host)
    assert (ran.output.rstrip("\n"), ran.error) == ("hello from the source\tmine", None)


async def test_a_script_that_uses_luau_is_published_for_luau(publishing: Publishing) -> None:
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, "local n = 40\nn += 2\nprint(`{n} is it`)")
    payload = await publishing.payload(script.id, 1)
    assert run_luau(f"(function(...) {payload}\nend)({{}})").output.rstrip("\n") == "42 is it"


async def test_later_updates_keep_the_loader_and_cost_one(publishing: Publishing) -> None:
    script = await publishing.set_up()
    publisher = publishing.publisher()
    await publisher.update(publishing.account, script, SOURCE)
    first = await publishing.script(script.id)
    published = await publisher.update(publishing.account, first, SOURCE)
    second = await publishing.script(script.id)
    assert (published.build, second.build, second.loader) == (2, 2, first.loader)
    assert await publishing.used() == 3


async def test_a_newer_loader_or_another_address_is_built_in_at_the_next_update(publishing: Publishing) -> None:
    script = await publishing.set_up()
    newer = LoaderRecipe(version=2, write=write_loader)
    await publishing.publisher().update(publishing.account, script, SOURCE)
    await publishing.publisher(loader=newer).update(publishing.account, script, SOURCE)
    assert await publishing.used() == 4
    await publishing.publisher(loader=newer, public_url="http://b.example").update(publishing.account, script, SOURCE)
    served = await loaders.find_served(publishing.database, script.id)
    assert served is not None
    assert (served.version, served.base_url) == (2, "http://b.example")
    assert await publishing.used() == 6


async def test_a_script_that_gives_leases_gets_a_loader_for_them_with_its_next_update(publishing: Publishing) -> None:
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, SOURCE)
    assert not (await publishing.loader_source(script.id)).startswith("-- Moonlatch loader\n")
    leasing = msgspec.structs.replace(await publishing.script(script.id), offline_days=7)
    for _ in range(2):
        await publishing.publisher().update(publishing.account, leasing, SOURCE)
        served = await loaders.find_served(publishing.database, script.id)
        assert served is not None
        assert served.keeps_leases
    source = await publishing.loader_source(script.id)
    assert source.startswith("-- Moonlatch loader\n")
    assert run_lua("lua51", f"print((function() {source}\nend)())").output.split()[4] == "True"
    assert await publishing.used() == 2 + 2 + 1


async def test_a_script_that_was_toggled_off_stays_off(publishing: Publishing) -> None:
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, SOURCE)
    off = Script(id=script.id, project_id=script.project_id, name="script", enabled=False, created_at=script.created_at)
    await publishing.database.run(lambda tx: scripts.save_settings(tx, off))
    await publishing.publisher().update(publishing.account, off, SOURCE)
    after = await publishing.script(script.id)
    assert (after.build, after.enabled) == (2, False)


async def test_warnings_of_the_protector_reach_the_author(publishing: Publishing) -> None:
    script = await publishing.set_up()
    published = await publishing.publisher().update(publishing.account, script, "print(getfenv(1))")
    assert published.warnings == [warning for warning in published.warnings if "1" in warning]


@pytest.mark.parametrize(
    "source",
    [
        "local x = ",
        "print('a'",
        "if x then\nprint(1)\n",
        "for i = 1 do end",
        "local function f()\n  return 1\nend end",
        "x = = 1",
        "local s = 'unfinished\nprint(s)",
        "break",
    ],
)
async def test_an_invalid_script_is_refused_with_what_luau_prints(publishing: Publishing, source: str) -> None:
    script = await publishing.set_up()
    error = await refused(publishing, script, source)
    assert error.reason == Reason.SCRIPT_INVALID
    assert error.extras["parser_output"].splitlines()[0] == (compile_luau(source) or "").splitlines()[0]


async def test_a_script_of_another_dialect_gets_a_hint_beside_what_luau_prints(publishing: Publishing) -> None:
    script = await publishing.set_up()
    error = await refused(publishing, script, "if a != b then\n  print(a && b)\nend\n")
    assert error.extras == {
        "parser_output": "script:1: Unexpected '!='; did you mean '~='?",
        "hint": "This reads like GLua (Garry's Mod); Moonlatch takes Luau and Lua 5.1. Instead of `!=` (line 1) write `~=`;"
        " instead of `&&` (line 2) write `and`.",
    }


@pytest.mark.parametrize("before", ["\ufeff", "#!/usr/bin/env lua\n"])
async def test_marks_of_editors_and_shells_are_taken_as_by_hosts_that_read_files(
    publishing: Publishing, before: str
) -> None:
    script = await publishing.set_up()
    published = await publishing.publisher().update(publishing.account, script, f"{before}print('hi')\n")
    assert published.warnings == []


async def test_text_in_backticks_is_warned_of(publishing: Publishing) -> None:
    script = await publishing.set_up()
    published = await publishing.publisher().update(publishing.account, script, "print(`adder`)")
    (warning,) = published.warnings
    assert warning.startswith("line 1: `adder` in backticks is text here, as in Luau, and not FiveM's hash of it;")


async def test_a_script_that_forges_its_licence_data_is_invalid(publishing: Publishing) -> None:
    script = await publishing.set_up()
    error = await refused(publishing, script, "print(1)\nla_is_premium = true")
    assert error.reason == Reason.SCRIPT_INVALID
    assert error.extras["parser_output"].startswith("script:2: la_is_premium may be assigned only inside")


async def test_an_expired_account_is_refused_before_anything_else_is_looked_at(publishing: Publishing) -> None:
    script = await publishing.set_up()
    await publishing.expire()
    error = await refused(publishing, script, "not lua")
    assert error.reason == Reason.ACCOUNT_EXPIRED


async def test_without_quota_even_an_invalid_script_gets_the_quota_error(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    publishing = Publishing(database, workers, Tier(name="none", obfuscations_per_period=0))
    error = await refused(publishing, await publishing.set_up(), "not lua")
    assert error.reason == Reason.MAX_OBFUSCATIONS


async def test_a_quota_that_covers_only_the_script_is_not_enough_for_the_first_update(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    publishing = Publishing(database, workers, Tier(name="one", obfuscations_per_period=1))
    error = await refused(publishing, await publishing.set_up())
    assert error.reason == Reason.NOT_ENOUGH_FOR_LOADER


async def test_an_invalid_script_is_reported_before_a_missing_place_for_the_loader(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    publishing = Publishing(database, workers, Tier(name="one", obfuscations_per_period=1))
    assert (await refused(publishing, await publishing.set_up(), "not lua")).reason == Reason.SCRIPT_INVALID


async def test_build_time_is_spent_by_updates_that_fail_too_and_ends(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    publishing = Publishing(database, workers, Tier(name="little", build_seconds_per_period=1_000))
    script = await publishing.set_up()
    spent = [await publishing.build_ms_used()]
    assert (await refused(publishing, script, "not lua")).reason == Reason.SCRIPT_INVALID
    spent.append(await publishing.build_ms_used())
    await publishing.publisher().update(publishing.account, script, SOURCE)
    spent.append(await publishing.build_ms_used())
    assert 0 == spent[0] < spent[1] < spent[2]
    used = await publishing.used()
    await database.run(lambda tx: quota.spend(tx, publishing.account.id, 1_000_000, now=publishing.now))
    for source in ("not lua", SOURCE):
        assert (await refused(publishing, script, source)).reason == Reason.NO_BUILD_TIME
    assert await publishing.used() == used
    publishing.now += PERIOD_MS
    await publishing.publisher().update(publishing.account, script, SOURCE)


async def test_a_new_period_gives_a_new_quota(database: SqliteDatabase, workers: WorkerPool) -> None:
    publishing = Publishing(database, workers, Tier(name="two", obfuscations_per_period=2))
    script = await publishing.set_up()
    await publishing.publisher().update(publishing.account, script, SOURCE)
    publishing.now += PERIOD_MS - 1
    assert (await refused(publishing, script)).reason == Reason.MAX_OBFUSCATIONS
    publishing.now += 1
    await publishing.publisher().update(publishing.account, script, SOURCE)
    assert await publishing.used() == 1


async def test_a_script_that_takes_too_long_fails_with_the_limits_name(database: SqliteDatabase) -> None:
    workers = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=0.05, memory_mib=1024, max_waiting=1))
    publishing = Publishing(database, workers)
    error = await refused(publishing, await publishing.set_up(), "print(1)\n" * 100_000)
    await workers.close()
    assert error.reason == Reason.NOT_PROTECTED
    assert error.extras["luraph_errors"] == [
        {
            "param": "script",
            "message": "the script took longer than the 0.05 s it may take; "
            "divide the script, choose the profile 'minify' or have protector.timeout_seconds raised",
        }
    ]


async def test_a_loader_that_cannot_be_protected_leaves_everything_as_it_was(publishing: Publishing) -> None:
    script = await publishing.set_up()
    broken = LoaderRecipe(version=1, write=lambda **_: b"local x = ")
    error = await refused(publishing, script, loader=broken)
    assert error.reason == Reason.LOADER_NOT_PROTECTED
    assert error.extras["luraph_errors"][0]["message"].startswith("script:1: Expected identifier")


@pytest.mark.parametrize(
    ("source", "kind", "problem"),
    [
        ("", Invalid, "must not be empty"),
        ("print('\ud800')", Invalid, "has a lone surrogate at character 7"),
        ("x" * 1001, TooLarge, "may have at most 1000 bytes, has 1001"),
        ("é" * 501, TooLarge, "may have at most 1000 bytes, has 1002"),
    ],
)
async def test_a_text_that_can_be_no_script_is_a_validation_error_even_for_an_expired_account(
    database: SqliteDatabase, workers: WorkerPool, source: str, kind: type[Exception], problem: str
) -> None:
    publishing = Publishing(database, workers, Tier(name="small", script_bytes=1000))
    script = await publishing.set_up()
    await publishing.expire()
    error = await refused(publishing, script, source, kind=kind)
    assert str(error) == f"script {problem}"


async def test_only_the_newest_builds_are_kept(database: SqliteDatabase, workers: WorkerPool) -> None:
    publishing = Publishing(database, workers, Tier(name="short", build_history=2))
    script = await publishing.set_up()
    publisher = publishing.publisher()
    for _ in range(4):
        await publisher.update(publishing.account, script, SOURCE)
    kept = await builds.list_of_script(database, script.id)
    assert [build.number for build in kept] == [4, 3, 2]
    assert kept[0].source_bytes == len(SOURCE)
    assert kept[0].payload_bytes == len(await publishing.payload(script.id, 4))


async def test_updates_of_one_script_at_the_same_time_all_get_a_build_of_their_own(publishing: Publishing) -> None:
    script = await publishing.set_up()
    publisher = publishing.publisher()
    published = await asyncio.gather(*(publisher.update(publishing.account, script, SOURCE) for _ in range(5)))
    assert sorted(one.build for one in published) == [1, 2, 3, 4, 5]
    assert await publishing.used() == 6


async def test_updates_of_several_scripts_at_the_same_time_cannot_pass_the_quota(
    database: SqliteDatabase, workers: WorkerPool
) -> None:
    publishing = Publishing(database, workers, Tier(name="five", obfuscations_per_period=5))
    await publishing.set_up()
    ours = [await publishing.new_script() for _ in range(6)]
    publisher = publishing.publisher()
    outcomes = await asyncio.gather(
        *(publisher.update(publishing.account, script, SOURCE) for script in ours), return_exceptions=True
    )
    refusals = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refusals) == 4
    assert set(refusals) <= {Reason.MAX_OBFUSCATIONS, Reason.NOT_ENOUGH_FOR_LOADER}
    assert await publishing.used() == 4


async def test_a_script_that_is_removed_during_its_update_is_not_found_and_costs_nothing(
    publishing: Publishing,
) -> None:
    script = await publishing.set_up()
    update = asyncio.create_task(publishing.publisher().update(publishing.account, script, SOURCE))
    await asyncio.sleep(0)
    await publishing.database.run(lambda tx: scripts.remove(tx, script.id))
    with pytest.raises(NotFound):
        await update
    assert await publishing.used() == 0
    assert publishing.live.changed == []


async def test_when_too_many_updates_wait_the_next_is_told_to_come_back(database: SqliteDatabase) -> None:
    workers = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=60, memory_mib=1024, max_waiting=3))
    publishing = Publishing(database, workers)
    script = await publishing.set_up()
    publisher = publishing.publisher()
    outcomes = await asyncio.gather(
        *(publisher.update(publishing.account, script, SOURCE) for _ in range(3)), return_exceptions=True
    )
    await workers.close()
    assert [str(outcome) for outcome in outcomes if isinstance(outcome, TryLater)] == ["try again in 10 seconds"]


async def test_an_account_that_keeps_its_workers_busy_leaves_one_for_the_others(database: SqliteDatabase) -> None:
    # Nothing here waits for the end of the hostile ones, so they may take as long as a busy machine needs.
    workers = WorkerPool(ProtectorSettings(workers=2, timeout_seconds=60, memory_mib=1024, max_waiting=8))
    hostile, other = Publishing(database, workers), Publishing(database, workers)
    other.account = msgspec.structs.replace(other.account, name="other")
    script = await other.set_up()
    publisher = other.publisher()
    await hostile.set_up()
    theirs = [await hostile.new_script() for _ in range(4)]
    endless = "t[1] = t[2] + (t.x or 4) * 2 - t[3]\n" * 100_000
    floods = [asyncio.create_task(publisher.update(hostile.account, one, endless)) for one in theirs]
    while not workers.process_ids:
        await asyncio.sleep(0.01)
    published = await publisher.update(other.account, script, SOURCE)
    assert published.build == 1
    assert [flood.done() for flood in floods] == [False] * 4
    for flood in floods:
        flood.cancel()
    await asyncio.gather(*floods, return_exceptions=True)
    await workers.close()
