"""Connections that send without end, or nothing: each is ended, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from support.client_server import World, running_world
from support.keys import hashed

UNTIL_CLOSED_SECONDS = 5


async def opened(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = world.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def flooded(world: World, start: bytes, part: bytes, parts: int) -> tuple[bytes, int]:
    """What the server said before it hung up, and how many bytes it took of what was sent."""
    reader, writer = await opened(world)
    sent = 0
    with contextlib.suppress(ConnectionError):
        writer.write(start)
        for _ in range(parts):
            writer.write(part)
            await writer.drain()
            sent += len(part)
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), UNTIL_CLOSED_SECONDS)
    writer.close()
    return answer, sent


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: ", b"a" * 65_536),
        (b"GET /", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
    ],
    ids=["one header", "the address", "many headers"],
)
async def test_a_head_without_end_is_cut_off(world: World, start: bytes, part: bytes) -> None:
    _, sent = await flooded(world, start, part, 400)
    assert sent < 16 * 1024 * 1024
    assert (await world.http.get(f"{world.url}/loader/{'x' * 32}")).status_code == 404


@pytest.mark.parametrize(
    "sent", [b"", b"POST /client/v1/execute HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "half a head"]
)
async def test_a_head_that_does_not_come_is_given_up(world: World, monkeypatch: Any, sent: bytes) -> None:
    monkeypatch.setattr("moonlatch.web.bounded_http.HEAD_SECONDS", 0.2)
    reader, writer = await opened(world)
    writer.write(sent)
    assert await asyncio.wait_for(reader.read(), UNTIL_CLOSED_SECONDS) == b""
    writer.close()


@pytest.mark.parametrize("frame", [b"\x89\x80abcd", b"\x00\x80abcd"], ids=["pings", "empty fragments"])
async def test_a_flood_of_tiny_frames_is_ended_before_others_feel_it(world: World, frame: bytes) -> None:
    socket = await connect(world.url.replace("http", "ws") + "/client/v1/session", compression=None)
    assert socket.transport is not None
    began = time.monotonic()
    socket.transport.write((b"\x01\x80abcd" if frame[0] == 0 else b"") + frame * 200_000)
    await world.http.get(f"{world.url}/loader/{'x' * 32}")
    assert time.monotonic() - began < UNTIL_CLOSED_SECONDS
    await asyncio.wait_for(socket.wait_closed(), UNTIL_CLOSED_SECONDS)


async def test_a_reply_of_many_fragments_is_still_a_reply(world: World) -> None:
    wire = await (await (await world.script()).execute(key=await world.user())).session()
    asking = asyncio.create_task(world.live.message(wire.id, "ask", [], 10))
    asked = await wire.receive()
    text = f'{{"type":"reply","id":{asked["id"]},"status":"returned","data":["{os.urandom(50_000).hex()}"]}}'
    await wire.socket.send(text[start : start + 1_000] for start in range(0, len(text), 1_000))
    assert (await asking).processed


async def test_a_reply_that_is_nested_without_end_is_no_valid_return(world: World) -> None:
    wire = await (await (await world.script()).execute(key=await world.user())).session()
    for depth, processed in ((64, True), (65, False), (900, False)):
        asking = asyncio.create_task(world.live.message(wire.id, "ask", [], 10))
        asked = await wire.receive()
        data = "[" * depth + "]" * depth
        await wire.socket.send(f'{{"type":"reply","id":{asked["id"]},"status":"returned","data":{data}}}')
        outcome = await asking
        assert outcome.processed is processed
        assert outcome.reason == (None if processed else "invalid return data")


@pytest.mark.parametrize("target", ["/client/v1/execute", "/client/v1/execute?any"], ids=["direct", "through ASGI"])
async def test_a_trailer_does_not_pass_for_a_header_of_the_proxy(tmp_path: Path, target: str) -> None:
    async with running_world(tmp_path, trusted_proxies=["127.0.0.0/8"]) as world:
        client, key = await world.script(), await world.user()
        body = json.dumps(client.request(key=key)).encode()
        reader, writer = await opened(world)
        writer.write(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"%x\r\n%s\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n" % (len(body), body)
        )
        assert b" 200 " in await asyncio.wait_for(reader.readline(), UNTIL_CLOSED_SECONDS)
        writer.close()
        expected = world.keyring.fingerprint(world.project, "ip", "198.51.100.7")
        assert await world.value("select ip from users where key_hash = :key", key=hashed(key)) == expected


@pytest.mark.parametrize("path", ["/client/v1/execute", "/client/v1/other"], ids=["direct", "through ASGI"])
@pytest.mark.parametrize("part", [b"a" * 65_536, b"a: b\r\n" * 10_000], ids=["one trailer", "many trailers"])
async def test_trailers_without_end_are_cut_off(world: World, path: str, part: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    _, sent = await flooded(world, head + b"1\r\n{\r\n0\r\nX: ", part, 400)
    assert sent < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("further", "status"),
    [("Content-Length: 2", 400), ("X: " + "a" * 20_000, 431), ("\r\n".join(["a: b"] * 500), 431)],
    ids=["a body", "a long header", "many headers"],
)
async def test_a_handshake_that_cannot_be_read_is_refused(world: World, further: str, status: int) -> None:
    reader, writer = await opened(world)
    head = "GET /client/v1/session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    writer.write(f"{head}{further}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), UNTIL_CLOSED_SECONDS)
    writer.close()
    assert int(answer.split()[1]) == status
