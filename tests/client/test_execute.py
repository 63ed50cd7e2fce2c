"""`POST /client/v1/execute` over a real socket: what a start gives, writes and refuses."""

import asyncio
import secrets
from typing import Any

import pytest

from moonlatch.clock import DAY_MS, utc_day
from moonlatch.storage import executions
from moonlatch.storage.interface import Query
from support import rows
from support.client import DEVICE, Refused, UnverifiedError
from support.client_server import World
from support.keys import hashed


async def refusal(starting) -> Refused:
    with pytest.raises(Refused) as caught:
        await starting
    return caught.value


async def test_a_start_delivers_the_payload_and_the_runtime_variables(world: World) -> None:
    client = await world.script()
    key = await world.user(discord_id="42", note="a note", key_expires=world.clock() + 3_600_000)
    copy = await client.execute(key=key)
    left = copy.variables.pop("la_seconds_left")
    assert 3_590 <= left <= 3_600
    assert copy.payload == rows.PAYLOAD
    assert copy.reply["heartbeat_seconds"] == 30
    assert copy.reply["session"] == "/client/v1/session"
    assert copy.reply["session_required"] is False
    assert copy.variables | {"la_seconds_left": left} == {
        "la_is_premium": True,
        "la_executions": 1,
        "la_discord_id": "42",
        "la_seconds_left": left,
        "la_user_note": "a note",
        "la_script_name": "Script",
        "la_exists": True,
        "la_supports_sessions": True,
        "la_script_build": 1,
    }


async def test_a_start_is_written_everywhere_it_counts(world: World) -> None:
    client = await world.script()
    key = await world.user()
    copy = await client.execute(key=key)
    assert await world.value("select total_executions from scripts where id = :id", id=client.script) == 1
    assert await world.value("select executions from users where key_hash = :key", key=hashed(key)) == 1
    assert await world.value("select executor from users where key_hash = :key", key=hashed(key)) == "Tests"
    expected = world.keyring.fingerprint(world.project, "ip", "127.0.0.1")
    assert await world.value("select ip from users where key_hash = :key", key=hashed(key)) == expected
    expected = world.keyring.fingerprint(world.project, "fingerprint", DEVICE)
    assert await world.value("select fingerprint from users where key_hash = :key", key=hashed(key)) == expected
    assert await world.value("select script_id from executions where id = :id", id=copy.instance) == client.script
    day = await world.database.fetch_one(
        rows.Query("test.day", "select day, executor, executions from execution_days where script_id = :id"),
        id=client.script,
    )
    assert tuple(day or ()) == (utc_day(world.clock()), "Tests", 1)
    assert (await world.live.counts(client.script)).instances == 1


async def test_a_second_start_counts_on(world: World) -> None:
    client = await world.script()
    key = await world.user()
    await client.execute(key=key)
    copy = await client.execute(key=key, executor=None)
    assert copy.variables["la_executions"] == 2
    assert await world.value("select total_executions from scripts where id = :id", id=client.script) == 2
    counted = await world.value(
        "select executions from execution_days where script_id = :id and executor = 'unknown'", id=client.script
    )
    assert counted == 1


async def test_the_days_of_a_key_begin_with_its_first_use(world: World) -> None:
    client = await world.script()
    key = await world.user(key_days=2)
    copy = await client.execute(key=key)
    assert copy.variables["la_seconds_left"] == 2 * 24 * 3600
    expires = await world.value("select key_expires from users where key_hash = :key", key=hashed(key))
    world.clock.ahead_ms += DAY_MS
    assert (await client.execute(key=key)).variables["la_seconds_left"] <= 24 * 3600
    assert await world.value("select key_expires from users where key_hash = :key", key=hashed(key)) == expires


async def test_without_heartbeats_none_are_asked_for(world: World) -> None:
    client = await world.script(use_heartbeat=False, free_for_all=True)
    assert (await client.execute()).reply["heartbeat_seconds"] is None


async def test_a_client_without_websockets_is_offered_no_session(world: World) -> None:
    client = await world.script(free_for_all=True)
    assert (await client.execute(supports_sessions=False)).reply["session"] is None


async def test_a_reply_is_worthless_without_the_loaders_secret(world: World) -> None:
    client = await world.script(free_for_all=True)
    client.secret = bytes(32)
    with pytest.raises(UnverifiedError):
        await client.execute()


