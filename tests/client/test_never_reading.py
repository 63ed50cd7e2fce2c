"""A client that never reads: it is let go, and the memory it can take is bounded."""

import asyncio
import json
import socket

import pytest

from moonlatch.client.outgoing import MAX_WAITING_BYTES, Outgoing
from moonlatch.live.interface import SessionFilter
from moonlatch.web.transport import SessionTransport
from moonlatch.web.untaken import Untaken
from support.client_server import World

UPGRADE = (
    b"GET /client/v1/session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def unread_socket(world: World) -> socket.socket:
    """A raw connection with the smallest receive buffer the system gives."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", int(world.url.rsplit(":", 1)[1])))
    raw.setblocking(False)
    return raw


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        return head + bytes([0x80 | len(payload)]) + bytes(4) + payload
    return head + b"\xfe" + len(payload).to_bytes(2) + bytes(4) + payload


async def opened(world: World, raw: socket.socket) -> str:
    copy = await (await world.script(free_for_all=True)).execute()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, UPGRADE)
    assert b"101" in await loop.sock_recv(raw, 100)
    await loop.sock_sendall(raw, masked(1, json.dumps(copy.opening()).encode()))
    async with asyncio.timeout(60):
        while not (sessions := await world.live.sessions(copy.client.script, SessionFilter(), 0, 1)):
            await asyncio.sleep(0.01)
    return sessions[0].id


async def until_gone(world: World, session_id: str) -> None:
    async with asyncio.timeout(60):
        while await world.live.session(session_id) is not None:
            await asyncio.sleep(0.01)


async def test_messages_to_it_pile_up_to_a_bound_and_end_its_session(world: World) -> None:
    with unread_socket(world) as raw:
        session_id = await opened(world, raw)
        data = "x" * 100_000
        sent = [asyncio.create_task(world.live.message(session_id, "handler", data, 20)) for _ in range(100)]
        await until_gone(world, session_id)
        outcomes = {outcome.reason for outcome in await asyncio.gather(*sent)}
        assert outcomes == {"client never responded"}
    assert 100 * len(data) > MAX_WAITING_BYTES


async def test_one_frame_it_does_not_take_in_time_ends_its_session(world: World, monkeypatch) -> None:
    monkeypatch.setattr("moonlatch.client.outgoing.WRITE_SECONDS", 0.3)
    with unread_socket(world) as raw:
        session_id = await opened(world, raw)
        # Larger than what the system takes off our hands, so that a second frame has to wait.
        sent = [asyncio.create_task(world.live.message(session_id, "handler", "x" * 8_000_000, 20)) for _ in range(2)]
        await asyncio.gather(*sent)
        await until_gone(world, session_id)


async def test_of_many_that_do_not_read_those_go_first_whose_frames_have_waited_for_longest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    untaken = Untaken(most=12_000_000)
    for one in (Outgoing, SessionTransport):
        monkeypatch.setattr(one, "untaken", untaken)
    with unread_socket(world) as first, unread_socket(world) as second:
        sessions = [await opened(world, raw) for raw in (first, second)]
        sent = []
        for session_id in sessions:
            sent.append(asyncio.create_task(world.live.message(session_id, "handler", "x" * 8_000_000, 20)))
            await asyncio.sleep(0)
        await until_gone(world, sessions[0])
        assert await world.live.session(sessions[1]) is not None
        assert 0 < untaken.bytes <= untaken.most
        assert (await sent[0]).reason == "client never responded"
        sent[1].cancel()
    await until_gone(world, sessions[1])
    assert untaken.bytes == 0


async def test_pings_it_sends_do_not_fill_the_memory_with_pongs(world: World) -> None:
    with unread_socket(world) as raw:
        session_id = await opened(world, raw)
        pings = masked(9, b"p" * 125) * 1_000
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(60):
                while await world.live.session(session_id) is not None:
                    await loop.sock_sendall(raw, pings)
        except OSError:  # the server hung up
            pass
        await until_gone(world, session_id)
