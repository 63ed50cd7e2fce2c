"""Several processes around one Redis: each sees what the others hold, reaches it, and outlives them and Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from moonlatch.crypto import new_id
from moonlatch.live import redis_connection as engine
from moonlatch.live import redis_directory
from moonlatch.live.interface import (
    LiveCounts,
    LiveUnavailableError,
    NonceUsedError,
    NoPlaceError,
    SessionFilter,
    Told,
)
from moonlatch.live.redis import RedisLive
from moonlatch.storage.sqlite.engine import SqliteDatabase
from support import rows
from support.client_server import MovableClock
from support.live import (
    Recorded,
    die,
    eventually,
    has_claimed,
    has_place,
    join,
    join_as,
    new_instance,
    new_session,
    redis_live,
)
from support.services import RedisServer, redis_command, running

EVERYTHING = SessionFilter()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are found dead sooner, so that nobody waits for it."""
    monkeypatch.setattr(engine, "PROCESS_LEASE_MS", 1_500)
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(engine, "RECONNECT_SECONDS", 0.05)


@pytest.fixture(autouse=True)
async def _known_script(database: SqliteDatabase) -> None:
    """The script that sessions are of unless a test says otherwise: nobody who looks again ends them."""
    project = await rows.add_project(database)
    await rows.insert(
        database,
        "scripts",
        id="script",
        project_id=project,
        name="Script",
        free_for_all=True,
        enabled=True,
        build=1,
        created_at=1,
    )


@pytest.fixture
async def pair(redis_url: str, database: SqliteDatabase) -> AsyncIterator[tuple[RedisLive, RedisLive]]:
    async with redis_live(redis_url, database) as one, redis_live(redis_url, database) as other:
        yield one, other


@pytest.fixture(scope="module")
def fragile() -> Iterator[RedisServer]:
    """A Redis that the tests of this module may stop and pause."""
    with running(RedisServer()) as server:
        yield server


async def test_each_process_sees_all(pair: tuple[RedisLive, RedisLive]) -> None:
    one, other = pair
    first, _ = await join(one, key="key", created_at=1)
    second, _ = await join(other, key="key", created_at=2)
    for live in pair:
        assert await live.sessions("script", EVERYTHING, 0, 50) == [first, second]
        assert await live.counts("script") == LiveCounts(2, 2)
        assert await live.instances_of("key") == 2
        assert await live.session(first.id) == first
    await one.leave(first.id)

    async def has_left() -> bool:  # it is told over another connection than the one that asks
        return await other.sessions("script", SessionFilter(user_id="key"), 0, 50) == [second]

    await eventually(has_left)


async def test_of_claims_in_two_processes_as_many_win_as_there_are_places(pair: tuple[RedisLive, RedisLive]) -> None:
    claims = [has_claimed(live, new_instance(key="key"), 5) for _ in range(32) for live in pair]
    assert sum(await asyncio.gather(*claims)) == 5


async def test_late_beats_and_late_sessions_in_two_processes_share_the_places(
    pair: tuple[RedisLive, RedisLive],
) -> None:
    copies = [new_instance(key="key", started_at=number) for number in range(64)]
    calls = []
    for number, copy in enumerate(copies):
        live = pair[number % 2]
        if number % 4 < 2:
            calls.append(live.beat(copy, 1, False, limit=5))
        else:
            calls.append(live.join(new_session(copy), copy, Recorded(), Told(0, None), new_id(), limit=5))
    assert sum(await asyncio.gather(*map(has_place, calls))) == 5
    assert await pair[0].instances_of("key") == 5
    held = sum(len(live.here.members()) for live in pair)
    assert (await pair[1].counts("script")).sessions == held


async def test_a_lowered_limit_stops_the_youngest_sessions_wherever_they_are(
    pair: tuple[RedisLive, RedisLive], database: SqliteDatabase
) -> None:
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project)
    user = await rows.id_of(database, await rows.add_user(database, project))
    copies = [new_instance(script, user, project_id=project, started_at=number) for number in range(10)]
    connections = [(await join_as(pair[number % 2], copy))[1] for number, copy in enumerate(copies)]
    await rows.change(database, "update users set max_instances = 3")
    await pair[0].user_changed(user)
    for connection in connections[3:]:
        await heard(connection, "TOO_MANY_INSTANCES")
    assert not [one for one in connections[:3] if "TOO_MANY_INSTANCES" in one.heard]
    await counted(pair[1], script, LiveCounts(3, 3))


