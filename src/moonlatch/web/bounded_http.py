"""uvicorn's HTTP protocol for peers that owe something, or ask for more than they take: every connection has a deadline for what it still owes,
one request at a time is in work, and what is not a body is bounded too, which uvicorn reads for as long and as much as the peer sends.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from moonlatch.web.address import UNKNOWN
from moonlatch.web.connections import Connections, Place, TooManyError
from moonlatch.web.status_lines import STATUS_LINES
from moonlatch.web.untaken import OF_THIS_PROCESS, Untaken

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers, and as much again between two parts of a body or behind the last; one read of the socket may come on top."""

MAX_WAITING_BYTES = 64 * 1024
"""What may wait unparsed behind the request that is in work; whoever sends more has that request answered and then no more."""

HEAD_SECONDS = 10.0
"""How long a new connection may wait with its first request, and how long any head may take."""

RESERVED_HEAD_SECONDS = 2.0
"""The same on the places that are kept free, which are for one request each."""

OWED_SECONDS = 10.0
"""How long the rest of a body may take that nobody waits for any more, because the request was answered already."""

WRITE_SECONDS = 20.0
SLOWEST_BYTES_PER_SECOND = 32 * 1024
"""An answer that is not taken within the first, and as long as the second makes of its size, will not be."""

