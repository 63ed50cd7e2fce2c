"""Connections that owe something, take nothing, or are too many: none makes others wait, fills memory or stays for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from moonlatch.config.sections import ConnectionSettings
from moonlatch.web.bounded_http import OWED_SECONDS
from support.client import Client, Copy
from support.client_server import running_world
from support.rounds import rounds
from support.server import MoonlatchServer
from support.wire import Target, bystander, one_answer, post, prepared, until_closed

HUGE = "Content-Length: 9000000000000\r\n"
OWING = [
    f"GET /health/live HTTP/1.1\r\nHost: x\r\n{HUGE}\r\n",
    f"GET /loader/nothing HTTP/1.1\r\nHost: x\r\n{HUGE}\r\n",
    f"GET /nowhere HTTP/1.1\r\nHost: x\r\n{HUGE}\r\n",
    f"POST /projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{HUGE}\r\n",
    f"POST /client/v1/heartbeat HTTP/1.1\r\nHost: x\r\n{HUGE}\r\n",
    f"POST /client/v1/heartbeat?a HTTP/1.1\r\nHost: x\r\n{HUGE}\r\n",
    f"POST /client/v1/execute HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{HUGE}\r\n",
    "POST /loader/nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
]


def test_whoever_owes_a_body_is_let_go(target: Target) -> None:
    before = target.open_files
    with contextlib.ExitStack() as closing:
        peers = [closing.enter_context(contextlib.closing(target.connect())) for _ in OWING]
        began = time.monotonic()
        for peer, request in zip(peers, OWING, strict=True):
            peer.sendall(request.encode())
        for peer in peers:
            assert until_closed(peer).startswith(b"HTTP/1.1 ")
        assert time.monotonic() - began < OWED_SECONDS + 8
    assert target.open_files <= before + 2


def test_a_body_that_was_owed_and_comes_leaves_the_connection_as_it_was(target: Target) -> None:
    with contextlib.closing(target.connect()) as peer:
        for _ in range(3):
            peer.sendall(b"POST /projects HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
            assert one_answer(peer)[0] == 401
            peer.sendall(b"0123456789")


@pytest.mark.parametrize("path", ["/loader/", "/health/live"])
def test_answers_that_nobody_reads_are_not_made(target: Target, path: str) -> None:
    request = f"GET {path if path != '/loader/' else path + target.script} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    before = target.memory_mib
    count = rounds(40, 200)
    with bystander(target) as idle:
        time.sleep(0.5)
    with contextlib.ExitStack() as closing, bystander(target) as other:
        for _ in range(count):
            peer = closing.enter_context(contextlib.closing(target.connect(receive_buffer=4096)))
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                for _ in range(50):
                    peer.send(request * 4_000)
        time.sleep(0.5)
        # What is not parsed waits in at most 64 KiB, and one answer.
        assert target.memory_mib - before < 20 + count * 0.5
    assert other.p99 < max(0.5, 3 * idle.p99)
    assert "Traceback" not in target.errors
    assert not target.errors


def test_requests_sent_together_are_answered_in_their_order(target: Target) -> None:
    paths = [f"/client/v1/nothing-{number}" for number in range(50)]
    sent = (
        "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
        + "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    answer = target.ask(sent.encode())
    assert answer.count(b"HTTP/1.1 404") == 50
    assert answer.count(b"HTTP/1.1 200") == 1


def test_what_comes_behind_a_body_in_chunks_begins_no_second_request_at_once(target: Target) -> None:
    chunked = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    answer = target.ask(chunked + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("path", ["/client/v1/heartbeat", "/client/v1/heartbeat?a"], ids=["direct", "through ASGI"])
def test_a_body_that_is_too_large_is_answered_once_however_it_comes(target: Target, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answer = target.ask(head + (b"400\r\n%s\r\n" % (b"a" * 1024)) * 40 + b"0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 413")
    assert not target.errors


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /health/live HTTP/1.1\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a\r\nhost: a\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a b\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nHost: a/b\r\n", 400),
        ("GET /health/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n", 400),
        ("POST /client/v1/heartbeat HTTP/1.1\r\nContent-Length: 2\r\n", 400),
        ("POST /client/v1/heartbeat HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 2\r\n", 400),
        ("GET /client/v1/session HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 400),
        ("GET /health/live HTTP/1.0\r\n", 200),
        ("GET /health/live HTTP/1.1\r\nHost: \r\nConnection: close\r\n", 200),
        ("GET /health/live HTTP/1.1\r\nHost: [2001:db8::1]:8400\r\nConnection: close\r\n", 200),
    ],
)
def test_a_request_has_one_host(target: Target, head: str, status: int) -> None:
    body = "{}" if "Content-Length" in head else ""
    answer = target.ask(f"{head}\r\n{body}".encode())
    assert int(answer.split()[1]) == status


def test_a_peer_that_leaves_is_no_error(target: Target) -> None:
    _, beat = target.start()
    for sent in (
        post("/projects", b"{}", f"Token: {target.token}\r\n"),
        post("/projects", b"{", f"Token: {target.token}\r\n").replace(b": 1\r\n", b": 100\r\n"),
        f"GET /loader/{target.script} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50,
        beat() * 3,
        b"GET /loader/",
    ):
        for _ in range(rounds(10, 100)):
            peer = target.connect()
            peer.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER of no time: a reset
            peer.sendall(sent)
            peer.close()
    assert target.ask(b"GET /health/live HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert not target.errors


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with few places."""
    server = MoonlatchServer(
        tmp_path_factory.mktemp("small") / "data",
        {"MOONLATCH_CONNECTIONS__MOST": "64", "MOONLATCH_CONNECTIONS__PER_ADDRESS": "40"},
    )
    made = asyncio.run(prepared(server))
    with server:
        yield made


