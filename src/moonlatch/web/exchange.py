"""One HTTP/1.1 connection to a server that is not trusted: a request goes out, a bounded answer comes back. Knows no address and opens nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

MAX_HEAD_BYTES = 65_536
_FRAMING = 8
"""Bytes on the wire for one of the body, at most: who sends chunks of one byte says nothing for longer than that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case. `is_whole` is false for a body that was cut off at its bound."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_redirection(self) -> bool:
        return 300 <= self.status < 400


class NonsenseError(Exception):
    """What came back is not HTTP, or more of it than is taken."""


class BrokenError(Exception):
    """The connection ended before the answer did."""


class Exchange(asyncio.Protocol):
    """A connection. It carries one request at a time; `is_reusable` says whether it may carry another."""

    def __init__(self) -> None:
        self.is_reusable = False
        self.has_answered = False
        """Whether anything came back to the request that goes on."""
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes, limit_bytes: int) -> Answer:
        """Send a whole request and give its answer, with at most so many bytes of body. Raises NonsenseError, BrokenError."""
        self.is_reusable = self.has_answered = False
        if self._transport is None or self._transport.is_closing():
            raise BrokenError
        self._begin(limit_bytes)
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None
            if not self.is_reusable:
                self.close()

    def close(self) -> None:
        """End the connection at once; what was not sent yet is lost."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _begin(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._received = 0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._has_head = False

    # --- what the event loop tells

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.close()  # nothing was asked
            return
        self.has_answered = True
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._waiting.done():
                self._waiting.set_exception(NonsenseError())
            self.is_reusable = False
            return
        if self._received > MAX_HEAD_BYTES + (_FRAMING * self._limit if self._has_head else 0):
            self._end(cut=True)

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_reusable = False
        if self._waiting is None or self._waiting.done():
            return
        # RFC 9112 section 6.3: without a length, the body goes on until the connection ends.
        if self._has_head and not {"content-length", "transfer-encoding"} & self._headers.keys():
            self._end()
        else:
            self._waiting.set_exception(BrokenError())

    # --- what the parser tells

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        room = self._limit - len(self._body)
        self._body += body[:room]
        if len(body) > room:
            self._end(cut=True)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim answer; the real one follows
            self._headers, self._has_head = {}, False
            return
        # It must not be used again for what came behind the answer.
        self.is_reusable = self._waiting is not None and not self._waiting.done() and self._parser.should_keep_alive()
        self._end()

    def _end(self, *, cut: bool = False) -> None:
        assert self._waiting is not None
        self.is_reusable = self.is_reusable and not cut
        if self._waiting.done():
            return
        if not self._has_head:
            self._waiting.set_exception(NonsenseError())
            return
        self._waiting.set_result(
            Answer(self._parser.get_status_code(), self._headers, bytes(self._body), is_whole=not cut)
        )
