"""Answers that nobody reads, on many connections: so much of them waits in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from moonlatch.web.bounded_http import BoundedHttp
from moonlatch.web.untaken import Untaken
from support.live import eventually
from support.server import free_port

ANSWER_BYTES = 12 * 1024 * 1024
"""More than a system takes for one connection."""

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_what_has_waited_for_longest_is_given_up_first() -> None:
    untaken, ended = Untaken(most=10), []
    for name, size in (("a", 4), ("b", 4), ("c", 2), ("d", 5)):
        untaken.note(name, size, lambda name=name: ended.append(name))  # type: ignore[misc]
    assert (ended, untaken.bytes) == (["a", "b"], 7)
    untaken.remove("c")
    untaken.remove("c")
    untaken.note("e", 5, lambda: ended.append("e"))
    assert (ended, untaken.bytes) == (["a", "b"], 10)


def test_one_answer_alone_may_be_larger() -> None:
    untaken = Untaken(most=10)
    untaken.note("a", 100, lambda: pytest.fail("given up"))
    assert untaken.bytes == 100


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server that answers everything with much."""

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        length = str(ANSWER_BYTES).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": bytes(ANSWER_BYTES)})

    port = free_port()
    config = uvicorn.Config(answer, port=port, http=BoundedHttp, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield port
    server.force_exit = server.should_exit = True
    await serving


async def test_of_many_peers_that_do_not_read_the_first_are_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    untaken = Untaken(most=3 * ANSWER_BYTES)
    monkeypatch.setattr(BoundedHttp, "untaken", untaken)
    loop = asyncio.get_running_loop()
    peers = []
    for number in range(8):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", port))
        await loop.sock_sendall(peer, REQUEST)
        peers.append(peer)
        if not number:

            async def waits() -> bool:
                return untaken.bytes > 0

            await eventually(waits)
    async with asyncio.timeout(10):
        assert len(await _whole(peers[0])) < ANSWER_BYTES
        assert untaken.bytes <= untaken.most
        assert len(await _whole(peers[-1])) > ANSWER_BYTES
    for peer in peers:
        peer.close()

    async def nothing_waits() -> bool:
        return untaken.bytes == 0

    await eventually(nothing_waits)


async def _whole(peer: socket.socket) -> bytes:
    """Its answer, or as much as comes before the server hangs up."""
    loop = asyncio.get_running_loop()
    answer = bytearray()
    try:
        while len(answer) <= ANSWER_BYTES and (part := await loop.sock_recv(peer, 1 << 20)):
            answer += part
    except ConnectionError:
        pass
    return bytes(answer)
