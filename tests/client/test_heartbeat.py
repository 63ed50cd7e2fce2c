"""`POST /client/v1/heartbeat` over a real socket."""

import dataclasses

import pytest

from moonlatch.clock import DAY_MS, HOUR_MS
from moonlatch.keyring import Keyring
from support import rows
from support.client import DEVICE, Copy, Refused, UnverifiedError
from support.client_server import World, another_process


async def refused_beat(copy: Copy, sequence: int | None = None) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await copy.beat(sequence)
    return caught.value.status, caught.value.code


async def test_a_beat_keeps_an_instance_alive(world: World) -> None:
    client = await world.script()
    copy = await client.execute(key=await world.user())
    for _ in range(4):
        world.clock.ahead_ms += 80_000
        assert await copy.beat() is None
        assert (await world.live.counts(client.script)).instances == 1
    world.clock.ahead_ms += 110_000
    assert (await world.live.counts(client.script)).instances == 0


async def test_a_late_beat_brings_a_forgotten_instance_back(world: World) -> None:
    client = await world.script()
    copy = await client.execute(key=await world.user())
    world.clock.ahead_ms += 200_000
    await copy.beat()
    assert (await world.live.counts(client.script)).instances == 1


async def test_a_forgotten_instance_whose_place_was_taken_does_not_come_back(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    first = await client.execute(key=key)
    world.clock.ahead_ms += 200_000
    second = await client.execute(key=key)
    assert await refused_beat(first) == (403, "TOO_MANY_INSTANCES")
    assert await second.beat() is None


async def test_a_beat_tells_how_long_the_key_is_valid(world: World) -> None:
    client = await world.script()
    copy = await client.execute(key=await world.user(key_expires=world.clock() + 1_000_000))
    assert 998 <= (await copy.beat() or 0) <= 1_000


async def test_a_sequence_works_once_and_only_upwards(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    at = copy.moments.next()
    await copy.beat(at + 5)
    assert await refused_beat(copy, at + 5) == (409, "REPLAYED")
    assert await refused_beat(copy, at + 4) == (409, "REPLAYED")
    assert await copy.beat(at + 6) is None


async def test_a_copy_of_an_earlier_loader_beats_with_numbers(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute(protocol=1)
    assert "time" not in copy.reply
    world.clock.ahead_ms += 13 * HOUR_MS  # its tokens do not end, for it takes no others
    await copy.beat(5)
    assert await refused_beat(copy, 5) == (409, "REPLAYED")
    assert await refused_beat(copy, 4) == (409, "REPLAYED")
    assert await copy.beat(6) is None


async def test_a_token_ends_unless_beats_renew_it(world: World) -> None:
    script = await world.script(free_for_all=True)
    beating, silent = await script.execute(), await script.execute()
    first = beating.reply["token"]
    for _ in range(13):
        world.clock.ahead_ms += HOUR_MS
        await beating.beat()
    assert beating.reply["token"] != first
    assert await refused_beat(silent) == (404, "INSTANCE_UNKNOWN")
    beating.reply["token"] = first
    assert await refused_beat(beating) == (404, "INSTANCE_UNKNOWN")


@pytest.mark.parametrize("off_ms", [-121_000, -DAY_MS, 2_500, DAY_MS])
async def test_a_beat_of_another_time_is_told_the_right_one(world: World, off_ms: int) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    with pytest.raises(Refused) as refused:
        await copy.beat(world.clock() + off_ms)
    assert (refused.value.status, refused.value.code) == (409, "CLOCK_WRONG")
    assert abs(refused.value.error["time"] - world.clock()) < 5_000
    assert await copy.beat() is None


async def test_a_token_of_another_instance_is_unknown(world: World) -> None:
    client = await world.script(free_for_all=True)
    one, other = await client.execute(), await client.execute()
    one.reply["token"] = other.reply["token"]
    assert await refused_beat(one) == (404, "INSTANCE_UNKNOWN")


async def test_a_forged_or_broken_token_is_unknown(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    good = copy.reply["token"]
    flipped = ("B" if good[20] == "A" else "A").join([good[:20], good[21:]])
    for token in ("", "x", "\u00e9" * 10, good[:-4], good + "AAAA", flipped, "A" * 1024):
        copy.reply["token"] = token
        assert await refused_beat(copy) == (404, "INSTANCE_UNKNOWN")


async def test_a_token_of_another_server_is_unknown(world: World) -> None:
    from moonlatch.client.tokens import CLAIMS_VERSION, Claims, issue

    copy = await (await world.script(free_for_all=True)).execute()
    claims = Claims(
        copy.instance, copy.client.script, copy.client.loader, 1, None, None, True, 1, version=CLAIMS_VERSION
    )
    copy.reply["token"] = issue(Keyring(bytes(32)), claims)
    assert await refused_beat(copy) == (404, "INSTANCE_UNKNOWN")


async def test_a_script_that_was_removed_or_switched_off_stops(world: World) -> None:
    client = await world.script(free_for_all=True)
    copy = await client.execute()
    await world.change("update scripts set enabled = false")
    assert await refused_beat(copy) == (403, "SCRIPT_DISABLED")
    assert (await world.live.counts(client.script)).instances == 0
    await world.change("delete from scripts")
    assert await refused_beat(copy) == (404, "SCRIPT_NOT_FOUND")


async def test_an_account_that_expired_long_ago_stops_its_scripts(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    await world.change("update accounts set expires_at = :at", at=world.clock())
    assert await copy.beat() is None
    await world.change("update accounts set expires_at = :at", at=world.clock() - 7 * DAY_MS)
    assert await refused_beat(copy) == (403, "SCRIPT_DISABLED")


async def test_an_old_build_stops_when_the_script_kicks_old_ones(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    await world.change("update scripts set build = 2")
    assert await copy.beat() is None
    await world.change("update scripts set kick_outdated = true")
    assert await refused_beat(copy) == (403, "OUTDATED")


async def test_a_key_that_was_removed_blacklisted_or_expired_stops(world: World) -> None:
    client, key = await world.script(), await world.user()
    copy = await client.execute(key=key)
    await world.change("update users set key_expires = 1")
    assert await refused_beat(copy) == (403, "KEY_EXPIRED")
    await world.change("update users set blacklisted = true")
    assert await refused_beat(copy) == (403, "BLACKLISTED")
    await world.change("delete from users")
    assert await refused_beat(copy) == (404, "KEY_NOT_FOUND")


async def test_a_barred_device_stops_whatever_its_key(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    device = world.keyring.fingerprint(world.project, "fingerprint", DEVICE)
    bad = await world.user(blacklisted=True)
    await rows.insert(
        world.database, "bars", project_id=world.project, fingerprint=device, user_id=await world.id_of(bad)
    )
    assert await refused_beat(copy) == (403, "BLACKLISTED")


async def test_a_key_that_moved_to_another_device_stops_on_the_first(world: World) -> None:
    client, key = await world.script(), await world.user()
    first = await client.execute(key=key)
    await world.change("update users set fingerprint = null")
    assert await first.beat() is None
    second = await client.execute(key=key, fingerprint="another device")
    assert await refused_beat(first) == (403, "FINGERPRINT_MISMATCH")
    assert await second.beat() is None


async def test_a_key_that_expires_in_a_free_for_all_script_runs_on(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute(key=await world.user())
    await world.change("update users set key_expires = 1")
    assert await copy.beat() is None


async def test_a_key_is_required_when_a_script_stops_being_free_for_all(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    await world.change("update scripts set free_for_all = false")
    assert await refused_beat(copy) == (401, "KEY_REQUIRED")


async def test_a_required_session_has_30_seconds_to_open(world: World) -> None:
    client = await world.script(free_for_all=True, require_sessions=True)
    with_session, without = await client.execute(), await client.execute()
    wire = await with_session.session()
    world.clock.ahead_ms += 31_000
    assert await refused_beat(without) == (403, "SESSIONS_REQUIRED")
    assert await with_session.beat() is None
    await wire.socket.close()
    await wire.socket.wait_closed()
    for passed in (30_000, 29_000):
        world.clock.ahead_ms += passed
        assert await with_session.beat() is None
    world.clock.ahead_ms += 2_000
    assert await refused_beat(with_session) == (403, "SESSIONS_REQUIRED")


async def test_a_new_requirement_gives_running_copies_a_minute(world: World) -> None:
    client = await world.script(free_for_all=True)
    capable, incapable = await client.execute(), await client.execute(supports_sessions=False)
    world.clock.ahead_ms += 60_000
    await capable.beat()
    await incapable.beat()
    await world.change("update scripts set require_sessions = true")
    assert await refused_beat(incapable) == (403, "SESSIONS_REQUIRED")
    assert await capable.beat() is None
    world.clock.ahead_ms += 61_000
    assert await refused_beat(capable) == (403, "SESSIONS_REQUIRED")


async def test_two_restarts_of_the_server_change_nothing_for_a_running_copy(world: World) -> None:
    from moonlatch.live.memory import LocalLive

    client = await world.script(free_for_all=True)
    copy = await client.execute()
    await copy.beat()
    fresh = LocalLive(database=world.database, clock=world.clock)
    world.live._presence, world.live._hub = fresh._presence, fresh._hub
    assert await copy.beat() is None
    assert (await world.live.counts(client.script)).instances == 1


async def test_an_instance_that_opened_no_session_in_time_does_not_come_back_by_beating_on(world: World) -> None:
    copy = await (await world.script(require_sessions=True)).execute(key=await world.user())
    world.clock.ahead_ms += 31_000
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            await copy.beat()
        assert refused.value.code == "SESSIONS_REQUIRED"


async def test_a_copy_agrees_on_a_key_with_its_first_beat(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    first = copy.reply["token"]
    await copy.beat()
    second = copy.reply["token"]
    assert first != second
    assert len(second) < 1_024
    await copy.beat()
    assert copy.reply["token"] == second


async def test_any_process_knows_a_copys_key_by_its_token_and_renews_it(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    await copy.beat()
    agreed, copy.share = copy.reply["token"], None
    async with another_process(world.database, world.clock) as other:
        copy.client.url = other.url
        await copy.beat()
        other.clock.ahead_ms += 2 * HOUR_MS
        await copy.beat()
        assert copy.reply["token"] != agreed
        await copy.beat()
        await copy.session()


async def test_a_copy_without_a_key_of_its_own_goes_on_as_it_did(world: World) -> None:
    script = await world.script(free_for_all=True)
    script.exchange_key = None
    copy = await script.execute()
    token = copy.reply["token"]
    assert await copy.beat() is None
    await copy.session()
    assert copy.reply["token"] == token


SMALL_ORDER = "00" * 32
"""What X25519 makes of it, everybody knows."""


@pytest.mark.parametrize("share", [SMALL_ORDER, "01" + "00" * 31, "zz" * 32, "\u00e9" * 64])
async def test_a_share_that_agrees_on_nothing_is_refused(world: World, share: str) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    copy.share = share
    assert await refused_beat(copy) == (400, "INVALID_REQUEST")
    wire = await copy.connect()
    assert (await wire.closed())[0] == 3501


async def test_a_share_of_another_length_is_refused(world: World) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    copy.share = "00" * 31
    assert await refused_beat(copy) == (400, "INVALID_REQUEST")


async def test_a_thief_of_the_token_who_sends_his_own_share_learns_no_key_of_the_copy(world: World) -> None:
    """His token carries his key; under it, nothing is told to the copy that it would believe."""
    copy = await (await world.script(free_for_all=True)).execute()
    thief = dataclasses.replace(copy, reply=dict(copy.reply))
    thief.live = copy.client.live_of(copy.instance)
    thief.agree(world.keyring.exchange_key)
    await thief.beat()
    await copy.beat()
    assert thief.live != copy.live
    copy.reply["token"] = thief.reply["token"]
    with pytest.raises(UnverifiedError):
        await copy.beat()
