"""How many copies of one key run at once, over real sockets and on both live engines: starts, beats and sessions keep to the limit alike."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path

import pytest

from support.client import Client, Copy, Refused, Wire
from support.client_server import World, running_world
from support.keys import hashed

MANY = 40
LEASE_MS = 110_000
OVERDUE_MS = 39_000
"""One beat, late by its jitter, and a grace: a copy that beats is heard before."""


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    redis_url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    async with running_world(tmp_path, redis_url=redis_url) as fresh:
        yield fresh


async def outcome_of(call: Awaitable[object]) -> str:
    try:
        await call
    except Refused as refused:
        return refused.code
    return "granted"


async def outcomes(calls: Iterable[Awaitable[object]]) -> list[str]:
    return list(await asyncio.gather(*(outcome_of(call) for call in calls)))


async def opened(copy: Copy) -> Wire:
    """The copy's session. Raises Refused when it is told to stop."""
    wire = await copy.connect()
    frame = await wire.receive()
    if frame["type"] == "stop":
        raise Refused(0, frame["code"], frame)
    wire.id = frame["session"]
    return wire


async def copies_of(world: World, client: Client, key: str, number: int, **changes: object) -> list[Copy]:
    """Started one after another, the oldest first."""
    copies = []
    for _ in range(number):
        copies.append(await client.execute(key=key, **changes))
        world.clock.ahead_ms += 2
    return copies


async def limit(world: World, key: str, places: int | None) -> None:
    await world.change("update users set max_instances = :places where key_hash = :key", places=places, key=hashed(key))
    await world.live.user_changed(await world.id_of(key))


async def lose_session(world: World, client: Client, wire: Wire) -> None:
    """As a game that is killed does."""
    wire.socket.transport.abort()
    async with asyncio.timeout(60):
        while await world.live.session(wire.id) is not None:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_late_beats_at_once_as_many_go_on_as_there_are_places(world: World, places: int) -> None:
    client, key = await world.script(), await world.user()
    copies = await copies_of(world, client, key, MANY)
    world.clock.ahead_ms += LEASE_MS
    await limit(world, key, places)
    got = Counter(await outcomes(copy.beat() for copy in copies))
    assert got == {"granted": places, "TOO_MANY_INSTANCES": MANY - places}
    assert await world.live.instances_of(await world.id_of(key)) == places
    got = Counter(await outcomes(copy.beat() for copy in copies))
    assert got["granted"] == places, "and the same go on"


async def test_a_key_without_places_of_its_own_has_its_projects_at_starts_beats_and_sessions(world: World) -> None:
    client, key, own = await world.script(), await world.user(), await world.user(max_instances=4)
    copies = await copies_of(world, client, key, 3)
    wire = await opened(copies[2])
    await world.change("update projects set max_instances = 2")
    await world.live.project_changed(world.project)
    assert await wire.stopped() == "TOO_MANY_INSTANCES"
    assert await outcomes(copy.beat() for copy in copies) == ["granted", "granted", "TOO_MANY_INSTANCES"]
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES"
    got = Counter(await outcomes(client.execute(key=own) for _ in range(5)))
    assert got == {"granted": 4, "TOO_MANY_INSTANCES": 1}


@pytest.mark.parametrize("places", [1, 7])
async def test_of_many_sessions_that_open_late_at_once_as_many_stand_as_there_are_places(
    world: World, places: int
) -> None:
    client, key = await world.script(), await world.user()
    copies = await copies_of(world, client, key, MANY)
    world.clock.ahead_ms += LEASE_MS
    await limit(world, key, places)
    got = Counter(await outcomes(opened(copy) for copy in copies))
    assert got == {"granted": places, "TOO_MANY_INSTANCES": MANY - places}
    assert await world.live.instances_of(await world.id_of(key)) == places


