"""What live sessions promise, on every engine."""

import asyncio
from collections import Counter

import pytest

from moonlatch.crypto import new_id
from moonlatch.live.interface import AliveAlreadyError, LiveCounts, NonceUsedError, SessionFilter, Told
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support import rows
from support.client_server import MovableClock
from support.live import AnyLive, Recorded, eventually, join, join_as, new_instance, new_session

EVERYTHING = SessionFilter()
LEASE_MS = 104_000
RETURN_MS = 38_000


async def test_an_instance_is_alive_for_a_lease_after_its_claim_and_after_each_beat(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance(key="key", fingerprint=b"\x00\xff", build=7)
    assert await live.claim(instance, None)
    found = await live.find(instance.id)
    assert found is not None
    assert (found.script_id, found.project_id, found.user_key, found.build, found.started_at, found.fingerprint) == (
        "script", "project", "key", 7, 1, b"\x00\xff",
    )  # fmt: skip
    clock.ahead_ms += LEASE_MS - 1_000
    found = await live.find(instance.id)
    assert found is not None
    assert await live.beat(found, 1, False)
    clock.ahead_ms += LEASE_MS - 1_000
    assert await live.instances_of("key") == 1
    assert await live.counts("script") == LiveCounts(0, 1)
    clock.ahead_ms += 2_000
    assert await live.find(instance.id) is None
    assert await live.instances_of("key") == 0
    assert await live.counts("script") == LiveCounts(0, 0)


async def test_a_sequence_counts_once_and_a_forgotten_instance_is_known_again(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance()
    assert await live.beat(instance, 5, False)
    for sequence, is_new in ((5, False), (4, False), (6, True), (6, False)):
        found = await live.find(instance.id)
        assert found is not None
        assert await live.beat(found, sequence, False) is is_new
    clock.ahead_ms += LEASE_MS + 1_000
    assert await live.find(instance.id) is None
    assert await live.beat(new_instance(id=instance.id), 1, False)
    assert await live.counts("script") == LiveCounts(0, 1)


async def test_a_claim_beyond_the_limit_is_refused_and_one_that_is_alive_is_not_claimed_again(
    live: AnyLive, clock: MovableClock
) -> None:
    first, second = new_instance(key="key"), new_instance(key="key")
    assert await live.claim(first, 1)
    assert not await live.claim(second, 1)
    assert not await live.claim(new_instance(key="none"), 0)
    with pytest.raises(AliveAlreadyError):
        await live.claim(new_instance(id=first.id, key="key"), 5)
    assert await live.claim(new_instance(), 1), "a key's limit is no other's"
    assert await live.claim(new_instance(), 1)
    await live.release(first.id)
    assert await live.claim(second, 1)
    clock.ahead_ms += LEASE_MS + 1_000
    assert await live.claim(first, 1)


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_claims_at_once_there_are_as_many_winners_as_places(live: AnyLive, places: int) -> None:
    claims = await asyncio.gather(*(live.claim(new_instance(key="key"), places) for _ in range(64)))
    assert Counter(claims) == {True: places, False: 64 - places}
    assert await live.instances_of("key") == places


async def test_a_required_session_is_due_from_the_start_and_after_it_was_lost(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance()
    await live.claim(instance, None)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is not None
    assert found.session_due - clock() == pytest.approx(30_000, abs=2_000)
    session, _ = await join_as(live, instance)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is None
    await live.leave(session.id)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is not None
    assert found.session_due - clock() == pytest.approx(60_000, abs=2_000)
    assert await live.beat(found, 1, False)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is None
    assert await live.beat(found, 2, True)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is not None


async def test_sessions_are_counted_listed_oldest_first_and_paged(live: AnyLive) -> None:
    joined = [(await join(live, created_at=1_000 - number // 2))[0] for number in range(7)]
    await join(live, script="other")
    expected = sorted(joined, key=lambda session: (session.created_at, session.id))
    assert await live.sessions("script", EVERYTHING, 0, 50) == expected
    assert await live.sessions("script", EVERYTHING, 2, 3) == expected[2:5]
    assert await live.sessions("script", EVERYTHING, 6, 50) == expected[6:]
    assert await live.sessions("script", EVERYTHING, 7, 50) == []
    assert await live.counts("script") == LiveCounts(7, 7)
    assert await live.session(expected[0].id) == expected[0]
    assert await live.session(new_id()) is None
    assert await live.sessions("nothing", EVERYTHING, 0, 50) == []


async def test_every_filter_is_exact_and_they_are_combined_with_and(live: AnyLive) -> None:
    for number in range(24):
        await join(
            live,
            key=None if number % 2 else "key",
            roblox_id=2**53 if number % 3 else None,
            place_id=number % 2,
            job_id=f"job:{number % 4}",
            created_at=number,
        )
    every = await live.sessions("script", EVERYTHING, 0, 50)
    for where in (
        SessionFilter(user_key="key"),
        SessionFilter(roblox_id=2**53),
        SessionFilter(place_id=0),
        SessionFilter(job_id="job:3"),
        SessionFilter(user_key="key", place_id=0),
        SessionFilter(user_key="key", place_id=1),
        SessionFilter(user_key="key", roblox_id=2**53, place_id=0, job_id="job:2"),
        SessionFilter(job_id="job"),
        SessionFilter(roblox_id=2**53 - 1),
    ):
        wanted = {name: getattr(where, name) for name in where.__struct_fields__ if getattr(where, name) is not None}
        expected = [
            session for session in every if all(getattr(session, name) == value for name, value in wanted.items())
        ]
        assert await live.sessions("script", where, 0, 50) == expected
        assert await live.sessions("script", where, 1, 2) == expected[1:3]


async def test_a_session_holds_its_instance_and_leaves_it_a_short_lease(live: AnyLive, clock: MovableClock) -> None:
    session, _ = await join(live, key="key")
    clock.ahead_ms += 10 * LEASE_MS
    assert await live.counts("script") == LiveCounts(1, 1)
    await live.leave(session.id)
    await live.leave(session.id)
    clock.ahead_ms += RETURN_MS - 1_000
    assert await live.counts("script") == LiveCounts(0, 1)
    assert await live.session(session.id) is None
    clock.ahead_ms += 2_000
    assert await live.counts("script") == LiveCounts(0, 0)
    assert await live.instances_of("key") == 0


async def test_a_held_instance_is_neither_released_nor_shortened_by_a_beat(live: AnyLive, clock: MovableClock) -> None:
    instance = new_instance()
    await join_as(live, instance)
    found = await live.find(instance.id)
    assert found is not None
    assert await live.beat(found, 1, True)
    await live.release(instance.id)
    clock.ahead_ms += 10 * LEASE_MS
    assert await live.counts("script") == LiveCounts(1, 1)


async def test_the_newer_session_of_an_instance_takes_over(live: AnyLive) -> None:
    instance = new_instance()
    old, connection = await join_as(live, instance)
    new, _ = await join_as(live, instance, created_at=2)
    assert connection.heard == [3003]
    await live.leave(old.id)
    assert await live.sessions("script", EVERYTHING, 0, 50) == [new]
    assert await live.counts("script") == LiveCounts(1, 1)


async def test_a_nonce_opens_one_session(live: AnyLive) -> None:
    instance = new_instance()
    session = new_session(instance)
    assert await live.join(session, instance, Recorded(), Told(0, None), "nonce")
    for _ in range(3):
        found = await live.find(instance.id)
        assert found is not None
        with pytest.raises(NonceUsedError):
            await live.join(new_session(instance), found, Recorded(), Told(0, None), "nonce")
        await join_as(live, instance)
    assert await live.counts("script") == LiveCounts(1, 1)


async def test_a_message_is_answered_and_one_to_nobody_is_not(live: AnyLive) -> None:
    session, connection = await join(live)
    outcome = await live.message(session.id, "handler", {"n": [1, None, "é"]}, 5)
    assert (outcome.processed, outcome.response) == (True, {"n": [1, None, "é"]})
    assert connection.called == ["handler"]
    outcome = await live.message(new_id(), "handler", [], 5)
    assert (outcome.processed, outcome.reason) == (False, "client never responded")


async def test_a_disconnect_is_written_ends_the_instance_and_happens_once(
    live: AnyLive, database: SqliteDatabase
) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    session, connection = await join(live, script, project)
    await rows.insert(database, "executions", id=session.instance_id, script_id=script, build=1, started_at=1)
    assert await live.disconnect(session.id)
    assert connection.heard == ["DISCONNECTED"]
    assert await rows.value(database, "select stopped from executions") == "DISCONNECTED"
    assert await live.counts(script) == LiveCounts(0, 0)
    assert not await live.disconnect(session.id)


async def test_a_change_ends_the_sessions_it_forbids(live: AnyLive, database: SqliteDatabase) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, free_for_all=True)
    key = await rows.add_user(database, project, blacklisted=True)
    _, barred = await join(live, script, project, key)
    _, other = await join(live, script, project)
    await live.user_changed(key)
    assert (barred.heard, other.heard) == (["BLACKLISTED"], [])
    await rows.change(database, "update scripts set enabled = false")
    await live.script_changed(script)
    assert other.heard == ["SCRIPT_DISABLED"]

    async def is_empty() -> bool:
        return await live.counts(script) == LiveCounts(0, 0)

    await eventually(is_empty)