async def test_a_start_takes_the_place_of_its_devices_copy_wherever_that_was(pair: tuple[RedisLive, RedisLive]) -> None:
    one, _ = pair
    crashed = new_instance(key="key", fingerprint=b"device")
    session, _ = await join_as(one, crashed)
    starts = [has_claimed(live, new_instance(key="key", fingerprint=b"device"), 1) for _ in range(32) for live in pair]
    assert sum(await asyncio.gather(*starts)) == 0
    await one.leave(session.id)
    starts = [has_claimed(live, new_instance(key="key", fingerprint=b"device"), 1) for _ in range(32) for live in pair]
    assert sum(await asyncio.gather(*starts)) == 1
    for live in pair:
        with pytest.raises(NoPlaceError) as refused:
            await live.beat(crashed, 1, False, limit=1)
        assert refused.value.refusal.code == "SUPERSEDED"


@pytest.mark.usefixtures("quick")
async def test_a_copy_that_another_process_only_remembers_stops_nobody(
    redis_url: str, database: SqliteDatabase, clock: MovableClock
) -> None:
    async with redis_live(redis_url, database, clock) as one, redis_live(redis_url, database, clock) as other:
        gone = new_instance(key="key", started_at=1)
        assert await has_claimed(one, gone, 1)
        await other.release(gone.id)
        running = new_instance(key="key", started_at=2)
        assert await has_claimed(other, running, 1)
        redis_command(redis_url, "DEL", f"test:process:{one.process}")

        async def is_reminded() -> bool:
            return await other.find(gone.id) is not None

        await eventually(is_reminded)
        assert await has_place(other.beat(running, 1, False, limit=1))
        assert not await has_claimed(other, new_instance(key="key"), 1)
        assert await has_place(one.beat(gone, 1, False, limit=1)), "it was alive after all"
        assert not await has_place(other.beat(running, 2, False, limit=1))


@pytest.mark.usefixtures("quick")
async def test_copies_that_went_on_without_redis_are_counted_when_it_is_back(
    fragile: RedisServer, database: SqliteDatabase
) -> None:
    url = fragile.url(0)
    redis_command(url, "FLUSHALL")
    async with redis_live(url, database) as one, redis_live(url, database) as other:
        copies = [new_instance(key="key", started_at=number) for number in range(8)]
        fragile.stop()
        for number, copy in enumerate(copies):
            assert await has_place((one, other)[number % 2].beat(copy, 1, False, limit=2))
            assert await one.keeps_place(copy, 2)
        fragile.start()

        async def are_known() -> bool:
            with contextlib.suppress(LiveUnavailableError):
                return await one.instances_of("key") == len(copies) and other._directory.is_up
            return False

        await eventually(are_known)
        for sequence in (2, 3):  # all are heard again, and then they are counted
            went_on = [await has_place(one.beat(copy, sequence, False, limit=2)) for copy in copies]
        assert went_on == [True] * 2 + [False] * 6


async def test_a_sequence_and_a_nonce_count_once_wherever_they_come(pair: tuple[RedisLive, RedisLive]) -> None:
    one, other = pair
    instance = new_instance()
    assert await one.beat(instance, 1, False, limit=None)
    known = await other.find(instance.id)
    assert known is not None
    assert not await other.beat(known, 1, False, limit=None)
    assert await other.beat(known, 2, False, limit=None)
    stale = await one.here.find(instance.id)
    assert stale is not None
    assert not await one.beat(stale, 2, False, limit=None)
    assert await one.join(new_session(instance), known, Recorded(), Told(0, None), "nonce", limit=None)
    with pytest.raises(NonceUsedError):
        await other.join(
            new_session(instance), new_instance(id=instance.id), Recorded(), Told(0, None), "nonce", limit=None
        )
    assert await other.counts("script") == LiveCounts(1, 1)
    assert other.here.members() == []


async def test_a_beat_that_was_judged_before_its_copy_was_ended_elsewhere_takes_no_place(
    pair: tuple[RedisLive, RedisLive],
) -> None:
    one, other = pair
    copy = new_instance(key="key")
    await one.claim(copy, 1, beats=True)
    known_changes = one.changes
    await other.end_copy(copy.id)
    await other._directory.settle()
    await one.beat(copy, 1, False, limit=1)
    assert await other.instances_of("key") == 0
    assert one.changes > known_changes  # so whoever let it go on looks again
    assert one.alive_instances == 0
    assert await has_claimed(other, new_instance(key="key"), 1)