async def test_starts_late_beats_and_late_sessions_at_once_share_the_places(world: World) -> None:
    client, key = await world.script(), await world.user()
    copies = await copies_of(world, client, key, MANY)
    world.clock.ahead_ms += LEASE_MS
    await limit(world, key, 5)
    calls = [
        *(copy.beat() for copy in copies[::2]),
        *(opened(copy) for copy in copies[1::2]),
        *(client.execute(key=key) for _ in range(20)),
    ]
    got = Counter(await outcomes(calls))
    assert got == {"granted": 5, "TOO_MANY_INSTANCES": MANY + 20 - 5}
    assert await world.live.instances_of(await world.id_of(key)) == 5


async def test_a_lowered_limit_stops_the_youngest_at_their_next_beat(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=5)
    copies = await copies_of(world, client, key, 5)
    await limit(world, key, 2)
    assert await world.live.instances_of(await world.id_of(key)) == 5
    got = await outcomes(copy.beat() for copy in reversed(copies))
    assert got[::-1] == ["granted"] * 2 + ["TOO_MANY_INSTANCES"] * 3
    assert await world.live.instances_of(await world.id_of(key)) == 2
    await limit(world, key, 3)
    got = await outcomes([client.execute(key=key), client.execute(key=key)])
    assert sorted(got) == ["TOO_MANY_INSTANCES", "granted"]


async def test_a_lowered_limit_stops_the_youngest_sessions_at_once(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=6)
    copies = await copies_of(world, client, key, 6)
    wires = [await opened(copy) for copy in reversed(copies[:5])][::-1]
    await limit(world, key, 2)
    for wire in wires[2:]:
        assert await wire.stopped() == "TOO_MANY_INSTANCES"
    assert [await world.live.session(wire.id) is not None for wire in wires] == [True] * 2 + [False] * 3
    assert await outcomes(copy.beat() for copy in copies) == ["granted"] * 2 + ["TOO_MANY_INSTANCES"] * 4


async def test_a_limit_of_one_key_leaves_other_keys_and_scripts_without_keys_alone(world: World) -> None:
    client, free = await world.script(), await world.script(free_for_all=True)
    key, other = await world.user(), await world.user()
    (mine,) = await copies_of(world, client, key, 1)
    others = [*await copies_of(world, client, other, 3), *[await free.execute() for _ in range(3)]]
    await limit(world, key, 1)
    assert await outcomes(copy.beat() for copy in [mine, *others]) == ["granted"] * 7


async def test_copies_of_an_expired_key_are_counted_when_it_is_renewed(world: World) -> None:
    client, key = await world.script(free_for_all=True), await world.user(max_instances=1, key_expires=1)
    copies = await copies_of(world, client, key, 3)
    assert await outcomes(copy.beat() for copy in copies) == ["granted"] * 3
    await world.change("update users set key_expires = null")
    assert await outcomes(copy.beat() for copy in copies) == ["granted"] + ["TOO_MANY_INSTANCES"] * 2


# A start takes the place of its own device's copy that is not connected.


