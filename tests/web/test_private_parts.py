"""Parts of libraries that are used without a promise that they stay: each is as it was when Moonlatch was made to fit it.

A failure here names what depends on the part. Read what has changed, mend that, run tests/web, tests/client, `bench/heartbeat.py` and
`bench/messages.py`, and only then put in the new fingerprint and the new version in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import websockets.frames
from uvicorn import Server
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.protocol import Protocol
from websockets.server import ServerProtocol

from moonlatch.web.bounded_http import BoundedHttp
from moonlatch.web.direct import DirectTransport
from moonlatch.web.transport import SessionTransport

PARTS: list[tuple[Callable[..., Any] | type, str, str]] = [
    (
        HttpToolsProtocol.__init__,
        "4f0899941034",
        "`BoundedHttp` and `DirectTransport` are built on the attributes it makes",
    ),
    (HttpToolsProtocol.connection_made, "6efb565ff3d3", "`BoundedHttp` starts the timer of the first head behind it"),
    (
        HttpToolsProtocol.connection_lost,
        "c91a4c9bf2e2",
        "it tells `_Turn`, which stands in `cycle`, that the client is gone (`response_complete`, `disconnected`, `message_event`)",
    ),
    (
        HttpToolsProtocol.data_received,
        "010a7ae59a5d",
        "`DirectTransport` answers what it knows without it, and `BoundedHttp` counts what it takes",
    ),
    (
        HttpToolsProtocol.handle_websocket_upgrade,
        "179c4f769386",
        "it hands the head of a handshake over alone, behind which `SessionTransport` begins to follow frames; `BoundedHttp` drops the parser then",
    ),
    (
        HttpToolsProtocol.on_message_begin,
        "96d377fdc7c2",
        "it makes new `headers` for every message, which `DirectTransport` keeps in `known_heads`",
    ),
    (HttpToolsProtocol.on_url, "37be44e962b0", "`BoundedHttp` leaves out what is not answered before it"),
    (HttpToolsProtocol.pause_writing, "17a8fd215d96", "`BoundedHttp` starts the deadline of an answer behind it"),
    (HttpToolsProtocol.resume_writing, "7844bbaa8cce", "`BoundedHttp` goes on with the next request behind it"),
    (HttpToolsProtocol.on_header, "65d62c044f61", "`BoundedHttp` leaves trailers out before it"),
    (
        HttpToolsProtocol.on_headers_complete,
        "1ea8589acfad",
        "`DirectTransport` takes its own requests out before it makes a `cycle`, and waits for its turn as it does",
    ),
    (
        HttpToolsProtocol.on_body,
        "dba9c32aeba3",
        "`DirectTransport` collects the bodies of its own requests in its place",
    ),
    (HttpToolsProtocol.on_message_complete, "1fbad42dc31f", "`DirectTransport` answers its own requests in its place"),
    (
        HttpToolsProtocol.on_response_complete,
        "64e254f28e38",
        "`DirectTransport` does what it does but for the timer of each request (`total_requests`, `flow`, `pipeline`)",
    ),
    (
        HttpToolsProtocol.timeout_keep_alive_handler,
        "8b53bf5f2e20",
        "`DirectTransport` calls it when a connection was really idle",
    ),
    (HttpToolsProtocol.shutdown, "d7351fa33f00", "it asks `_Turn` for `response_complete` and sets its `keep_alive`"),
    (
        RequestResponseCycle.__init__,
        "4d2f220910c3",
        "`_Turn` has the attributes by which the protocol knows a request in progress",
    ),
    (FlowControl, "126debcdaa89", "`DirectTransport` asks for `read_paused` and `write_paused`"),
    (
        ServerState,
        "f2260fbf1015",
        "`default_headers` is another list as soon as it changes, by which `DirectTransport` keeps its heads",
    ),
    (
        WebSocketsSansIOProtocol.__init__,
        "631dcd744eab",
        "`SessionTransport` puts `Mailbox` and `Gate` in the place of `queue` and `writable`, and uses `conn`, `frames` and the flags",
    ),
    (
        WebSocketsSansIOProtocol.connection_lost,
        "dd116afc4d80",
        "`SessionTransport` frees what holds the connection behind it",
    ),
    (WebSocketsSansIOProtocol.pause_writing, "4830f7e0d81f", "`SessionTransport` counts what was not taken behind it"),
    (WebSocketsSansIOProtocol.resume_writing, "ef79384e5fff", "`SessionTransport` counts what was not taken behind it"),
    (
        WebSocketsSansIOProtocol.data_received,
        "c89d394077d8",
        "`SessionTransport` hands it slices, and looks for a failed handshake behind it",
    ),
    (WebSocketsSansIOProtocol.handle_events, "b2c9351a5d13", "`SessionTransport` counts `conn.events` before it"),
    (
        WebSocketsSansIOProtocol.handle_connect,
        "fc648c2161ff",
        "it makes `response` and `scope`, into which `SessionTransport` puts itself",
    ),
    (
        WebSocketsSansIOProtocol.send_receive_event_to_app,
        "a2b10de91477",
        "`SessionTransport` gives texts to the session in its place (`curr_msg_data_type`, `frames`)",
    ),
    (
        WebSocketsSansIOProtocol.handle_ping,
        "41bcf345d372",
        "`SessionTransport` drops a peer that pings and does not read",
    ),
    (WebSocketsSansIOProtocol.handle_parser_exception, "ff5cf13c764f", "`SessionTransport` says 3502 in its place"),
    (
        WebSocketsSansIOProtocol.start_keepalive,
        "6d83bdbc3db8",
        "it is called when the handshake is over and `request` and `response` are needed no more",
    ),
    (WebSocketsSansIOProtocol.stop_keepalive, "bbb91b997b37", "`SessionTransport.force_close` stops the pings by it"),
    (
        WebSocketsSansIOProtocol.shutdown,
        "e8ace796ada6",
        "`SessionTransport` tells open sessions to come back in its place",
    ),
    (
        WebSocketsSansIOProtocol.send,
        "d4919ed760ce",
        "what it waits for (`writable`) and sets (`close_sent`, `handshake_complete`) is what `send_now` and `force_close` go by",
    ),
    (
        WebSocketsSansIOProtocol.receive,
        "1dc0e7153900",
        "it uses `get` and `empty` of the queue, all that `Mailbox` has, and resumes reading",
    ),
    (WebSocketsSansIOProtocol.run_asgi, "662375aa38d9", "the connection is closed when the session's task has ended"),
    (Server.startup, "2aa1d70a244b", "`serving.server.Server` says that it is ready behind it"),
    (
        Server.shutdown,
        "9b33c5056299",
        "`serving.server.Server` drains before it (`servers`, `server_state.connections`, `timeout_graceful_shutdown`)",
    ),
    (
        Server.handle_exit,
        "553276efa26e",
        "`serving.server.Server` takes the signals in its place (`should_exit`, `force_exit`)",
    ),
    (
        Protocol.receive_data,
        "df57bef09335",
        "it takes one read after the other, and may miss the whole frames that `SessionTransport` reads itself",
    ),
    (
        Protocol.parse,
        "45aaf900644b",
        "between two frames it keeps nothing but `current_size`, so that it need not see a whole frame",
    ),
    (
        Protocol.recv_frame,
        "4f83d3b90ea6",
        "it answers pings and counts the parts of messages, which a whole text frame is not",
    ),
    (Protocol.fail, "924ae7075dc7", "`SessionTransport` replaces the close frame that it writes"),
    (
        ServerProtocol.parse,
        "8c4d10340de4",
        "a failed handshake leaves `handshake_exc`, for which `SessionTransport` looks",
    ),
]


@pytest.mark.parametrize(("part", "fingerprint", "dependence"), PARTS, ids=[part.__qualname__ for part, _, _ in PARTS])
def test_a_private_part_is_as_it_was(part: Callable[..., Any] | type, fingerprint: str, dependence: str) -> None:
    found = hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]
    assert found == fingerprint, f"{part.__module__}.{part.__qualname__} has changed: {dependence}"


@pytest.mark.parametrize("ours", [BoundedHttp, DirectTransport, SessionTransport])
def test_whatever_is_replaced_in_a_librarys_class_is_in_the_list(ours: type) -> None:
    theirs = next(base for base in ours.__mro__ if base.__module__.startswith("uvicorn."))
    replaced = {name for name, value in vars(ours).items() if inspect.isfunction(value) and hasattr(theirs, name)}
    listed = {part.__name__ for part, _, _ in PARTS if part.__qualname__.startswith(theirs.__name__ + ".")}
    assert replaced <= listed


async def test_a_future_says_by_a_flag_that_a_coroutine_waits_for_it() -> None:
    # `_Turn` in web/direct.py drives a coroutine without a task, and takes over the futures it waits for as a task does.
    async def waiting(future: asyncio.Future[int]) -> int:
        return await future

    future = asyncio.get_running_loop().create_future()
    coroutine = waiting(future)
    assert coroutine.send(None) is future
    assert future._asyncio_future_blocking is True
    future._asyncio_future_blocking = False
    future.set_result(7)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == 7


def test_a_mask_is_applied_as_the_standard_says() -> None:
    # web/transport.py unmasks short frames with it: RFC 6455 section 5.7's own example.
    apply_mask = websockets.frames.apply_mask  # type: ignore[attr-defined]
    assert apply_mask(bytes.fromhex("7f9f4d5158"), bytes.fromhex("37fa213d")) == b"Hello"