@pytest.mark.usefixtures("quick")
async def test_a_copy_that_was_ended_elsewhere_is_not_said_to_live_by_who_did_not_hear_of_it(
    redis_url: str, database: SqliteDatabase
) -> None:
    url = redis_url
    async with redis_live(url, database) as one, redis_live(url, database) as other:
        copy, unheard = new_instance(key="key"), new_instance(key="other key")
        await one.claim(copy, None, beats=True)
        await one._directory.close()
        await one.claim(unheard, None, beats=True)
        await other.end_copy(copy.id)

        async def has_said_what_lives() -> bool:
            return await other.instances_of("other key") == 1

        await eventually(has_said_what_lives)
        assert await other.instances_of("key") == 0


async def test_a_message_reaches_a_session_anywhere(pair: tuple[RedisLive, RedisLive]) -> None:
    one, other = pair
    session, _ = await join(one)
    outcome = await other.message(session.id, "handler", {"text": "é\x00", "n": [1.5, None, True]}, 5)
    assert (outcome.processed, outcome.response) == (True, {"text": "é\x00", "n": [1.5, None, True]})
    outcome = await other.message(session.id, "silent", [], 0.1)
    assert (outcome.processed, outcome.reason) == (False, "client never responded")


async def test_one_message_to_many_sessions_goes_once_to_each_process(
    pair: tuple[RedisLive, RedisLive], redis_url: str
) -> None:
    one, other = pair
    sessions = [(await join(one))[0].id for _ in range(100)]
    data = {"large": "x" * 10_000}
    outcomes = await asyncio.gather(*(other.message(session, "handler", data, 10) for session in sessions))
    assert all(outcome.processed and outcome.response == data for outcome in outcomes)
    assert redis_command(redis_url, "XLEN", f"test:{one._inbox}") == ":1"


async def test_a_copys_end_and_a_change_reach_a_session_anywhere(
    pair: tuple[RedisLive, RedisLive], database: SqliteDatabase
) -> None:
    one, other = pair
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, free_for_all=True)
    user = await rows.id_of(database, await rows.add_user(database, project))
    session, stopped = await join(one, script, project)
    _, barred = await join(one, script, project, user)
    _, switched_off = await join(one, script, project)
    _, gone = await join(one, script, project)
    await other.end_copy(session.instance_id)
    assert await other.session(session.id) is None
    await heard(stopped, "DISCONNECTED")
    await rows.change(database, "update users set blacklisted = true")
    await other.user_changed(user)
    await heard(barred, "BLACKLISTED")
    assert switched_off.heard == []
    await rows.change(database, "update scripts set enabled = false")
    await other.script_changed(script)
    await heard(switched_off, "SCRIPT_DISABLED")
    await heard(gone, "SCRIPT_DISABLED")
    await counted(other, script, LiveCounts(0, 0))


async def test_whose_variable_changed_is_told_wherever_they_are_connected(pair: tuple[RedisLive, RedisLive]) -> None:
    one, other = pair
    _, ours = await join_as(one, new_instance(key="key"))
    _, theirs = await join_as(one, new_instance(key="another"))
    await other.variable_changed("user", "key", "a")
    await other.variable_changed("script", "script", "b")
    await one.variable_changed("project", "project", "c")
    for what in ("forget b", "forget c"):
        await heard(theirs, what)
        await heard(ours, what)
    assert "forget a" in ours.heard
    assert "forget a" not in theirs.heard


async def test_a_session_that_moves_closes_the_old_one(pair: tuple[RedisLive, RedisLive]) -> None:
    one, other = pair
    instance = new_instance(key="key")
    old, connection = await join_as(one, instance)
    new, _ = await join_as(other, instance, created_at=2)
    await heard(connection, 3003)
    await one.leave(old.id)
    assert await one.sessions("script", EVERYTHING, 0, 50) == [new]
    assert await one.counts("script") == LiveCounts(1, 1)
    assert await one.instances_of("key") == 1


