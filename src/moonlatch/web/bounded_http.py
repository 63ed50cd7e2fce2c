"""uvicorn's HTTP protocol with bounds for what is not a body: heads and trailers, which uvicorn reads for as long and as much as the peer sends."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from moonlatch.web.status_lines import STATUS_LINES

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers, and as much again between two parts of a body or behind the last; one read of the socket may come on top."""

HEAD_SECONDS = 10.0
"""How long a new connection may wait with its first request, and how long any head may take."""

_TOO_LARGE = b"The request's head may have at most %d bytes.\n" % MAX_HEAD_BYTES


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._message_is_open = False
        self._head_is_open = False
        self._body_grew = False
        self._bytes_without_body = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # The connection is the session's now. The parser calls back to us, and would keep us until the next full collection.
        self.parser = None  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        self._message_is_open = self._head_is_open = True
        self._bytes_without_body = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser gives trailers as headers. What a proxy did not see in the head must not be believed (RFC 9110 section 6.5.1).
        if self._head_is_open:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_grew = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_is_open = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._body_grew = False
        super().data_received(data)
        if not self._message_is_open or self.transport.is_closing():
            return
        self._bytes_without_body = 0 if self._body_grew else self._bytes_without_body + len(data)
        if self._bytes_without_body > MAX_HEAD_BYTES:
            if self._head_is_open:
                self._refuse_head()
            else:
                self.transport.close()
        elif self._head_is_open and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._head_is_open = False
        if self._head_timer is not None:
            self._stop_head_timer()

    def _refuse_head(self) -> None:
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(_TOO_LARGE)
        self.transport.write(STATUS_LINES[431] + head + _TOO_LARGE)
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
