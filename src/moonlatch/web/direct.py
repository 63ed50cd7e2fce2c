"""uvicorn's HTTP protocol with a short way for the client protocol's requests: they are answered where they are parsed, without messages.

Every other request goes uvicorn's own way. It knows nothing of a request but its path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from moonlatch.promise import Promise
from moonlatch.web.bounded_http import BoundedHttp
from moonlatch.web.bounds import BODY_SECONDS, MAX_BODY_BYTES
from moonlatch.web.connections import Connections
from moonlatch.web.socket import Headers, Peer
from moonlatch.web.status_lines import STATUS_LINES

Answer = tuple[int, Sequence[bytes], Headers]
"""Status, the parts of a JSON body, further headers."""

Handler = Callable[[bytes, Peer, Headers], Coroutine[Any, Any, Answer]]
"""Answers a body that came from this peer with these headers. Raises nothing, and waits for plain futures alone: there is
no task around it, which would cost as much as the rest of a small request."""

_LAST_CALL_SECONDS = 0.5

MAX_KNOWN_HEADS = 2_048
MAX_KNOWN_HEAD_BYTES = 1_024


class KnownHead(NamedTuple):
    """What the parser made of a request's head, byte for byte."""

    handler: Handler
    body_bytes: int
    headers: Headers


class _Turn:
    """A request that has to wait for its answer. Stands where uvicorn keeps its request in progress: what comes behind it waits."""

    __slots__ = ("_answering", "_connection", "disconnected", "keep_alive", "response_complete")

    message_event: ClassVar[asyncio.Event] = asyncio.Event()  # uvicorn wakes its reader by it; here nobody reads

    def __init__(
        self, connection: DirectTransport, answering: Coroutine[Any, Any, Answer], *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._answering = answering
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False

    def wait_for(self, future: Any) -> None:
        """Go on when the future is done that the coroutine waits for."""
        future._asyncio_future_blocking = False  # noqa: SLF001 -- the sign by which whoever drives a coroutine takes its future over
        if isinstance(future, Promise):
            future.call_at_once(self._go_on)
        else:
            future.add_done_callback(self._go_on)

    def _go_on(self, _future: Any) -> None:
        try:
            self.wait_for(self._answering.send(None))
        except StopIteration as done:
            self.response_complete = True
            self._connection.finish(done.value, keep_alive=self.keep_alive)
        except BaseException:
            self._connection.transport.abort()
            raise


class DirectTransport(BoundedHttp):
    """One HTTP connection. `transport_for` makes the class that answers."""

    routes: ClassVar[Mapping[bytes, Handler]]
    too_slow: ClassVar[Answer]
    too_large: ClassVar[Answer]
    known_heads: ClassVar[dict[bytes, KnownHead]]
    heads: ClassVar[tuple[object, dict[tuple[int, int], bytes]]]
    """uvicorn's default headers, which it replaces every second, and the heads made with them, by status and length."""
    is_leaving: ClassVar[bool] = False
    """Set when the process is about to end: every answer is its connection's last, so that a proxy asks another process next."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handler: Handler | None = None
        """Of the request that is being read, when it is one of ours."""
        self._body = bytearray()
        self._read: Handler | None = None
        """Of the request that was read last."""
        self._patience: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._is_last_call = False

    def data_received(self, data: bytes) -> None:
        if self._message_is_open or self._waiting or not self._is_my_turn():
            super().data_received(data)
        else:
            # A client says the same before every body. What the parser understood of these very bytes, at the start of a
            # message, it would understand again; so nothing is parsed here, and nothing is understood differently.
            end = data.find(b"\r\n\r\n") + 4
            known = self.known_heads.get(data[:end])
            if known is not None:
                handler, body_bytes, headers = known
                if len(data) - end == body_bytes and (self._head_timer is None or self._is_taken_in()):
                    self._answer(handler, data[end:], headers, keep_alive=True)
                    return
            self._read = None
            super().data_received(data)
            if self._read is not None:
                self._remember(data[:end], self._read, len(data) - end)
        # Most bodies arrive whole; a timer for each would cost more than reading them.
        if self._handler is None:
            if self._patience is not None:
                self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(BODY_SECONDS, self._give_up)

    def begin_request(self) -> None:
        handler = self.routes.get(self.url)
        if handler is not None and self._is_my_turn() and self._is_plain():
            self._handler = handler
            self._body.clear()
        else:
            self._is_last |= self.is_leaving
            super().begin_request()

    def take_body(self, body: bytes) -> None:
        if self._handler is None:
            super().take_body(body)
            return
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._refuse(self.too_large)

    def end_request(self) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            super().end_request()
            return
        self._read = handler
        keep_alive = self.parser.should_keep_alive() and not self._is_last
        self._answer(handler, bytes(self._body), self.headers, keep_alive=keep_alive)

    def on_response_complete(self) -> None:
        # As uvicorn's, but a timer that is there already stays: one for each request would cost more than reading it.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)
        if self._message_is_open or self._waiting:
            self.answered()

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._message_is_open or self._head_is_open or not self._is_my_turn():
            left = self.timeout_keep_alive
        if left > 0:
            self._is_last_call = False
            self._keep_alive(left)
        elif not self._is_last_call:
            # After a pause of the process timers come before what the client sent meanwhile; let that be read first.
            self._is_last_call = True
            self._keep_alive(_LAST_CALL_SECONDS)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _is_taken_in(self) -> bool:
        """Let a new connection's first request pass, unless it has to be its last."""
        if self._place is not None and self._place.is_reserved:
            return False
        self._end_head()
        return True

    def _is_my_turn(self) -> bool:
        """Nobody is before it on this connection, and the peer takes what it is sent."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _is_plain(self) -> bool:
        return (
            self.parser.get_method() == b"POST"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    def _remember(self, head: bytes, handler: Handler, body_bytes: int) -> None:
        """Keep what this head means, if the data was this head, a body of the length it tells, and nothing else."""
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if (
            lengths != [b"%d" % body_bytes]
            or len(head) > MAX_KNOWN_HEAD_BYTES
            or self._message_is_open
            or self.transport.is_closing()
            or any(name == b"transfer-encoding" for name, _ in self.headers)
            or any(name == b"connection" and value.lower() != b"keep-alive" for name, value in self.headers)
        ):
            return
        if len(self.known_heads) >= MAX_KNOWN_HEADS:
            self.known_heads.clear()
        self.known_heads[head] = KnownHead(handler, body_bytes, self.headers)

    def finish(self, answer: Answer, *, keep_alive: bool) -> None:
        """Answer the request whose turn it is, and turn to the next."""
        if not self.transport.is_closing():
            self._respond(answer, keep_alive=keep_alive)
        self.on_response_complete()

    def _answer(self, handler: Handler, body: bytes, headers: Headers, *, keep_alive: bool) -> None:
        answering = handler(body, self.client, headers)
        try:
            future = answering.send(None)
        except StopIteration as done:
            self.finish(done.value, keep_alive=keep_alive)
            return
        self.cycle = turn = _Turn(self, answering, keep_alive=keep_alive)  # type: ignore[assignment]
        turn.wait_for(future)

    def _give_up(self) -> None:
        self._patience = None
        if self._handler is not None:
            self._refuse(self.too_slow)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, answer: Answer) -> None:
        self._handler, self._ignores = None, True
        self._respond(answer, keep_alive=False)

    def _respond(self, answer: Answer, *, keep_alive: bool) -> None:
        status, parts, headers = answer
        head = self._head(status, sum(map(len, parts)))
        keep_alive = keep_alive and not self.is_leaving
        if headers or not keep_alive:
            further = [b"%s: %s\r\n" % header for header in headers]
            if not keep_alive:
                further.append(b"connection: close\r\n")
            head = head.removesuffix(b"\r\n") + b"".join(further) + b"\r\n"
        if len(parts) == 1:  # one small buffer is written faster than two
            self.transport.write(head + parts[0])
        else:
            self.transport.writelines([head, *parts])
        if not keep_alive:
            self.transport.close()

    def _head(self, status: int, length: int) -> bytes:
        """What stands before an answer of so many bytes, the empty line included."""
        default, heads = self.heads
        if default is not self.server_state.default_headers:
            default, heads = type(self).heads = self.server_state.default_headers, {}
        head = heads.get((status, length))
        if head is None:
            common = b"".join([b"%s: %s\r\n" % header for header in default])
            head = heads[status, length] = b"%s%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (
                STATUS_LINES[status],
                common,
                length,
            )
        return head


def transport_for(
    routes: Mapping[bytes, Handler], *, too_slow: Answer, too_large: Answer, places: Connections | None = None
) -> type[DirectTransport]:
    """The protocol class for `uvicorn.Config(..., http=...)`; `routes` by their exact request target."""
    return type(
        "RoutedDirectTransport",
        (DirectTransport,),
        {
            "places": places,
            "routes": routes,
            "too_slow": too_slow,
            "too_large": too_large,
            "known_heads": {},
            "heads": (None, {}),
        },
    )