async def test_a_free_for_all_script_runs_without_a_key(world: World) -> None:
    client = await world.script(free_for_all=True)
    copy = await client.execute()
    assert copy.variables["la_is_premium"] is False
    assert copy.variables["la_executions"] == 0
    assert await world.value("select count(*) from executions where id = :id", id=copy.instance) == 1


async def test_a_free_for_all_script_runs_with_an_unknown_or_expired_key(world: World) -> None:
    client = await world.script(free_for_all=True)
    assert (await client.execute(key="unknown")).variables["la_is_premium"] is False
    expired = await world.user(key_expires=1, note="secret note")
    copy = await client.execute(key=expired)
    assert copy.variables["la_is_premium"] is False
    assert copy.variables["la_user_note"] is None
    assert await world.value("select executions from users where key_hash = :key", key=hashed(expired)) == 0


async def test_a_free_for_all_script_knows_a_valid_key(world: World) -> None:
    client = await world.script(free_for_all=True)
    copy = await client.execute(key=await world.user(note="hello"))
    assert copy.variables["la_is_premium"] is True
    assert copy.variables["la_user_note"] == "hello"


async def test_an_unknown_script_is_not_found(world: World) -> None:
    client = await world.script()
    refused = await refusal(client.execute(script_id="x" * 32))
    assert (refused.status, refused.code) == (404, "SCRIPT_NOT_FOUND")


async def test_a_script_that_is_off_or_abandoned_is_disabled(world: World) -> None:
    abandoned = await rows.add_project(world.database, account_expires=world.clock() - 8 * DAY_MS)
    in_grace = await rows.add_project(world.database, account_expires=world.clock() - 6 * DAY_MS)
    for client in (await world.script(enabled=False), await world.script(project=abandoned, free_for_all=True)):
        refused = await refusal(client.execute())
        assert (refused.status, refused.code) == (403, "SCRIPT_DISABLED")
    assert await (await world.script(project=in_grace, free_for_all=True)).execute()


async def test_a_foreign_loader_is_outdated(world: World) -> None:
    client, other = await world.script(free_for_all=True), await world.script()
    refused = await refusal(client.execute(loader=other.loader))
    assert (refused.status, refused.code) == (409, "LOADER_OUTDATED")


async def test_a_script_that_requires_sessions_refuses_a_client_without(world: World) -> None:
    client = await world.script(free_for_all=True, require_sessions=True)
    refused = await refusal(client.execute(supports_sessions=False))
    assert (refused.status, refused.code) == (403, "SESSIONS_REQUIRED")
    assert (await client.execute()).reply["session_required"] is True


async def test_a_key_is_required_and_must_be_one_of_the_project(world: World) -> None:
    client = await world.script()
    foreign = await world.user(project=await rows.add_project(world.database))
    for key, status, code in (
        (None, 401, "KEY_REQUIRED"),
        ("", 401, "KEY_REQUIRED"),
        ("unknown", 404, "KEY_NOT_FOUND"),
        (foreign, 404, "KEY_NOT_FOUND"),
    ):
        refused = await refusal(client.execute(key=key))
        assert (refused.status, refused.code) == (status, code)


async def test_a_blacklisted_key_never_runs_and_is_told_why(world: World) -> None:
    until = world.clock() + DAY_MS
    key = await world.user(blacklisted=True, blacklist_reason="resold", blacklist_expires=until)
    for client in (await world.script(), await world.script(free_for_all=True)):
        refused = await refusal(client.execute(key=key))
        assert (refused.status, refused.code) == (403, "BLACKLISTED")
        assert refused.error["reason"] == "resold"
        assert refused.error["expires"] == until
    world.clock.ahead_ms += DAY_MS + 1
    assert await client.execute(key=key)


async def test_the_device_of_a_blacklisted_key_runs_with_no_other_key(world: World) -> None:
    bad = await world.user(blacklisted=True, blacklist_reason="resold")
    device = world.keyring.fingerprint(world.project, "fingerprint", DEVICE)
    await rows.insert(
        world.database, "bars", project_id=world.project, fingerprint=device, user_id=await world.id_of(bad)
    )
    good = await world.user()
    for client, key in ((await world.script(), good), (await world.script(free_for_all=True), None)):
        refused = await refusal(client.execute(key=key))
        assert refused.code == "BLACKLISTED"
        assert refused.error["reason"] == "resold"
        assert await client.execute(key=key, fingerprint="another device")