_END_OF_HEAD = b"\r\n\r\n"
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection."""

    places: ClassVar[Connections | None] = None
    """Who may connect; None: anybody."""
    untaken: ClassVar[Untaken] = OF_THIS_PROCESS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._message_is_open = False
        self._head_is_open = False
        self._ignores = False
        """Whether what still comes is no request any more."""
        self._is_last = False
        """Whether the connection ends with the answer to the request that is being read."""
        self._body_grew = False
        self._bytes_without_body = 0
        self._body_left = 0
        """Of the message that is being read, as far as its head told it."""
        self._end_of_read = b""
        """The last bytes that were parsed, when a head could end across two reads."""
        self._waiting = b""
        """What came behind the request that is in work."""
        self._place: Place | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._owed_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The first byte that the system does not take stops the next request, and starts the deadline of this answer.
        transport.set_write_buffer_limits(high=0)
        seconds = HEAD_SECONDS
        if self.places is not None:
            try:
                self._place = self.places.enter(self.client[0] if self.client else UNKNOWN, self._make_room)
            except TooManyError as refusal:
                self._refuse_connection(refusal)
                return
            if self._place.is_reserved:
                seconds = RESERVED_HEAD_SECONDS
        self._head_timer = self.loop.call_later(seconds, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting = b""
        self._stop_head_timer()
        self._stop_owed_timer()
        self._stop_write_timer()
        if self._place is not None:
            self._place.leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self._ignores:
            return
        super().handle_websocket_upgrade()
        # The connection is the session's now. The parser calls back to us, and would keep us until the next full collection.
        self.parser = None  # type: ignore[assignment]
        self._waiting = b""
        self.transport.set_write_buffer_limits()
        if self._place is not None:
            session: Any = self.transport.get_protocol()
            session.place, self._place = self._place, None

    def _make_room(self) -> None:
        """Somebody else needs the place, and nothing was asked for on it yet."""
        self.transport.abort()

    def _refuse_connection(self, refusal: TooManyError) -> None:
        self._ignores = True
        text = f"{refusal}\n".encode()
        head = b"content-type: text/plain\r\nretry-after: %d\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINES[refusal.status] + head % (refusal.retry_after_seconds, len(text)) + text)
        self.transport.close()

    # What the peer sends

    def data_received(self, data: bytes) -> None:
        if self._ignores or self.transport.is_closing():
            return
        if self._waiting or (not self._message_is_open and self._is_in_work()):
            self._hold(data)
        else:
            self._parse(data)

    def _is_in_work(self) -> bool:
        """Return whether a request is not answered yet, or its answer not taken."""
        return self.flow.write_paused or (self.cycle is not None and not self.cycle.response_complete)

    def _hold(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) > MAX_WAITING_BYTES:
            self._end_after_answer()
        else:
            self.flow.pause_reading()

    def _end_after_answer(self) -> None:
        """Answer what is in work, and nothing that came behind it."""
        self._ignores, self._waiting = True, b""
        self.flow.pause_reading()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _go_on(self) -> None:
        """The next request's turn, if it is here already and nothing stands before it."""
        if not self._waiting or self.transport.is_closing() or self._is_in_work():
            return
        data, self._waiting = self._waiting, b""
        self.flow.resume_reading()
        self.data_received(data)

    def _parse(self, data: bytes) -> None:
        """Read as far as the end of one request; whatever is behind it waits."""
        while data:
            part, data = self._divided(data)
            self._feed(part)
            if self._ignores or self.parser is None or self.transport.is_closing():
                return
            if data and not self._message_is_open:
                self._hold(data)
                # Not at once even when nothing is in work: between two requests of one peer others have their turn.
                self.loop.call_soon(self._go_on)
                return
        self._watch_idle()

    def _divided(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be parsed at once, and the rest, which may begin another request."""
        if self._message_is_open and not self._head_is_open:
            # In chunks the end cannot be seen; what comes behind it then is not answered (`on_message_begin`).
            end = self._body_left or len(data)
        else:
            seen = self._end_of_read + data
            end = seen.find(_END_OF_HEAD) + len(_END_OF_HEAD) - len(self._end_of_read)
            if end <= 0 or end > len(data):
                end = len(data)
        part = data[:end]
        self._end_of_read = (self._end_of_read + part)[1 - len(_END_OF_HEAD) :]
        return part, data[end:]

    def _feed(self, data: bytes) -> None:
        self._body_grew = False
        super().data_received(data)
        if not self._message_is_open or self.transport.is_closing():
            return
        self._bytes_without_body = 0 if self._body_grew else self._bytes_without_body + len(data)
        if self._bytes_without_body > MAX_HEAD_BYTES:
            if self._head_is_open:
                self._refuse_head(431, b"The request's head may have at most %d bytes.\n" % MAX_HEAD_BYTES)
            else:
                self.transport.close()
        elif self._head_is_open and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _watch_idle(self) -> None:
        """Uvicorn stops its timer of idle connections at every byte, and starts it again behind an answer only."""
        if (
            self.timeout_keep_alive_task is None
            and self._head_timer is None
            and self._owed_timer is None
            and not self._message_is_open
            and not self._is_in_work()
        ):
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    # What the parser finds in it

    def on_message_begin(self) -> None:
        if self._is_in_work():
            # Behind a body in chunks, in the same read.
            self._end_after_answer()
        if self._ignores:
            return
        self._message_is_open = self._head_is_open = True
        self._bytes_without_body = self._body_left = 0
        self._end_of_read = b""
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._ignores:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser gives trailers as headers. What a proxy did not see in the head must not be believed (RFC 9110 section 6.5.1).
        if self._head_is_open:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._ignores:
            return
        self._end_head()
        problem = self._problem_of_head()
        if problem:
            self._refuse_head(400, problem)
            return
        if self._place is not None and self._place.is_reserved:
            if self.parser.should_upgrade() and self._should_upgrade():
                self._refuse_head(503, b"The server has no room for another session now.\n")
                return
            self._place.is_used()
            self._is_last = True
        self.begin_request()

    def begin_request(self) -> None:
        """Have the request answered whose head was read."""
        super().on_headers_complete()
        if self._is_last and self.cycle is not None:  # a connection that turns into a session has none
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._body_grew = True
        self._body_left = max(0, self._body_left - len(body))
        if not self._ignores:
            self.take_body(body)

    def take_body(self, body: bytes) -> None:
        """Take a part of the request's body."""
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignores:
            return
        self._message_is_open = False
        self._stop_owed_timer()
        self.end_request()

    def end_request(self) -> None:
        """The request has been read."""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.answered()

    def answered(self) -> None:
        """Turn to what the connection still owes, or to its next request."""
        if self.transport.is_closing():
            return
        if self._message_is_open:
            if self._owed_timer is None:
                self._owed_timer = self.loop.call_later(OWED_SECONDS, self.transport.abort)
        elif self._waiting:
            self.flow.pause_reading()
            self.loop.call_soon(self._go_on)

    def _problem_of_head(self) -> bytes:
        """What RFC 9112 section 3.2 refuses a request for: empty when nothing."""
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if not _HOST.fullmatch(value):
                    return b"The Host header is not a host.\n"
            elif name == b"content-length":
                self._body_left = int(value)
        if hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0"):
            return b""
        return b"A request has one Host header.\n"

    def _end_head(self) -> None:
        self._head_is_open = False
        if self._head_timer is not None:
            self._stop_head_timer()

    def _refuse_head(self, status: int, text: bytes) -> None:
        self._ignores = True
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINES[status] + head + text)
        self.transport.close()

    # What the peer takes

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            size = self.transport.get_write_buffer_size()
            self.untaken.note(self, size, self.transport.abort)
            seconds = WRITE_SECONDS + size / SLOWEST_BYTES_PER_SECOND
            self._write_timer = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()
        if self._waiting:
            self._go_on()

    # Its timers

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_owed_timer(self) -> None:
        if self._owed_timer is not None:
            self._owed_timer.cancel()
            self._owed_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
            self.untaken.remove(self)