async def test_a_start_takes_the_place_of_its_devices_copy_whose_session_ended(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    crashed = await client.execute(key=key)
    await lose_session(world, client, await opened(crashed))
    again = await client.execute(key=key)
    assert await world.live.instances_of(await world.id_of(key)) == 1
    assert [await outcome_of(crashed.beat()), await outcome_of(opened(crashed))] == ["SUPERSEDED"] * 2
    assert await outcomes([again.beat(), opened(again)]) == ["granted"] * 2


async def test_a_start_takes_the_place_of_its_devices_copy_whose_beat_is_overdue(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    (crashed,) = await copies_of(world, client, key, 1, supports_sessions=False)
    await crashed.beat()
    world.clock.ahead_ms += 33_000
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES", "its beat may still be on its way"
    assert await outcome_of(crashed.beat()) == "granted"
    world.clock.ahead_ms += OVERDUE_MS
    again = await client.execute(key=key)
    assert await outcomes([crashed.beat(), again.beat()]) == ["SUPERSEDED", "granted"]


async def test_a_start_takes_no_place_of_a_copy_that_is_connected_or_not_its_own(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=3, fingerprintless=True)
    elsewhere = await world.script()
    connected = await opened(await client.execute(key=key))
    foreign = await opened(await client.execute(key=key, fingerprint="another device"))
    unrelated = await opened(await elsewhere.execute(key=key))
    await lose_session(world, client, foreign)
    await lose_session(world, elsewhere, unrelated)
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES"
    assert await outcome_of(client.execute(key=key, fingerprint=None)) == "TOO_MANY_INSTANCES"
    assert await world.live.session(connected.id)
    assert await outcome_of(client.execute(key=key, fingerprint="another device")) == "granted"


async def test_copies_without_a_device_take_no_places(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    await lose_session(world, client, await opened(await client.execute(key=key, fingerprint=None)))
    assert await outcome_of(client.execute(key=key, fingerprint=None)) == "TOO_MANY_INSTANCES"


async def test_a_copy_of_a_script_without_heartbeats_is_not_taken_for_silent(world: World) -> None:
    client, key = await world.script(use_heartbeat=False), await world.user(max_instances=1)
    crashed = await client.execute(key=key)
    world.clock.ahead_ms += 2 * OVERDUE_MS
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES"
    await lose_session(world, client, await opened(crashed))
    assert await outcome_of(client.execute(key=key)) == "granted"


async def test_a_copy_that_need_not_answer_takes_its_place_as_long_as_its_script_says(world: World) -> None:
    client = await world.script(use_heartbeat=False, place_seconds=3_600)
    key = await world.user(max_instances=1, fingerprintless=True)
    running = await client.execute(key=key)
    elsewhere = await world.script()
    await running.beat()  # nobody asked it to, and it sets no place free
    world.clock.ahead_ms += LEASE_MS
    for other in (client.execute(key=key, fingerprint="two"), elsewhere.execute(key=key, fingerprint="two")):
        assert await outcome_of(other) == "TOO_MANY_INSTANCES"
    with pytest.raises(Refused) as refused:
        await client.execute(key=key, fingerprint="two")
    assert "60 minutes after its start" in refused.value.error["message"]
    assert await outcome_of(client.execute(key=key)) == "granted", "on its own device"
    world.clock.ahead_ms += 3_600_000 - LEASE_MS
    assert await outcome_of(client.execute(key=key, fingerprint="two")) == "TOO_MANY_INSTANCES"
    world.clock.ahead_ms += LEASE_MS
    assert await outcome_of(client.execute(key=key, fingerprint="two")) == "granted"


async def test_where_copies_beat_no_place_outlasts_their_leases(world: World) -> None:
    client = await world.script(place_seconds=3_600)
    key = await world.user(max_instances=1, fingerprintless=True)
    await client.execute(key=key)
    world.clock.ahead_ms += LEASE_MS
    assert await outcome_of(client.execute(key=key, fingerprint="two")) == "granted"


async def test_of_many_starts_of_a_device_at_once_one_takes_the_place(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    await lose_session(world, client, await opened(await client.execute(key=key)))
    got = Counter(await outcomes(client.execute(key=key) for _ in range(MANY)))
    assert got == {"granted": 1, "TOO_MANY_INSTANCES": MANY - 1}


async def test_a_start_that_comes_to_nothing_leaves_the_place_to_the_copy_that_had_it(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1, max_executions=1)
    running = await client.execute(key=key)
    await lose_session(world, client, await opened(running))
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES", "before it is told that it is used up"
    await world.change("update users set max_executions = null")
    repeated = client.request(key=key)
    await world.live.release((await client.send_execute(repeated)).instance)  # it is over at once
    assert await outcome_of(client.send_execute(repeated)) == "REPLAYED"
    assert await outcome_of(running.beat()) == "granted"


async def test_a_lowered_limit_is_not_got_round_by_starting_again(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=3)
    lost, *others = await copies_of(world, client, key, 3)
    await lose_session(world, client, await opened(lost))
    await limit(world, key, 2)
    assert await outcome_of(client.execute(key=key)) == "TOO_MANY_INSTANCES"
    assert await outcomes(copy.beat() for copy in others) == ["granted", "TOO_MANY_INSTANCES"]
    assert await outcome_of(client.execute(key=key)) == "granted"
    assert await world.live.instances_of(await world.id_of(key)) == 2
