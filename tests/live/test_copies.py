"""Running copies, with and without a session: listed in order, and stopped for good, on every engine."""

from __future__ import annotations

from moonlatch.storage.sqlite.engine import SqliteDatabase
from support.client_server import MovableClock
from support.live import AnyLive, Recorded, eventually, has_claimed, join_as, new_instance, redis_live


async def has_none(live: AnyLive, key: str) -> bool:
    return await live.instances_of(key) == 0


async def heard(connection: Recorded, code: str) -> bool:
    return connection.heard == [code]


async def test_copies_are_listed_oldest_first_with_their_sessions(live: AnyLive, clock: MovableClock) -> None:
    copies = [new_instance(started_at=number) for number in (3, 1, 2)]
    for copy in copies:
        assert await has_claimed(live, copy, None)
    assert await has_claimed(live, new_instance("another"), None)
    session, _ = await join_as(live, copies[0])
    found = await live.copies("script", 0, 10)
    assert [(each.instance.id, each.session_id) for each in found] == [
        (copies[1].id, None), (copies[2].id, None), (copies[0].id, session.id),
    ]  # fmt: skip
    assert [each.instance.id for each in await live.copies("script", 1, 1)] == [copies[2].id]
    assert await live.copies("script", 3, 10) == []
    assert await live.copies("nothing", 0, 10) == []
    clock.ahead_ms += 200_000  # only the session keeps its copy
    assert [each.instance.id for each in await live.copies("script", 0, 10)] == [copies[0].id]


async def test_copies_that_beat_again_are_listed_again(live: AnyLive, clock: MovableClock) -> None:
    copy = new_instance()
    assert await has_claimed(live, copy, None)
    clock.ahead_ms += 200_000
    assert await live.copies("script", 0, 10) == []
    assert await live.beat(copy, 1, False, limit=None)
    assert [each.instance.id for each in await live.copies("script", 0, 10)] == [copy.id]


async def test_a_copy_ends_whether_or_not_it_has_a_session(live: AnyLive) -> None:
    alone, connected = new_instance(key="key"), new_instance(key="key")
    for copy in (alone, connected):
        assert await has_claimed(live, copy, None)
    _, connection = await join_as(live, connected)
    for copy in (alone, connected):
        await live.end_copy(copy.id)
        assert await live.instance(copy.id) is None
        await live.end_copy(copy.id)  # which is no news
    assert connection.heard == ["DISCONNECTED"]
    assert await live.instances_of("key") == 0
    assert await live.copies("script", 0, 10) == []


async def test_all_copies_of_a_key_end_and_their_places_are_free(live: AnyLive) -> None:
    mine = [new_instance(key="key") for _ in range(3)]
    theirs = new_instance(key="other")
    for copy in (*mine, theirs):
        assert await has_claimed(live, copy, 3)
    _, connection = await join_as(live, mine[1])
    await live.stop_copies_of("key")
    await live.stop_copies_of("nobody")
    assert connection.heard == ["DISCONNECTED"]
    await eventually(lambda: has_none(live, "key"))
    assert await live.instances_of("other") == 1
    assert await has_claimed(live, new_instance(key="key"), 1)


async def test_copies_are_listed_and_stopped_wherever_they_are_connected(
    redis_url: str, database: SqliteDatabase, clock: MovableClock
) -> None:
    async with redis_live(redis_url, database, clock) as here, redis_live(redis_url, database, clock) as there:
        copies = [new_instance(key="key", started_at=number) for number in range(3)]
        for copy in copies:
            assert await has_claimed(here, copy, None)
        first, one = await join_as(here, copies[0])
        second, two = await join_as(here, copies[1])
        found = await there.copies("script", 0, 10)
        assert [each.session_id for each in found] == [first.id, second.id, None]
        await there.end_copy(copies[0].id)
        await eventually(lambda: heard(one, "DISCONNECTED"))
        await there.stop_copies_of("key")
        await eventually(lambda: heard(two, "DISCONNECTED"))
        await eventually(lambda: has_none(there, "key"))
        assert await there.copies("script", 0, 10) == []
