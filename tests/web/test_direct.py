"""Starts and heartbeats the short way: whatever a connection does around them, every request gets its own answer in its turn."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from moonlatch.client.protocol import EXECUTE_PATH, HEARTBEAT_PATH
from moonlatch.web import direct
from support.client_server import World, running_world

PATIENCE_SECONDS = 20
"""For an answer, or the end of a connection, on a busy machine: longer than an idle connection stays."""


def request(body: bytes, *, length: int | None = None, headers: str = "", path: str = HEARTBEAT_PATH) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {len(body) if length is None else length}\r\n"
    )
    return f"{head}\r\n".encode() + body


async def beat_bodies(world: World, count: int) -> list[bytes]:
    copy = await (await world.script()).execute(key=await world.user())
    common = {"instance": copy.instance, "token": copy.reply["token"]}
    return [json.dumps({**common, "sequence": copy.moments.next()}).encode() for _ in range(count)]


async def connection_to(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = world.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of the next answer."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))
    return int(head.split()[1])


async def exchange(world: World, *parts: bytes, pause: float = 0) -> list[tuple[int, dict[str, str], Any]]:
    """Everything the server answers to these bytes, until it has nothing more to say for a while."""
    reader, writer = await connection_to(world)
    answers = []
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        while True:
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
            except (TimeoutError, asyncio.IncompleteReadError):
                return answers
            status, *lines = head.decode().strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers["content-length"]))
            answers.append((int(status.split()[1]), headers, json.loads(body)))
    finally:
        writer.close()


def closing(body: bytes) -> bytes:
    """A request behind which the server hangs up."""
    return request(body, headers="Connection: close\r\n")


def codes(answers: list[tuple[int, dict[str, str], Any]]) -> list[Any]:
    return [body["error"]["code"] if status != 200 else 200 for status, _, body in answers]


async def test_many_beats_in_one_packet_are_answered_in_their_order(world: World) -> None:
    first, second, third = await beat_bodies(world, 3)
    answers = await exchange(world, b"".join(map(request, (first, second, second, third))))
    assert codes(answers) == [200, 200, "REPLAYED", 200]
    assert answers[0][1]["content-type"] == "application/json"
    assert "date" in answers[0][1]


async def test_beats_and_other_requests_on_one_connection_keep_their_order(world: World) -> None:
    first, second = await beat_bodies(world, 2)
    other = request(b"{}", path="/client/v1/execute")
    answers = await exchange(world, request(first) + other + request(second) + other + request(b"[]"))
    assert codes(answers) == [200, "INVALID_REQUEST", 200, "INVALID_REQUEST", "INVALID_REQUEST"]


async def test_a_beat_may_arrive_byte_by_byte(world: World) -> None:
    (body,) = await beat_bodies(world, 1)
    whole = request(body)
    assert codes(await exchange(world, *(whole[at : at + 40] for at in range(0, len(whole), 40)), pause=0.005)) == [200]


async def test_a_chunked_beat_is_a_beat(world: World) -> None:
    (body,) = await beat_bodies(world, 1)
    head = f"POST {HEARTBEAT_PATH} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert codes(await exchange(world, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))) == [200]


async def test_a_client_may_ask_to_close_and_to_be_told_to_go_on(world: World) -> None:
    first, second = await beat_bodies(world, 2)
    closing = await exchange(world, request(first, headers="Connection: close\r\n") + request(second))
    assert codes(closing) == [200]
    assert closing[0][1]["connection"] == "close"


async def test_a_beat_that_is_too_large_is_refused_before_it_is_read(world: World) -> None:
    answers = await exchange(world, request(b"x" * 20_000, length=10_000_000))
    assert [(status, body["error"]["code"]) for status, _, body in answers] == [(413, "INVALID_REQUEST")]
    assert answers[0][1]["connection"] == "close"


async def test_a_beat_that_does_not_come_is_given_up(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(direct, "BODY_SECONDS", 0.3)
    answers = await exchange(world, request(b"{", length=100))
    assert [(status, body["error"]["code"]) for status, _, body in answers] == [(400, "INVALID_REQUEST")]
    assert answers[0][1]["connection"] == "close"


async def test_other_methods_and_old_versions_go_the_ordinary_way(world: World) -> None:
    (body,) = await beat_bodies(world, 1)
    get = f"GET {HEARTBEAT_PATH} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    old = request(body).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert codes(await exchange(world, get)) == ["INVALID_REQUEST"]
    assert codes(await exchange(world, old)) == [200]


async def test_a_client_that_never_reads_its_answers_is_read_no_further(world: World) -> None:
    host, port = world.url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((host, int(port)))
    _, writer = await asyncio.open_connection(sock=sock, limit=1024)
    flood = request(b"[]") * 1_000
    try:
        with pytest.raises((TimeoutError, ConnectionError)):
            for _ in range(400):
                writer.write(flood)
                await asyncio.wait_for(writer.drain(), 2)
    finally:
        writer.transport.abort()
    (body,) = await beat_bodies(world, 1)
    assert codes(await exchange(world, request(body))) == [200]


async def start_bodies(world: World, count: int) -> list[bytes]:
    client, key = await world.script(), await world.user()
    return [json.dumps(client.request(key=key)).encode() for _ in range(count)]


async def test_starts_and_beats_in_one_packet_are_answered_in_their_order(world: World) -> None:
    (beat,) = await beat_bodies(world, 1)
    first, second = await start_bodies(world, 2)
    start = partial(request, path=EXECUTE_PATH)
    answers = await exchange(world, start(first) + request(beat) + start(first) + start(second) + request(beat))
    assert codes(answers) == [200, 200, "REPLAYED", 200, "REPLAYED"]
    assert "payload" in answers[0][2]


async def test_a_client_may_ask_to_close_behind_its_start(world: World) -> None:
    first, second = await start_bodies(world, 2)
    closing = request(first, path=EXECUTE_PATH, headers="Connection: close\r\n")
    answers = await exchange(world, closing + request(second, path=EXECUTE_PATH))
    assert codes(answers) == [200]
    assert answers[0][1]["connection"] == "close"


async def test_a_client_that_leaves_before_its_start_is_answered_hurts_nobody(world: World) -> None:
    first, second = await start_bodies(world, 2)
    host, port = world.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(request(first, path=EXECUTE_PATH))
    writer.transport.abort()
    assert codes(await exchange(world, request(second, path=EXECUTE_PATH))) == [200]


async def test_a_head_that_came_before_means_the_same_again(world: World) -> None:
    bodies = await beat_bodies(world, 9)
    answers = await exchange(world, *map(request, bodies), *map(request, bodies[:2]), pause=0.05)
    assert codes(answers) == [200] * 9 + ["REPLAYED"] * 2


@pytest.mark.parametrize("cut", [-1, -20, 30])
async def test_a_head_that_came_before_waits_for_all_of_its_body(world: World, cut: int) -> None:
    first, second, third = map(request, await beat_bodies(world, 3))
    answers = await exchange(world, first, second[:cut], second[cut:], third, pause=0.05)
    assert codes(answers) == [200, 200, 200]


async def test_a_head_that_came_before_takes_no_more_than_its_body(world: World) -> None:
    first, second, third = map(request, await beat_bodies(world, 3))
    answers = await exchange(world, first, second + third[:40], third[40:] + second, pause=0.05)
    assert codes(answers) == [200, 200, 200, "REPLAYED"]


async def test_a_head_inside_a_body_is_no_head(world: World) -> None:
    beat = request((await beat_bodies(world, 1))[0])
    wrapped = request(b"{" + beat)  # its rest arrives alone, and looks like a beat that came before
    at = len(wrapped) - len(beat)
    answers = await exchange(world, beat, wrapped[:at], wrapped[at:], pause=0.05)
    assert codes(answers) == [200, "INVALID_REQUEST"]


async def test_what_asks_to_close_or_comes_in_chunks_is_not_remembered(world: World) -> None:
    first, second, third = await beat_bodies(world, 3)
    for _ in range(2):
        closing = await exchange(world, request(first, headers="Connection: close\r\n"), request(second), pause=0.05)
        assert len(closing) == 1
    chunked = f"POST {HEARTBEAT_PATH} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    whole = chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(third), third)
    assert codes(await exchange(world, whole, whole, pause=0.05)) == [200, "REPLAYED"]


async def test_heads_are_remembered_up_to_a_number(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(direct, "MAX_KNOWN_HEADS", 2)
    bodies = await beat_bodies(world, 6)
    parts = [request(body, headers=f"X-Number: {number}\r\n") for number, body in enumerate(bodies)]
    assert codes(await exchange(world, *parts, pause=0.02)) == [200] * 6


def chunked(body: bytes, *, path: str = HEARTBEAT_PATH) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def cut(random: Random, whole: bytes) -> list[bytes]:
    """The bytes in pieces of any size, mostly at places that matter."""
    ends = [match.end() for match in re.finditer(rb"\r\n\r\n|}|POST|\r\n", whole)]
    chosen = random.sample(ends, k=min(len(ends), random.randrange(4)))
    places = sorted({place for one in chosen for place in (one, one - random.randrange(3)) if 0 < place < len(whole)})
    return [whole[start:end] for start, end in pairwise([0, *places, len(whole)])]


@pytest.mark.parametrize("seed", range(40))
async def test_however_requests_are_cut_and_joined_each_has_its_own_answer(world: World, seed: int) -> None:
    random = Random(seed)
    beats = await beat_bodies(world, 8)
    await exchange(world, request(beats[0]), closing(b"[]"))  # from now on the head is known
    parts, expected = [], []
    for beat in beats[1:]:
        kind = random.choice(["known", "known", "chunked", "malformed", "headed", "spaced"])
        parts.append(
            {
                "known": request(beat),
                "chunked": chunked(beat),
                "malformed": request(b"{" + beat[:-1]),
                "headed": request(beat, headers="X-Other: 1\r\n"),
                "spaced": b"\r\n" + request(beat),
            }[kind]
        )
        expected.append("INVALID_REQUEST" if kind == "malformed" else 200)
    answers = await exchange(world, *cut(random, b"".join([*parts, closing(b"[]")])), pause=0.002)
    assert codes(answers) == [*expected, "INVALID_REQUEST"]


@pytest.mark.parametrize(
    "headers",
    [
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 7\r\n",
        "Content-Length: 0, 7\r\n",
        "Transfer-Encoding: gzip, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length\n: 7\r\n",
    ],
)
async def test_two_lengths_are_refused_and_the_connection_ends(world: World, headers: str) -> None:
    first, second = await beat_bodies(world, 2)
    for _ in range(2):  # nothing of it is remembered
        reader, writer = await connection_to(world)
        writer.write(request(first, headers=headers) + request(second))
        answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1
        writer.close()
    assert codes(await exchange(world, request(second), closing(b"[]"))) == [200, "INVALID_REQUEST"]


async def test_lines_without_carriage_returns_end_the_connection(world: World) -> None:
    first, second, third = await beat_bodies(world, 3)
    reader, writer = await connection_to(world)
    writer.write(request(first))
    assert await answered(reader) == 200
    writer.write(request(second).replace(b"\r\n", b"\n") + request(third))
    rest = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    assert rest.startswith(b"HTTP/1.1 400")
    assert rest.count(b"HTTP/1.1") == 1
    writer.close()


async def test_a_request_behind_a_start_that_closes_is_not_answered(world: World) -> None:
    first, second = await start_bodies(world, 2)
    closing_start = request(first, path=EXECUTE_PATH, headers="Connection: close\r\n")
    for _ in range(2):
        answers = await exchange(world, closing_start, request(second, path=EXECUTE_PATH), pause=0.05)
        assert len(answers) == 1
        assert answers[0][1]["connection"] == "close"


async def test_an_idle_connection_is_closed_and_one_in_use_stays(tmp_path: Path) -> None:
    # Pauses that are together longer than an idle connection may stay, and each so much shorter that a busy machine may be late.
    async with running_world(tmp_path, keep_alive_seconds=3) as world:
        reader, writer = await connection_to(world)
        for body in await beat_bodies(world, 4):
            writer.write(request(body))
            assert await answered(reader) == 200
            await asyncio.sleep(0.9)
        began = time.monotonic()
        assert await asyncio.wait_for(reader.read(), 30) == b""
        assert time.monotonic() - began > 1
        writer.close()


async def test_what_came_while_the_process_was_paused_is_answered(tmp_path: Path) -> None:
    async with running_world(tmp_path, keep_alive_seconds=1) as world:
        reader, writer = await connection_to(world)
        first, second = await beat_bodies(world, 2)
        writer.write(request(first))
        assert await answered(reader) == 200
        writer.write(request(second))
        time.sleep(1.5)
        assert await answered(reader) == 200
        writer.close()