def test_one_address_cannot_take_all_places(small: Target) -> None:
    with contextlib.ExitStack() as closing:
        _idle(closing, small, 40, "127.0.0.2")
        refused = closing.enter_context(contextlib.closing(small.connect(source="127.0.0.2")))
        answer = until_closed(refused)
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 5" in answer
        assert small.ask(b"GET /health/live HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_the_last_places_answer_single_requests_whatever_holds_the_others(small: Target) -> None:
    _, beat = small.start()
    with contextlib.ExitStack() as closing:
        _idle(closing, small, 32, "127.0.0.2")
        _idle(closing, small, 40, "127.0.0.3")
        for _ in range(5):
            assert small.ask(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")
            assert b" 200 " in small.ask(f"GET /projects HTTP/1.1\r\nHost: x\r\nToken: {small.token}\r\n\r\n".encode())
            assert b" 200 " in small.ask(beat())
        handshake = "GET /client/v1/session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert small.ask(handshake.encode()).startswith(b"HTTP/1.1 503")
    for _ in range(100):  # who hung up has left soon
        if (
            b"keep-alive" in small.ask(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            or small.open_files < 40
        ):
            break
        time.sleep(0.05)
    assert small.open_files < 40


def _idle(closing: contextlib.ExitStack, target: Target, count: int, source: str) -> None:
    for _ in range(count):
        closing.enter_context(contextlib.closing(target.connect(source=source)))


async def test_a_proxys_clients_have_limits_of_their_own(tmp_path: Path) -> None:
    async with running_world(
        tmp_path, trusted_proxies=["127.0.0.0/8"], connections=ConnectionSettings(most=1_000, per_address=2)
    ) as world:
        client = await world.script()
        copies = [await client.execute(key=await world.user()) for _ in range(4)]
        headers = {"X-Forwarded-For": "2001:db8:1:2::1"}
        wires = [await _opened(client, copy, headers) for copy in copies[:2]]
        assert all(wire.close_code is None for wire in wires)
        third = await _opened(client, copies[2], {"X-Forwarded-For": "2001:db8:1:2::2"})
        await asyncio.wait_for(third.wait_closed(), 10)
        assert (third.close_code, third.close_reason) == (3001, "There are too many connections from your network.")
        other = await _opened(client, copies[3], {"X-Forwarded-For": "2001:db8:1:3::1"})
        assert b"opened" in (await other.recv()).encode()
        await wires[0].close()
        await wires[0].wait_closed()


async def _opened(client: Client, copy: Copy, headers: dict[str, str]) -> ClientConnection:
    url = client.url.replace("http", "ws") + "/client/v1/session"
    socket = await connect(url, compression=None, additional_headers=headers)
    with contextlib.suppress(ConnectionClosed):  # refused before it says anything
        await socket.send(json.dumps(copy.opening()))
    return socket


class FewFiles(MoonlatchServer):
    """One that may open 300 files."""

    @property
    def command(self) -> list[str]:
        return ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh", *super().command]


def test_a_server_has_no_more_connections_than_files(tmp_path: Path) -> None:
    target = asyncio.run(prepared(FewFiles(tmp_path / "data")))
    with target.server, contextlib.ExitStack() as closing:
        for _ in range(400):
            with contextlib.suppress(ConnectionError):
                _idle(closing, target, 1, "127.0.0.2")
        assert target.ask(b"GET /health/live HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert target.open_files < 300
        assert not target.errors