@pytest.mark.usefixtures("quick")
async def test_a_dead_process_takes_its_sessions_with_it_and_their_instances_may_come_back(
    redis_url: str, database: SqliteDatabase, clock: MovableClock
) -> None:
    async with redis_live(redis_url, database, clock) as other:
        async with redis_live(redis_url, database, clock) as dead:
            instance = new_instance(key="key")
            await join_as(dead, instance)
            for _ in range(1_100):
                await join(dead)
            assert await other.counts("script") == LiveCounts(1_101, 1_101)
            await die(dead)

        async def are_gone() -> bool:
            return (await other.counts("script")).sessions == 0

        await eventually(are_gone)
        assert await other.sessions("script", EVERYTHING, 0, 50) == []
        assert await other.instances_of("key") == 1
        session, _ = await join_as(other, instance)
        assert await other.sessions("script", SessionFilter(user_id="key"), 0, 50) == [session]
        clock.ahead_ms += 40_000
        assert await other.counts("script") == LiveCounts(1, 1)


@pytest.mark.usefixtures("quick")
async def test_what_was_read_is_not_kept(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as one, redis_live(redis_url, database) as other:
        session, _ = await join(one)
        for number in range(20):
            assert (await other.message(session.id, "handler", number, 5)).response == number

        async def are_trimmed() -> bool:
            return redis_command(redis_url, "XLEN", f"test:{one._inbox}") == ":1"

        await eventually(are_trimmed)
        assert (await other.message(session.id, "handler", "after", 5)).response == "after"


@pytest.mark.usefixtures("quick")
async def test_who_waits_for_a_process_that_died_is_told(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as other, redis_live(redis_url, database) as dead:
        session, connection = await join(dead)
        waiting = asyncio.create_task(other.message(session.id, "silent", [], 60))
        await eventually_called(connection)
        await die(dead)
        async with asyncio.timeout(60):
            outcome = await waiting
        assert (outcome.processed, outcome.reason) == (False, "client never responded")


@pytest.mark.usefixtures("quick")
async def test_a_process_thought_dead_announces_itself_again(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as one, redis_live(redis_url, database) as other:
        session, _ = await join(one)
        redis_command(redis_url, "DEL", f"test:process:{one.process}")

        async def is_listed_again() -> bool:
            return one._times_connected > 1 and await other.session(session.id) == session

        await eventually(is_listed_again)
        assert await other.counts("script") == LiveCounts(1, 1)
        outcome = await other.message(session.id, "handler", [1], 5)
        assert outcome.response == [1]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("loss", ["restart", "pause", "flush"])
async def test_redis_away_and_back(fragile: RedisServer, database: SqliteDatabase, loss: str) -> None:
    url = fragile.url(0)
    redis_command(url, "FLUSHALL")
    settings = {"deadline_seconds": 0.5}
    async with redis_live(url, database, **settings) as one, redis_live(url, database, **settings) as other:
        session, _ = await join(one, key="held")
        gone, _ = await join(one, created_at=2)
        beating = new_instance(key="beats")
        assert await has_claimed(one, beating, 1)
        ended = new_instance(key="ended")
        assert await has_claimed(one, ended, 1)

        away = loss != "flush"
        newer = gone
        if not away:
            redis_command(url, "FLUSHALL")
        else:
            (fragile.stop if loss == "restart" else fragile.pause)()
            await while_redis_is_away(one, other)
            known = await one.find(beating.id)
            assert known is not None
            assert await one.beat(known, 1, False, limit=None)
            assert not await one.beat(known, 1, False, limit=None)
            await one.leave(gone.id)
            await one.release(ended.id)
            newer, _ = await join(other, key="joined meanwhile", created_at=3)
            (fragile.start if loss == "restart" else fragile.resume)()

        async def is_healed() -> bool:
            with contextlib.suppress(LiveUnavailableError):
                return (
                    await other.sessions("script", EVERYTHING, 0, 50) == ([session, newer] if away else [session, gone])
                    and await other.session(gone.id) == (None if away else gone)
                    and await other.instances_of("beats") == 1
                    and await other.instances_of("ended") == (0 if away else 1)
                )
            return False

        await eventually(is_healed, within_seconds=15)
        outcome = await other.message(session.id, "handler", [1], 5)
        assert outcome.response == [1]
        assert not await has_claimed(other, new_instance(key="beats"), 1)


async def while_redis_is_away(one: RedisLive, other: RedisLive) -> None:
    """Nothing waits longer than a deadline; what needs the others is refused, what does not goes on."""
    async with asyncio.timeout(60):
        for live in (one, other):
            with pytest.raises(LiveUnavailableError):
                await live.counts("script")
            with pytest.raises(LiveUnavailableError):
                await live.sessions("script", EVERYTHING, 0, 50)
            with pytest.raises(LiveUnavailableError):
                await has_claimed(live, new_instance(key="limited"), 1)
            assert await has_claimed(live, new_instance(key="unlimited"), None)
            await live.script_changed("script")
        (member, *_) = one.here.members()
        outcome = await one.message(member.session.id, "handler", [1], 5)
        assert outcome.response == [1]
        with pytest.raises(LiveUnavailableError):
            await other.message(member.session.id, "handler", [1], 5)


@pytest.mark.usefixtures("quick")
async def test_a_change_that_nobody_could_be_told_of_is_seen_when_redis_is_back(
    fragile: RedisServer, database: SqliteDatabase
) -> None:
    url = fragile.url(0)
    project = await rows.add_project(database)
    script, _ = await rows.add_script(database, project, free_for_all=True)
    async with redis_live(url, database) as one, redis_live(url, database) as other:
        _, connection = await join(one, script, project)
        fragile.stop()
        await rows.change(database, "update scripts set enabled = false")
        await other.script_changed(script)
        assert connection.heard == []
        fragile.start()
        await heard(connection, "SCRIPT_DISABLED")


async def heard(connection: Recorded, what: object, within_seconds: float = 10) -> None:
    async def is_heard() -> bool:
        return what in connection.heard

    await eventually(is_heard, within_seconds)


async def counted(live: RedisLive, script: str, expected: LiveCounts) -> None:
    """The directory is told a moment after the connection is."""
    async with asyncio.timeout(60):
        while await live.counts(script) != expected:
            await asyncio.sleep(0.01)


async def eventually_called(connection: Recorded) -> None:
    async def is_called() -> bool:
        return bool(connection.called)

    await eventually(is_called)


async def test_a_wrong_password_is_said_and_not_shown(
    redis_url: str, database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(redis_url)
    wrong = address._replace(netloc=f":hunter2@{address.hostname}:{address.port or 6379}").geturl()
    async with redis_live(wrong, database):
        assert "Redis cannot be used (it refuses the user or password of the setting redis_url)" in caplog.text
        assert "hunter2" not in caplog.text


async def test_what_is_early_is_remembered_by_all_and_fills_no_memory(
    database: SqliteDatabase, redis_url: str, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever calls names the moment, and could name another one of the next day with every call."""
    kept, too_many, day = 200, 300, 86_400_000
    fewer = redis_directory._SCRIPT.replace("KEPT_EARLY = 10000", f"KEPT_EARLY = {kept}")
    assert fewer != redis_directory._SCRIPT
    monkeypatch.setattr(redis_directory, "_SCRIPT", fewer)
    async with redis_live(redis_url, database, clock) as one, redis_live(redis_url, database, clock) as other:
        for number in range(kept + too_many):
            at = clock() + day // 2 + number
            if number % 2:
                await one.spend(f"start {number}", at, at + 120_000)
            else:
                await one.spend_early("copy", at, at + 120_000)
        await one._directory.settle()
        assert int(redis_command(redis_url, "DBSIZE").removeprefix(":")) < kept + 100
        clock.ahead_ms += day // 2 + number
        assert not await other.beat(new_instance(id=f"start {number}"), at, False, limit=None)
        assert not await other.beat(new_instance(id="copy"), at - 1, False, limit=None)
        assert await other.beat(new_instance(id="copy"), at, False, limit=None)


async def test_what_an_earlier_version_kept_in_another_way_goes_and_nothing_of_before_is_remembered(
    redis_url: str, database: SqliteDatabase
) -> None:
    now = MovableClock()
    async with redis_live(redis_url, database, MovableClock(ahead_ms=-60_000)) as before:
        await join(before, "script")
        assert before.since < now() - 50_000
        await die(before)
        redis_command(redis_url, "SET", "test:layout", "0")
        async with redis_live(redis_url, database, now) as after:
            assert after.since > now() - 50_000
            assert not await after.take_moment("copy", after.since, now() + 1_000)
            assert await after.counts("script") == LiveCounts(0, 0)
