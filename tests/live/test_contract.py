"""What live sessions promise, on every engine."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest

from moonlatch.crypto import new_id
from moonlatch.live.interface import (
    KEPT_MOMENTS_MS,
    AliveAlreadyError,
    Instance,
    LiveCounts,
    NonceUsedError,
    NoPlaceError,
    SessionFilter,
    Told,
)
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support import rows
from support.client_server import MovableClock
from support.live import AnyLive, Recorded, eventually, has_claimed, has_place, join, join_as, new_instance, new_session

EVERYTHING = SessionFilter()
LEASE_MS = 104_000
RETURN_MS = 38_000
HOUR_MS = 3_600_000


async def test_an_instance_is_alive_for_a_lease_after_its_claim_and_after_each_beat(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance(key="key", fingerprint=b"\x00\xff", build=7)
    assert await has_claimed(live, instance, None)
    found = await live.find(instance.id)
    assert found is not None
    assert (found.script_id, found.project_id, found.user_id, found.build, found.started_at, found.fingerprint) == (
        "script", "project", "key", 7, 1, b"\x00\xff",
    )  # fmt: skip
    clock.ahead_ms += LEASE_MS - 1_000
    found = await live.find(instance.id)
    assert found is not None
    assert await live.beat(found, 1, False, limit=None)
    clock.ahead_ms += LEASE_MS - 1_000
    assert await live.instances_of("key") == 1
    assert await live.counts("script") == LiveCounts(0, 1)
    assert await live.alive([instance.id, "another"]) == {instance.id}
    clock.ahead_ms += 2_000
    assert await live.find(instance.id) is None
    assert await live.alive([instance.id]) == set()
    assert await live.instances_of("key") == 0
    assert await live.counts("script") == LiveCounts(0, 0)


async def test_single_moments_are_taken_once_in_any_order(live: AnyLive, clock: MovableClock) -> None:
    clock.ahead_ms += 15_000  # what is from before the memory began is not taken
    now = clock()
    for moment in (now, now - 1_000, now + 1_000):
        assert await live.take_moment("copy", moment, now + KEPT_MOMENTS_MS)
    assert await live.take_moment("other", now, now + KEPT_MOMENTS_MS)
    await live.spend_early("copy", now + 60_000, now + 180_000)
    for moment in (now - 1_000, now, now + 1_000, now + 60_000):
        assert not await live.take_moment("copy", moment, now + KEPT_MOMENTS_MS)


async def test_a_sequence_counts_once_and_a_forgotten_instance_is_known_again(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance()
    assert await live.beat(instance, 5, False, limit=None)
    for sequence, is_new in ((5, False), (4, False), (6, True), (6, False)):
        found = await live.find(instance.id)
        assert found is not None
        assert await live.beat(found, sequence, False, limit=None) is is_new
    clock.ahead_ms += LEASE_MS + 1_000
    assert await live.find(instance.id) is None
    assert await live.beat(new_instance(id=instance.id), 1, False, limit=None)
    assert await live.counts("script") == LiveCounts(0, 1)


async def test_a_claim_beyond_the_limit_is_refused_and_one_that_is_alive_is_not_claimed_again(
    live: AnyLive, clock: MovableClock
) -> None:
    first, second = new_instance(key="key"), new_instance(key="key")
    assert await has_claimed(live, first, 1)
    assert not await has_claimed(live, second, 1)
    assert not await has_claimed(live, new_instance(key="none"), 0)
    with pytest.raises(AliveAlreadyError):
        await has_claimed(live, new_instance(id=first.id, key="key"), 5)
    assert await has_claimed(live, new_instance(), 1), "a key's limit is no other's"
    assert await has_claimed(live, new_instance(), 1)
    await live.release(first.id)
    assert await has_claimed(live, second, 1)
    clock.ahead_ms += LEASE_MS + 1_000
    assert await has_claimed(live, first, 1)


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_claims_at_once_there_are_as_many_winners_as_places(live: AnyLive, places: int) -> None:
    claims = await asyncio.gather(*(has_claimed(live, new_instance(key="key"), places) for _ in range(64)))
    assert Counter(claims) == {True: places, False: 64 - places}
    assert await live.instances_of("key") == places


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_late_beats_at_once_as_many_go_on_as_there_are_places(live: AnyLive, places: int) -> None:
    copies = [new_instance(key="key", started_at=number) for number in range(64)]
    beats = await asyncio.gather(*(has_place(live.beat(copy, 1, False, limit=places)) for copy in copies))
    assert Counter(beats) == {True: places, False: 64 - places}
    assert await live.instances_of("key") == places
    again = await asyncio.gather(*(has_place(live.beat(copy, 2, False, limit=places)) for copy in copies))
    assert again == beats


@pytest.mark.parametrize("places", [1, 7])
async def test_starts_late_beats_and_late_sessions_share_the_places(live: AnyLive, places: int) -> None:
    def session_of(instance: Instance) -> Awaitable[bool]:
        return live.join(new_session(instance), instance, Recorded(), Told(0, None), new_id(), limit=places)

    copies = [new_instance(key="key", started_at=number) for number in range(63)]
    calls = [
        *(has_claimed(live, copy, places) for copy in copies[::3]),
        *(has_place(live.beat(copy, 1, False, limit=places)) for copy in copies[1::3]),
        *(has_place(session_of(copy)) for copy in copies[2::3]),
    ]
    assert Counter(await asyncio.gather(*calls)) == {True: places, False: 63 - places}
    assert await live.instances_of("key") == places


async def test_of_more_copies_than_places_the_oldest_go_on(live: AnyLive) -> None:
    copies = [new_instance(key="key", started_at=number // 2, id=f"{number}") for number in range(6)]
    for copy in reversed(copies[2:]):
        assert await has_claimed(live, copy, None)
    for copy in copies[:2]:
        await join_as(live, copy)
    assert [await live.keeps_place(copy, 3) for copy in copies] == [True] * 3 + [False] * 3
    assert [await has_place(live.beat(copy, 1, False, limit=3)) for copy in copies[::-1]] == [False] * 3 + [True] * 3
    assert await live.instances_of("key") == 3
    assert not await has_claimed(live, new_instance(key="key"), 3)
    assert await live.keeps_place(new_instance(key="another key"), 1)


async def test_a_copy_that_finds_no_place_is_over_with_its_session(live: AnyLive) -> None:
    older, younger = new_instance(key="key", started_at=1), new_instance(key="key", started_at=2)
    await join_as(live, older)
    await join_as(live, younger)
    known = await live.find(younger.id)
    assert known is not None
    with pytest.raises(NoPlaceError):
        await live.join(new_session(younger), known, Recorded(), Told(0, None), new_id(), limit=1)
    assert await live.counts("script") == LiveCounts(1, 1)
    assert await live.find(younger.id) is None


async def test_a_beat_that_finds_no_place_leaves_the_session_to_whoever_holds_it(live: AnyLive) -> None:
    older, younger = new_instance(key="key", started_at=1), new_instance(key="key", started_at=2)
    await join_as(live, older)
    session, _ = await join_as(live, younger)
    known = await live.find(younger.id)
    assert known is not None
    assert not await has_place(live.beat(known, 1, False, limit=1))
    assert await live.session(session.id) == session
    assert await live.counts("script") == LiveCounts(2, 2)


def of_device(device: bytes | None, **changes: Any) -> Instance:
    return new_instance(key="key", fingerprint=device, **changes)


async def test_a_start_takes_the_place_of_its_devices_copy_once_that_is_not_connected(
    live: AnyLive, clock: MovableClock
) -> None:
    crashed = of_device(b"one")
    session, _ = await join_as(live, crashed)
    assert not await has_claimed(live, of_device(b"one"), 1), "its session stands"
    await live.leave(session.id)
    assert not await has_claimed(live, of_device(b"two"), 1)
    assert not await has_claimed(live, of_device(None), 1)
    assert not await has_claimed(live, of_device(b"one", script="other"), 1)
    again = of_device(b"one")
    assert await has_claimed(live, again, 1)
    assert await live.instances_of("key") == 1
    with pytest.raises(NoPlaceError) as refused:
        await live.beat(crashed, 1, False, limit=1)
    assert refused.value.refusal.code == "SUPERSEDED"
    with pytest.raises(NoPlaceError) as refused:
        await live.join(new_session(crashed), crashed, Recorded(), Told(0, None), new_id(), limit=1)
    assert refused.value.refusal.code == "SUPERSEDED"
    with pytest.raises(NoPlaceError) as refused:
        await live.beat(of_device(b"one"), 1, False, limit=1)
    assert refused.value.refusal.code == "TOO_MANY_INSTANCES"


async def test_a_copy_that_beats_is_not_connected_once_it_missed_one(live: AnyLive, clock: MovableClock) -> None:
    copy = of_device(b"one")
    assert await has_claimed(live, copy, 1)
    clock.ahead_ms += RETURN_MS - 1_000
    assert not await has_claimed(live, of_device(b"one"), 1)
    assert await live.beat(copy, 1, False, limit=1)
    clock.ahead_ms += RETURN_MS - 1_000
    assert not await has_claimed(live, of_device(b"one"), 1)
    clock.ahead_ms += 2_000
    with pytest.raises(NoPlaceError):
        await live.claim(of_device(b"one"), 1, beats=False)
    assert await has_claimed(live, of_device(b"one"), 1)


async def test_a_place_may_outlast_the_lease(live: AnyLive, clock: MovableClock) -> None:
    copy = of_device(b"one")
    await live.claim(copy, 1, beats=False, place_ms=HOUR_MS)
    clock.ahead_ms += HOUR_MS - 1_000
    assert await live.alive([copy.id]) == {copy.id}
    assert await live.counts("script") == LiveCounts(0, 1)
    assert [one.instance.id for one in await live.copies("script", 0, 9)] == [copy.id]
    assert await live.instances_of("key") == 1
    with pytest.raises(NoPlaceError):
        await live.claim(of_device(b"two"), 1, beats=False, place_ms=HOUR_MS)
    clock.ahead_ms += 2_000
    assert await live.instances_of("key") == 0
    assert await live.find(copy.id) is None
    assert await live.counts("script") == LiveCounts(0, 0)
    await live.claim(of_device(b"two"), 1, beats=False, place_ms=HOUR_MS)


async def test_a_device_takes_its_own_place_over_after_the_lease(live: AnyLive, clock: MovableClock) -> None:
    first = of_device(b"one")
    await live.claim(first, 1, beats=False, place_ms=HOUR_MS)
    clock.ahead_ms += LEASE_MS - 1_000
    with pytest.raises(NoPlaceError):
        await live.claim(of_device(b"one"), 1, beats=False, place_ms=HOUR_MS)
    clock.ahead_ms += 2_000
    for other in (of_device(b"two"), of_device(None), of_device(b"one", script="other")):
        with pytest.raises(NoPlaceError):
            await live.claim(other, 1, beats=True)
    again = of_device(b"one")
    await live.claim(again, 1, beats=False, place_ms=HOUR_MS)
    assert await live.instances_of("key") == 1
    assert await live.find(first.id) is None
    clock.ahead_ms += HOUR_MS - 1_000
    assert await live.find(again.id) is not None, "its place begins with its own start"


async def test_of_several_places_those_go_first_whose_leases_end_first(live: AnyLive, clock: MovableClock) -> None:
    copies = [of_device(b"one", id=f"{number}") for number in range(3)]
    for copy, hours in zip(copies, (3, 1, 2), strict=True):
        await live.claim(copy, 9, beats=False, place_ms=hours * HOUR_MS)
        clock.ahead_ms += 1_000
    clock.ahead_ms += LEASE_MS
    await live.claim(of_device(b"one"), 2, beats=True)
    assert await live.alive([copy.id for copy in copies]) == {"2"}


async def test_nothing_that_a_copy_says_shortens_its_place(live: AnyLive, clock: MovableClock) -> None:
    beating, connected = of_device(b"one"), of_device(b"one")
    for copy in (beating, connected):
        await live.claim(copy, 2, beats=False, place_ms=HOUR_MS)
    assert await live.beat(beating, 1, False, limit=2)
    session, _ = await join_as(live, connected)
    clock.ahead_ms += HOUR_MS // 2
    await live.leave(session.id)
    clock.ahead_ms += HOUR_MS // 2 - 1_000
    assert await live.alive([beating.id, connected.id]) == {beating.id, connected.id}
    assert await live.beat(beating, 2, False, limit=2)
    clock.ahead_ms += LEASE_MS - 1_000
    assert await live.alive([beating.id, connected.id]) == {beating.id}, "and a beat may make it longer"
    clock.ahead_ms += 2_000
    assert await live.instances_of("key") == 0


async def test_a_device_takes_the_place_of_its_copy_whose_session_ended_at_once(
    live: AnyLive, clock: MovableClock
) -> None:
    copy = of_device(b"one")
    await live.claim(copy, 1, beats=False, place_ms=HOUR_MS)
    session, _ = await join_as(live, copy)
    clock.ahead_ms += 2 * LEASE_MS
    with pytest.raises(NoPlaceError):
        await live.claim(of_device(b"one"), 1, beats=False, place_ms=HOUR_MS)
    await live.leave(session.id)
    with pytest.raises(NoPlaceError):
        await live.claim(of_device(b"two"), 1, beats=False, place_ms=HOUR_MS)
    await live.claim(of_device(b"one"), 1, beats=False, place_ms=HOUR_MS)


@pytest.mark.parametrize("user", [None, "key"])
async def test_where_no_place_is_needed_none_outlasts_the_lease(
    live: AnyLive, clock: MovableClock, user: str | None
) -> None:
    copy = new_instance(key=user)
    await live.claim(copy, 1 if user is None else None, beats=False, place_ms=HOUR_MS)
    clock.ahead_ms += LEASE_MS + 1_000
    assert await live.find(copy.id) is None


async def test_a_place_is_free_at_once_when_its_copy_is_stopped(live: AnyLive) -> None:
    first, second = of_device(b"one"), of_device(b"two")
    await live.claim(first, 1, beats=False, place_ms=HOUR_MS)
    await live.stop_copies_of("key")
    await live.claim(second, 1, beats=False, place_ms=HOUR_MS)
    await live.release(second.id)
    assert await live.instances_of("key") == 0


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_starts_at_once_as_many_take_lasting_places_over_as_there_are(
    live: AnyLive, clock: MovableClock, places: int
) -> None:
    def start() -> Awaitable[bool]:
        return has_place(live.claim(of_device(b"one"), places, beats=False, place_ms=HOUR_MS))

    assert Counter(await asyncio.gather(*(start() for _ in range(64)))) == {True: places, False: 64 - places}
    clock.ahead_ms += LEASE_MS + 1_000
    assert Counter(await asyncio.gather(*(start() for _ in range(64)))) == {True: places, False: 64 - places}
    assert await live.instances_of("key") == places


async def test_a_start_takes_as_many_places_as_it_lacks_or_none(live: AnyLive) -> None:
    for _ in range(2):
        await live.leave((await join_as(live, of_device(b"one")))[0].id)
    assert await has_claimed(live, of_device(b"one"), None)
    assert not await has_claimed(live, of_device(b"one"), 1), "one of three is not its to take"
    assert await live.instances_of("key") == 3
    assert await has_claimed(live, of_device(b"one"), 2)
    assert await live.instances_of("key") == 2


async def test_a_copy_whose_place_was_taken_comes_back_when_there_is_room(live: AnyLive) -> None:
    crashed, again = of_device(b"one"), of_device(b"one")
    await live.leave((await join_as(live, crashed))[0].id)
    assert await has_claimed(live, again, 1)
    await live.release(again.id)
    assert await live.beat(crashed, 1, False, limit=1)
    assert await live.instances_of("key") == 1


async def test_of_many_starts_of_a_device_at_once_one_takes_the_place(live: AnyLive) -> None:
    await live.leave((await join_as(live, of_device(b"one")))[0].id)
    claims = await asyncio.gather(*(has_claimed(live, of_device(b"one"), 1) for _ in range(64)))
    assert Counter(claims) == {True: 1, False: 63}
    assert await live.instances_of("key") == 1


async def test_a_required_session_is_due_from_the_start_and_after_it_was_lost(
    live: AnyLive, clock: MovableClock
) -> None:
    instance = new_instance()
    await has_claimed(live, instance, None)
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
    assert await live.beat(found, 1, False, limit=None)
    found = await live.find(instance.id)
    assert found is not None and found.session_due is None
    assert await live.beat(found, 2, True, limit=None)
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
        SessionFilter(user_id="key"),
        SessionFilter(roblox_id=2**53),
        SessionFilter(place_id=0),
        SessionFilter(job_id="job:3"),
        SessionFilter(user_id="key", place_id=0),
        SessionFilter(user_id="key", place_id=1),
        SessionFilter(user_id="key", roblox_id=2**53, place_id=0, job_id="job:2"),
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
    assert await live.beat(found, 1, True, limit=None)
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
    assert await live.join(session, instance, Recorded(), Told(0, None), "nonce", limit=None)
    for _ in range(3):
        found = await live.find(instance.id)
        assert found is not None
        with pytest.raises(NonceUsedError):
            await live.join(new_session(instance), found, Recorded(), Told(0, None), "nonce", limit=None)
        await join_as(live, instance)
    assert await live.counts("script") == LiveCounts(1, 1)


async def test_a_message_is_answered_and_one_to_nobody_is_not(live: AnyLive) -> None:
    session, connection = await join(live)
    outcome = await live.message(session.id, "handler", {"n": [1, None, "é"]}, 5)
    assert (outcome.processed, outcome.response) == (True, {"n": [1, None, "é"]})
    assert connection.called == ["handler"]
    outcome = await live.message(new_id(), "handler", [], 5)
    assert (outcome.processed, outcome.reason) == (False, "client never responded")


async def test_a_change_ends_the_sessions_it_forbids(live: AnyLive, database: SqliteDatabase) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, free_for_all=True)
    user = await rows.id_of(database, await rows.add_user(database, project, blacklisted=True))
    _, barred = await join(live, script, project, user)
    _, other = await join(live, script, project)
    await live.user_changed(user)
    assert (barred.heard, other.heard) == (["BLACKLISTED"], [])
    await rows.change(database, "update scripts set enabled = false")
    await live.script_changed(script)
    assert other.heard == ["SCRIPT_DISABLED"]

    async def is_empty() -> bool:
        return await live.counts(script) == LiveCounts(0, 0)

    await eventually(is_empty)
