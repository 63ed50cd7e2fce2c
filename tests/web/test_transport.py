"""How a session's frames come off the wire: whole and short as most do, or cut up in every way that the network may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from websockets.server import ServerProtocol

from moonlatch.live.interface import MessageOutcome
from moonlatch.web.transport import INVALID_FRAME
from support.client import Wire
from support.client_server import World

READ_SECONDS = 0.003
"""Enough for the server to have read what was written."""

TEXT, LAST, MASKED = 0x01, 0x80, 0x80


def frame(content: bytes, *, first: int = LAST | TEXT, mask: bytes | None = None) -> bytes:
    """A client's frame (RFC 6455 section 5.2)."""
    mask = os.urandom(4) if mask is None else mask
    length = bytes([MASKED | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2)
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(content))


def raw(wire: Wire) -> asyncio.Transport:
    transport: asyncio.Transport = wire.socket.transport
    return transport


async def answered(world: World, wire: Wire, reads: Callable[[bytes], list[bytes]]) -> MessageOutcome:
    """The outcome of a message whose reply goes to the server in these reads."""
    asking = asyncio.create_task(world.live.message(wire.id, "ask", [], 10))
    asked = await wire.receive()
    for part in reads(b'{"type":"reply","id":%d,"status":"returned","data":["a"]}' % asked["id"]):
        raw(wire).write(part)
        await asyncio.sleep(READ_SECONDS)
    return await asking


@pytest.fixture
async def wire(world: World) -> Wire:
    return await (await (await world.script()).execute(key=await world.user())).session()


async def test_a_whole_short_answer_does_without_the_librarys_parser(
    world: World, wire: Wire, monkeypatch: Any
) -> None:
    parsed = []
    receive = ServerProtocol.receive_data
    monkeypatch.setattr(
        ServerProtocol, "receive_data", lambda self, data: (parsed.append(bytes(data)), receive(self, data))[1]
    )
    for padding in (0, 60, 61, 62, 63, 200, 3_900):  # around what fits a frame's short length
        outcome = await answered(world, wire, lambda text, padding=padding: [frame(text + b" " * padding)])
        assert outcome.response == ["a"]
    assert parsed == []

    outcome = await answered(world, wire, lambda text: [frame(text + b" " * 5_000)])
    assert (outcome.response, bool(parsed)) == (["a"], True)


async def test_an_answer_is_heard_wherever_it_is_cut(world: World, wire: Wire) -> None:
    for cut in range(1, len(frame(b'{"type":"reply","id":1,"status":"returned","data":["a"]}'))):

        def cut_up(text: bytes, cut: int = cut) -> list[bytes]:
            whole = frame(text)
            return [whole[:cut], whole[cut:]]

        assert (await answered(world, wire, cut_up)).response == ["a"], cut


async def test_what_looks_like_a_frame_inside_a_frame_is_none(world: World, wire: Wire) -> None:
    def disguised(text: bytes) -> list[bytes]:
        # Under this mask the answer goes over the wire as a whole text frame would, and in a read of its own.
        looks_like = bytes([LAST | TEXT, MASKED | len(text) - 6])
        mask = bytes(wanted ^ real for wanted, real in zip(looks_like, text[:2], strict=True)) + os.urandom(2)
        whole = frame(text, mask=mask)
        assert whole[6:8] == looks_like
        return [whole[:6], whole[6:]]

    assert (await answered(world, wire, disguised)).response == ["a"]


@pytest.mark.parametrize("length", [b"\xfe" + (61).to_bytes(2), b"\xff" + (119).to_bytes(8)], ids=["2", "8"])
async def test_a_length_in_more_bytes_than_it_needs_means_the_same(world: World, wire: Wire, length: bytes) -> None:
    def as_long(text: bytes) -> list[bytes]:
        padded = text.ljust(int.from_bytes(length[1:]))
        return [bytes([LAST | TEXT]) + length + bytes(4) + padded]

    assert (await answered(world, wire, as_long)).response == ["a"]


async def test_several_answers_in_one_read_are_all_heard(world: World, wire: Wire) -> None:
    asking = [asyncio.create_task(world.live.message(wire.id, "ask", [], 10)) for _ in range(5)]
    replies = []
    for _ in asking:
        asked = await wire.receive()
        replies.append(frame(b'{"type":"reply","id":%d,"status":"returned","data":[%d]}' % (asked["id"], asked["id"])))
    raw(wire).write(b"".join(replies))
    assert [outcome.response for outcome in await asyncio.gather(*asking)] == [[number] for number in range(1, 6)]


async def test_an_answer_in_parts_is_heard_and_nothing_whole_comes_between_them(world: World, wire: Wire) -> None:
    def in_parts(text: bytes) -> list[bytes]:
        return [frame(text[:10], first=TEXT), frame(text[10:20], first=0), frame(text[20:], first=LAST)]

    assert (await answered(world, wire, in_parts)).response == ["a"]

    raw(wire).write(frame(b'{"type":', first=TEXT))
    await asyncio.sleep(READ_SECONDS)
    raw(wire).write(frame(b'{"type":"ping"}'))
    assert (await wire.closed())[0] == INVALID_FRAME


async def test_a_whole_frame_of_no_utf_8_ends_the_session(wire: Wire) -> None:
    raw(wire).write(frame(b"\xff\xfe"))
    assert (await wire.closed())[0] == INVALID_FRAME
