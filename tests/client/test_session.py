"""WebSocket `/client/v1/session` over a real socket: opening, messages, and being stopped within a second."""

import asyncio
import contextlib
import gc
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from moonlatch.live import hub
from moonlatch.live.interface import MessageOutcome, SessionFilter
from moonlatch.web.close_codes import OVERLOADED
from moonlatch.web.direct import DirectTransport
from moonlatch.web.transport import SessionTransport
from support import rows
from support.client import DEVICE, Client, Copy, Refused, Wire
from support.client_server import World, running_world

EVERYTHING = SessionFilter()


@contextlib.contextmanager
def promptly():
    """Within a second, and some patience for a busy machine; the sweep alone would take up to 20 s."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 6


async def free_copy(world: World) -> Copy:
    return await (await world.script(free_for_all=True)).execute()


async def raw_socket(world: World):
    return await connect(world.url.replace("http", "ws") + "/client/v1/session", compression=None)


async def test_an_open_session_is_listed_and_counted(world: World) -> None:
    client, key = await world.script(), await world.user(key_expires=world.clock() + 100_000)
    copy = await client.execute(key=key)
    wire = await copy.session()
    assert 98 <= (wire.seconds_left or 0) <= 100
    (session,) = await world.live.sessions(client.script, EVERYTHING, 0, 50)
    assert session.id == wire.id
    assert session.instance_id == copy.instance
    assert (session.user_id, session.project_id) == (await world.id_of(key), world.project)
    assert (session.roblox_id, session.place_id, session.job_id) == (2**53, 7, "job")
    counts = await world.live.counts(client.script)
    assert (counts.sessions, counts.instances) == (1, 1)
    assert await world.live.session(wire.id) == session


async def test_sessions_are_filtered_and_paged_oldest_first(world: World) -> None:
    client = await world.script(free_for_all=True)
    wires = []
    for number in range(5):
        wires.append(await (await client.execute(place_id=number % 2)).session())
        world.clock.ahead_ms += 5
    ids = [wire.id for wire in wires]
    page = await world.live.sessions(client.script, EVERYTHING, 1, 3)
    assert [session.id for session in page] == ids[1:4]
    page = await world.live.sessions(client.script, SessionFilter(place_id=1), 0, 50)
    assert [session.id for session in page] == [ids[1], ids[3]]
    assert await world.live.sessions(client.script, SessionFilter(place_id=1, job_id="no"), 0, 50) == []


async def test_a_session_keeps_its_instance_alive_and_a_lease_follows_it(world: World) -> None:
    copy = await free_copy(world)
    wire = await copy.session()
    world.clock.ahead_ms += 1_000_000
    assert (await world.live.counts(copy.client.script)).instances == 1
    await wire.socket.close()
    await gone(world, copy.client)
    assert (await world.live.counts(copy.client.script)).instances == 1
    world.clock.ahead_ms += 40_000
    assert (await world.live.counts(copy.client.script)).instances == 0


async def test_a_key_whose_game_was_closed_starts_on_another_device_before_a_whole_lease(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1, fingerprintless=True)
    wire = await (await client.execute(key=key)).session()
    wire.socket.transport.abort()
    await gone(world, client)
    with pytest.raises(Refused, match="TOO_MANY_INSTANCES"):
        await client.execute(key=key, fingerprint="another device")
    world.clock.ahead_ms += 40_000
    assert await client.execute(key=key, fingerprint="another device")


async def test_a_session_that_broke_keeps_its_place_for_one_beat(world: World) -> None:
    client, key = await world.script(), await world.user(max_instances=1)
    copy = await client.execute(key=key)
    wire = await copy.session()
    wire.socket.transport.abort()
    await gone(world, client)
    world.clock.ahead_ms += 33_000
    await copy.beat()
    world.clock.ahead_ms += 33_000
    with pytest.raises(Refused, match="TOO_MANY_INSTANCES"):
        await client.execute(key=key)
    assert await copy.session()


async def gone(world: World, client: Client) -> None:
    async with asyncio.timeout(60):
        while (await world.live.counts(client.script)).sessions:
            await asyncio.sleep(0.01)


async def test_a_session_cannot_be_opened_with_a_foreign_token(world: World) -> None:
    copy = await free_copy(world)
    other = await free_copy(world)
    for changes in ({"token": "x"}, {"token": other.reply["token"]}, {"instance": other.instance}):
        wire = await copy.connect(**changes)
        assert (await wire.closed())[0] == 3501


async def test_an_opening_works_once(world: World) -> None:
    copy = await free_copy(world)
    nonce = copy.moments.nonce()
    wire = await copy.connect(nonce=nonce)
    assert (await wire.receive())["type"] == "opened"
    assert (await (await copy.connect(nonce=nonce)).closed())[0] == 3501
    assert await world.live.session((await world.live.sessions(copy.client.script, EVERYTHING, 0, 1))[0].id)


async def test_nothing_else_may_come_before_the_opening(world: World) -> None:
    for first, code in (
        ('{"type": "ping"}', 3501),
        ('{"type": "reply", "id": 1, "status": "missing"}', 3501),
        ("no json", 3502),
        ('{"type": "open"}', 3502),
        ('{"type": "unknown"}', 3502),
        (b"\x00\x01", 3502),
        ("[" * 10_000, 3502),
        ("x" * 300_000, 3502),
    ):
        socket = await raw_socket(world)
        await socket.send(first)
        await socket.wait_closed()
        assert socket.close_code == code, first[:20]


async def test_a_bad_frame_ends_the_session(world: World) -> None:
    for frame in (
        "{}",
        "null",
        '{"type": "ping", "more": 1}',
        '{"type": "reply", "id": "1", "status": "missing"}',
        '{"type": "reply", "id": 1, "status": "other"}',
        '{"type": "reply", "id": 1, "status": "errored"}',
        '{"type": "reply", "id": 1, "status": "returned", "data": {}, "message": "x"}',
        b"bytes",
        '"' + "x" * 262_144 + '"',
    ):
        wire = await (await free_copy(world)).session()
        await wire.socket.send(frame)
        assert (await wire.closed())[0] == 3502, frame[:40]


async def test_a_frame_that_is_no_utf8_is_a_bad_frame(world: World, caplog) -> None:
    wire = await (await free_copy(world)).session()
    await wire.socket.send(b'"\xff"', text=True)
    assert (await wire.closed())[0] == 3502
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_session_is_opened_once(world: World) -> None:
    copy = await free_copy(world)
    wire = await copy.session()
    await wire.send(copy.opening())
    assert (await wire.closed())[0] == 3502


async def test_a_client_that_says_nothing_is_asked_to_come_back(world: World, monkeypatch) -> None:
    monkeypatch.setattr("moonlatch.client.session.OPEN_SECONDS", 0.2)
    socket = await raw_socket(world)
    await socket.wait_closed()
    assert socket.close_code == 3503


async def test_pings_are_welcome_and_floods_are_not(world: World) -> None:
    wire = await (await free_copy(world)).session()
    await wire.send({"type": "ping"})
    assert await world.live.session(wire.id)
    with contextlib.suppress(Exception):
        for _ in range(1_000):
            await wire.send({"type": "ping"})
    assert (await wire.closed())[0] == 3502


async def test_a_second_connection_takes_the_session_over(world: World) -> None:
    copy = await free_copy(world)
    first = await copy.session()
    second = await copy.session()
    assert (await first.closed())[0] == 3003
    assert await world.live.session(first.id) is None
    (session,) = await world.live.sessions(copy.client.script, EVERYTHING, 0, 50)
    assert session.id == second.id
    assert (await world.live.counts(copy.client.script)).instances == 1


async def test_a_server_that_is_full_sends_clients_away_for_now(tmp_path: Path) -> None:
    async with running_world(tmp_path, max_sessions=1) as world:
        first, second = await free_copy(world), await free_copy(world)
        await first.session()
        assert (await (await second.connect()).closed())[0] == 3001
        assert await first.session()  # a reconnect takes no further place


async def test_a_server_that_stops_asks_everybody_to_come_back(world: World) -> None:
    wires = [await (await free_copy(world)).session() for _ in range(3)]
    await world.live.close_all()
    for wire in wires:
        assert await wire.closed() == (3000, "the server is restarting")
    assert (await (await (await free_copy(world)).connect()).closed())[0] == 3001


async def test_uvicorns_own_shutdown_asks_to_come_back_too(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        wire = await (await free_copy(world)).session()
        closing = asyncio.create_task(wire.closed())
    assert (await closing)[0] == 3000


async def answer(wire: Wire, **reply) -> dict:
    """Answer the next message with this reply; gives the message."""
    message = await wire.receive()
    await wire.send({"type": "reply", "id": message["id"], **reply})
    return message


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ({"status": "returned", "data": {"a": [1, 2.5, None]}}, MessageOutcome(True, {"a": [1, 2.5, None]})),
        ({"status": "returned", "data": None}, MessageOutcome(True, None)),
        ({"status": "returned", "data": []}, MessageOutcome(True, [])),
        ({"status": "returned", "data": "text"}, MessageOutcome(False, None, "invalid return data")),
        ({"status": "invalid"}, MessageOutcome(False, None, "invalid return data")),
        ({"status": "missing"}, MessageOutcome(False, None, "function doesnt exist")),
        ({"status": "errored", "message": "oh"}, MessageOutcome(False, None, "function errored, message: oh")),
    ],
)
async def test_a_message_comes_back_with_what_the_handler_made_of_it(world: World, reply, outcome) -> None:
    wire = await (await free_copy(world)).session()
    sent = asyncio.create_task(world.live.message(wire.id, "handler", {"x": ["🌙"]}, 5))
    message = await answer(wire, **reply)
    assert message == {"type": "message", "id": 1, "key": "handler", "data": {"x": ["🌙"]}}
    assert await sent == outcome


NEVER = MessageOutcome(False, None, "client never responded")


async def test_a_message_nobody_answers_ends_in_time_and_a_late_answer_is_harmless(world: World) -> None:
    wire = await (await free_copy(world)).session()
    assert await world.live.message(wire.id, "handler", [], 0.1) == NEVER
    await answer(wire, status="missing")
    sent = asyncio.create_task(world.live.message(wire.id, "handler", [], 5))
    assert (await answer(wire, status="returned", data={}))["id"] == 2
    assert (await sent).processed


async def test_a_session_that_closes_never_responded(world: World) -> None:
    wire = await (await free_copy(world)).session()
    sent = asyncio.create_task(world.live.message(wire.id, "handler", [], 5))
    await wire.receive()
    await wire.socket.close()
    assert await sent == NEVER
    assert await world.live.message(wire.id, "handler", [], 5) == NEVER


async def test_many_messages_are_answered_in_any_order(world: World) -> None:
    wire = await (await free_copy(world)).session()
    sent = [asyncio.create_task(world.live.message(wire.id, "echo", [number], 5)) for number in range(200)]
    messages = [await wire.receive() for _ in sent]
    for message in reversed(messages):
        await wire.send({"type": "reply", "id": message["id"], "status": "returned", "data": message["data"]})
    assert [(await one).response for one in sent] == [[number] for number in range(200)]


async def test_a_copy_that_is_stopped_hears_it_and_opens_no_other_session(world: World) -> None:
    copy = await free_copy(world)
    wire = await copy.session()
    await world.change("update executions set stopped = 'DISCONNECTED'")
    with promptly():
        await world.live.end_copy(copy.instance)
        assert await wire.stopped() == "DISCONNECTED"
    assert (await world.live.counts(copy.client.script)).instances == 0
    assert await (await copy.connect()).stopped() == "DISCONNECTED"


CHANGES = [
    ("update scripts set enabled = false", "script", "SCRIPT_DISABLED"),
    ("delete from scripts", "script", "SCRIPT_NOT_FOUND"),
    ("update scripts set build = 2, kick_outdated = true", "script", "OUTDATED"),
    ("update users set blacklisted = true", "user", "BLACKLISTED"),
    ("update users set key_expires = 1", "user", "KEY_EXPIRED"),
    ("delete from users", "user", "KEY_NOT_FOUND"),
    ("update users set fingerprint = x'00'", "user", "FINGERPRINT_MISMATCH"),
    ("delete from projects", "project", "SCRIPT_NOT_FOUND"),
]


@pytest.mark.parametrize(("sql", "what", "code"), CHANGES)
async def test_a_change_reaches_a_session_within_a_second(world: World, sql: str, what: str, code: str) -> None:
    client, key = await world.script(), await world.user()
    user = await world.id_of(key)
    wire = await (await client.execute(key=key)).session()
    await world.change(sql)
    with promptly():
        if what == "script":
            await world.live.script_changed(client.script)
        elif what == "user":
            await world.live.user_changed(user)
        else:
            await world.live.project_changed(world.project)
        assert await wire.stopped() == code
    counts = await world.live.counts(client.script)
    assert (counts.sessions, counts.instances) == (0, 0)


async def test_a_barred_device_is_stopped_under_every_key(world: World) -> None:
    wire = await (await free_copy(world)).session()
    device = world.keyring.fingerprint(world.project, "fingerprint", DEVICE)
    bad = await world.user(blacklisted=True)
    await rows.insert(
        world.database, "bars", project_id=world.project, fingerprint=device, user_id=await world.id_of(bad)
    )
    with promptly():
        await world.live.project_changed(world.project)
        assert await wire.stopped() == "BLACKLISTED"


async def test_a_start_that_binds_its_key_to_a_device_ends_a_session_without_one_within_a_second(world: World) -> None:
    client, key = await world.script(), await world.user()
    wire = await (await client.execute(key=key, fingerprint=None)).session()
    with promptly():
        bound = await (await client.execute(key=key)).session()
        assert await wire.stopped() == "FINGERPRINT_REQUIRED"
    assert await world.live.session(bound.id)
    counts = await world.live.counts(client.script)
    assert (counts.sessions, counts.instances) == (1, 1)


async def test_a_start_that_begins_the_days_of_its_key_is_told_to_the_copies_that_run(world: World) -> None:
    client, key = await world.script(), await world.user()
    wire = await (await client.execute(key=key)).session()
    await world.change("update users set key_days = 1")
    with promptly():
        await client.execute(key=key)
        told = await wire.receive()
    assert told["type"] == "variables"
    assert 86_398 <= told["variables"]["la_seconds_left"] <= 86_400


async def test_a_key_that_expires_ends_its_session_within_a_second(world: World) -> None:
    client, key = await world.script(), await world.user(key_expires=world.clock() + 60_000)
    wire = await (await client.execute(key=key)).session()
    world.clock.ahead_ms += 60_000
    with promptly():
        assert await wire.stopped() == "KEY_EXPIRED"


async def test_a_renewed_key_is_told_to_the_script_and_runs_on(world: World) -> None:
    client, key = await world.script(), await world.user(key_expires=world.clock() + 60_000)
    wire = await (await client.execute(key=key)).session()
    await world.change("update users set key_expires = :at, note = 'new'", at=world.clock() + 120_000)
    await world.live.user_changed(await world.id_of(key))
    told = await wire.receive()
    assert told["type"] == "variables"
    assert told["variables"]["la_user_note"] == "new"
    assert 118 <= told["variables"]["la_seconds_left"] <= 120
    world.clock.ahead_ms += 60_000
    await asyncio.sleep(0.6)
    assert await world.live.session(wire.id)
    world.clock.ahead_ms += 60_000
    assert await wire.stopped() == "KEY_EXPIRED"


async def test_a_change_that_means_nothing_to_the_script_is_not_told(world: World) -> None:
    client, key = await world.script(), await world.user()
    wire = await (await client.execute(key=key)).session()
    await world.live.user_changed(await world.id_of(key))
    await world.live.script_changed(client.script)
    sent = asyncio.create_task(world.live.message(wire.id, "handler", [], 5))
    assert (await answer(wire, status="missing"))["type"] == "message"
    await sent


async def test_a_change_by_another_process_is_found_by_the_sweep(world: World, monkeypatch) -> None:
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 0.5)
    wire = await (await free_copy(world)).session()
    await world.change("update scripts set enabled = false")
    # Whether the sweep shows first that the session stands depends on where it is just now.
    frame = await wire.receive()
    while frame == {"type": "alive"}:
        frame = await wire.receive()
    assert (frame["type"], frame["code"]) == ("stop", "SCRIPT_DISABLED")


async def test_a_session_of_which_nobody_wants_anything_is_shown_that_it_stands(world: World, monkeypatch) -> None:
    monkeypatch.setattr("moonlatch.live.hub.SWEEP_SECONDS", 0.5)
    wires = [await (await free_copy(world)).session() for _ in range(3)]
    for _ in range(2):
        assert [await wire.receive() for wire in wires] == [{"type": "alive"}] * 3


def test_the_server_speaks_more_often_than_the_protocol_promises() -> None:
    assert hub.SWEEP_SECONDS <= 60


async def test_a_refused_opening_says_why(world: World) -> None:
    copy = await free_copy(world)
    await world.change("update scripts set enabled = false")
    assert await (await copy.connect()).stopped() == "SCRIPT_DISABLED"


async def test_another_path_takes_no_websocket(world: World) -> None:
    with pytest.raises(Exception, match="403"):
        await connect(world.url.replace("http", "ws") + "/client/v1/execute")


@pytest.mark.parametrize("size", [0, 1, 40, 125, 126, 1_000, 65_535, 65_536, 200_000])
async def test_frames_of_every_size_arrive_whole(world: World, size: int) -> None:
    wire = await (await (await world.script()).execute(key=await world.user())).session()
    asking = asyncio.create_task(world.live.message(wire.id, "ask", "x" * size, 10))
    asked = await wire.receive()
    assert asked["data"] == "x" * size
    await wire.send({"type": "reply", "id": asked["id"], "status": "returned", "data": ["y" * size]})
    assert await asking == MessageOutcome(processed=True, response=["y" * size])


async def test_a_session_answers_as_often_as_it_is_asked(world: World) -> None:
    wire = await (await (await world.script()).execute(key=await world.user())).session()
    for _ in range(200):
        asking = [asyncio.create_task(world.live.message(wire.id, "ask", None, 30)) for _ in range(10)]
        for _ in asking:
            asked = await wire.receive()
            await wire.send({"type": "reply", "id": asked["id"], "status": "returned", "data": []})
        assert all(outcome.processed for outcome in await asyncio.gather(*asking))


async def test_frames_behind_a_forbidden_one_are_not_heard(world: World) -> None:
    wire = await (await (await world.script()).execute(key=await world.user())).session()
    asking = asyncio.create_task(world.live.message(wire.id, "ask", None, 10))
    asked = await wire.receive()
    await wire.socket.send(b"binary")
    with contextlib.suppress(ConnectionClosed):
        await wire.send({"type": "reply", "id": asked["id"], "status": "returned", "data": []})
    assert not (await asking).processed
    assert (await wire.closed())[0] == 3502


async def test_a_connection_that_ended_holds_nothing_by_a_circle(world: World) -> None:
    def connections() -> int:
        return sum(issubclass(type(one), SessionTransport | DirectTransport) for one in gc.get_objects())

    copy = await (await world.script()).execute(key=await world.user())
    gc.collect()
    before = connections()
    gc.disable()
    try:
        wire = await copy.session()
        assert connections() > before
        await wire.socket.close()
        async with asyncio.timeout(60):
            while connections() > before:
                await asyncio.sleep(0.05)
    finally:
        gc.enable()


async def test_a_frame_that_fails_unforeseen_ends_the_session_with_come_back_later(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise ZeroDivisionError

    wire = await (await (await world.script()).execute(key=await world.user())).session()
    monkeypatch.setattr("moonlatch.client.session.decode_frame", failing)
    await wire.send({"type": "ping"})
    assert (await wire.closed())[0] == OVERLOADED[0]
    assert "failed with ZeroDivisionError" in caplog.text
    assert "ping" not in caplog.text