async def test_an_expired_key_is_refused(world: World) -> None:
    refused = await refusal((await world.script()).execute(key=await world.user(key_expires=world.clock())))
    assert (refused.status, refused.code) == (403, "KEY_EXPIRED")


async def test_a_bound_key_runs_on_its_device_only(world: World) -> None:
    client, key = await world.script(), await world.user()
    await client.execute(key=key)
    refused = await refusal(client.execute(key=key, fingerprint=None))
    assert (refused.status, refused.code) == (403, "FINGERPRINT_REQUIRED")
    refused = await refusal(client.execute(key=key, fingerprint="another device"))
    assert (refused.status, refused.code) == (403, "FINGERPRINT_MISMATCH")
    assert await client.execute(key=key)


async def test_a_fingerprintless_key_runs_anywhere_and_is_never_bound(world: World) -> None:
    client, key = await world.script(), await world.user(fingerprintless=True)
    await client.execute(key=key)
    await client.execute(key=key, fingerprint="another device")
    assert await world.value("select fingerprint from users where key_hash = :key", key=hashed(key)) is None


async def test_a_start_without_a_fingerprint_leaves_the_key_unbound(world: World) -> None:
    client, key = await world.script(), await world.user()
    await client.execute(key=key, fingerprint=None)
    assert await world.value("select fingerprint from users where key_hash = :key", key=hashed(key)) is None


async def test_a_project_may_ask_for_the_device_of_every_key_that_is_not_for_any(world: World) -> None:
    client, key, roaming = await world.script(), await world.user(), await world.user(fingerprintless=True)
    copy = await client.execute(key=key, fingerprint=None)
    await world.change("update projects set require_fingerprint = true")
    for nothing in (None, ""):
        refused = await refusal(client.execute(key=key, fingerprint=nothing))
        assert (refused.status, refused.code) == (403, "FINGERPRINT_REQUIRED")
        assert "host table needs a fingerprint" in refused.error["message"]
    assert await world.value("select executions from users where key_hash = :key", key=hashed(key)) == 1
    await copy.beat()  # what runs already runs on
    await client.execute(key=roaming, fingerprint=None)
    await client.execute(key=key)
    assert await world.value("select fingerprint from users where key_hash = :key", key=hashed(key)) is not None


async def test_a_keyless_user_of_a_free_for_all_script_needs_no_device(world: World) -> None:
    await world.change("update projects set require_fingerprint = true")
    client = await world.script(free_for_all=True)
    assert (await client.execute(fingerprint=None)).variables["la_is_premium"] is False


