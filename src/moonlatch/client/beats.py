"""uvicorn's HTTP protocol with a short way for heartbeats, which need neither a task nor messages: they are answered where they are parsed.

Every other request goes uvicorn's own way. It knows nothing of heartbeats but their path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from moonlatch.client.body import BODY_SECONDS
from moonlatch.client.bounded_http import BoundedHttp
from moonlatch.client.replies import Headers
from moonlatch.client.wire import MAX_BODY_BYTES

HEARTBEAT_PATH = "/client/v1/heartbeat"

Answer = tuple[int, bytes, Headers]
"""Status, JSON body, further headers."""

_URL = HEARTBEAT_PATH.encode()


class BeatTransport(BoundedHttp):
    """One HTTP connection. `transport_for` makes the class that answers."""

    answer: ClassVar[Callable[[bytes], Answer]]
    too_slow: ClassVar[Answer]
    too_large: ClassVar[Answer]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beat: bytearray | None = None
        self._patience: asyncio.TimerHandle | None = None

    def on_headers_complete(self) -> None:
        if self.url == _URL and self._may_answer_here():
            self._end_head()
            self._beat = bytearray()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._beat is None:
            if not self.transport.is_closing():
                super().on_body(body)
            return
        self._beat += body
        if len(self._beat) > MAX_BODY_BYTES:
            self._refuse(self.too_large)

    def on_message_complete(self) -> None:
        if self._beat is None:
            if not self.transport.is_closing():
                super().on_message_complete()
            return
        body, self._beat = bytes(self._beat), None
        self._respond(type(self).answer(body), keep_alive=self.parser.should_keep_alive())
        self.on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most beats arrive whole; a timer for each would cost more than reading them.
        if self._beat is None:
            if self._patience is not None:
                self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(BODY_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _may_answer_here(self) -> bool:
        """Nobody is before it on this connection, and the peer takes what it is sent."""
        return (
            self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    def _give_up(self) -> None:
        self._patience = None
        if self._beat is not None:
            self._refuse(self.too_slow)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, answer: Answer) -> None:
        self._beat = None
        self._respond(answer, keep_alive=False)

    def _respond(self, answer: Answer, *, keep_alive: bool) -> None:
        status, body, headers = answer
        lines = [b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        if not keep_alive:
            lines.append(b"connection: close\r\n")
        fixed = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((STATUS_LINE[status], *lines, fixed, body)))
        if not keep_alive:
            self.transport.close()


def transport_for(answer: Callable[[bytes], Answer], *, too_slow: Answer, too_large: Answer) -> type[BeatTransport]:
    """The protocol class for `uvicorn.Config(..., http=...)`; `answer` gets a beat's body and must not wait."""
    return type(
        "AnsweringBeatTransport",
        (BeatTransport,),
        {"answer": staticmethod(answer), "too_slow": too_slow, "too_large": too_large},
    )