async def test_a_key_runs_as_often_at_once_as_it_may(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    await client.execute(key=key)
    refused = await refusal(client.execute(key=key))
    assert (refused.status, refused.code) == (403, "TOO_MANY_INSTANCES")
    world.clock.ahead_ms += 110_000  # three missed beats
    assert await client.execute(key=key)


async def test_a_refused_start_takes_no_place(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    request = client.request(key=key)
    await client.send_execute(request)
    world.clock.ahead_ms += 110_000
    assert (await refusal(client.send_execute(request))).code == "REPLAYED"
    assert (await world.live.counts(client.script)).instances == 0
    assert await client.execute(key=key)


async def test_a_key_is_used_as_often_as_it_may(world: World) -> None:
    client, key = await world.script(), await world.user(max_executions=2)
    await client.execute(key=key)
    await client.execute(key=key)
    refused = await refusal(client.execute(key=key))
    assert (refused.status, refused.code) == (403, "EXECUTION_LIMIT_REACHED")
    assert await world.value("select total_executions from scripts where id = :id", id=client.script) == 2


async def test_a_request_works_once(world: World) -> None:
    client = await world.script(free_for_all=True)
    request = client.request()
    await client.send_execute(request)
    refused = await refusal(client.send_execute(request))
    assert (refused.status, refused.code) == (409, "REPLAYED")
    assert await world.value("select total_executions from scripts where id = :id", id=client.script) == 1


async def outcomes(starts) -> list[str]:
    results = await asyncio.gather(*starts, return_exceptions=True)
    return sorted("granted" if not isinstance(one, BaseException) else one.code for one in results)


async def test_of_64_starts_at_once_only_the_free_places_are_taken(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=5)
    got = await outcomes(client.execute(key=key) for _ in range(64))
    assert got == ["TOO_MANY_INSTANCES"] * 59 + ["granted"] * 5
    assert (await world.live.counts(client.script)).instances == 5


async def test_of_64_starts_at_once_only_the_last_executions_are_granted(world: World) -> None:
    client, key = await world.script(), await world.user(max_executions=7)
    got = await outcomes(client.execute(key=key) for _ in range(64))
    assert got == ["EXECUTION_LIMIT_REACHED"] * 57 + ["granted"] * 7
    assert await world.value("select executions from users where key_hash = :key", key=hashed(key)) == 7
    assert await world.value("select total_executions from scripts where id = :id", id=client.script) == 7
    assert (await world.live.counts(client.script)).instances == 7


async def test_of_64_devices_at_once_exactly_one_gets_the_key(world: World) -> None:
    client, key = await world.script(), await world.user()
    got = await outcomes(client.execute(key=key, fingerprint=secrets.token_hex(8)) for _ in range(64))
    assert got == ["FINGERPRINT_MISMATCH"] * 63 + ["granted"]
    assert await world.value("select executions from users where key_hash = :key", key=hashed(key)) == 1


async def test_a_start_repeated_while_the_first_copy_lives_leaves_it_its_place(world: World) -> None:
    client, key = await world.script(), await world.user()
    request = client.request(key=key)
    copy = await client.send_execute(request)
    assert (await refusal(client.send_execute(request))).code == "REPLAYED"
    assert await world.live.instances_of(await world.id_of(key)) == 1
    await copy.beat()
    assert await world.live.instances_of(await world.id_of(key)) == 1


async def test_two_loaders_may_choose_the_same_nonce(world: World) -> None:
    one, other = await world.script(), await world.script()
    key = await world.user()
    nonce = one.moments.nonce()
    first, second = await one.execute(key=key, nonce=nonce), await other.execute(key=key, nonce=nonce)
    assert first.instance != second.instance


async def test_copies_are_stored_in_the_order_of_the_times_in_their_nonces(world: World) -> None:
    client, key = await world.script(), await world.user()
    now = world.clock()
    times = [f"{now + later:011x}" for later in (3, 1, 2)]
    copies = [await client.execute(key=key, nonce=time + secrets.token_hex(16)) for time in times]
    assert sorted(copy.instance[:11] for copy in copies) == sorted(times)
    assert {len(copy.instance) for copy in copies} == {32}


async def test_clients_cannot_make_up_executors_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "MAX_EXECUTORS", 2)
    client = await world.script(free_for_all=True)
    for name in ("one", "one", "two", "three", "four", "one", "other"):
        await client.execute(executor=name)
    assert await executors_of(world) == {"one": 3, "four": 1, "other": 3}


async def test_a_program_that_is_used_is_counted_by_its_name_whatever_others_call_themselves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "MAX_EXECUTORS", 5)
    client = await world.script(free_for_all=True)
    for number in range(5):
        for _ in range(3):
            await client.execute(executor=f"made up {number}")
    for number in range(5, 30):
        await client.execute(executor=f"made up {number}")
        if number % 3 == 0:
            await client.execute(executor="Delta")
    counted = await executors_of(world)
    assert counted["Delta"] >= 7  # what was counted before its place was safe went to the others
    assert len(counted) == 6
    assert sum(counted.values()) == 15 + 25 + 8


async def executors_of(world: World) -> dict[str, int]:
    rows = await world.database.fetch_all(Query("test.executors", "select executor, executions from execution_days"))
    return {row[0]: row[1] for row in rows}


async def test_a_start_of_a_user_who_is_removed_meanwhile_leaves_nothing_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, key = await world.script(free_for_all=True), await world.user(key_expires=1)
    claim = world.live.claim

    async def remove_first(*arguments: Any, **options: Any) -> None:
        await world.change("delete from users where key_hash = :key", key=hashed(key))
        await claim(*arguments, **options)

    monkeypatch.setattr(world.live, "claim", remove_first)
    copy = await client.execute(key=key)
    await world.app.history.settle()
    assert await world.value("select count(*) from executions where id = :id", id=copy.instance) == 1
    assert await world.value("select count(*) from key_hours") == 0
