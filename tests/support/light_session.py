"""A session's client for tests with thousands of sessions: each is one small protocol object, without tasks, timers and buffers of its own.

Elsewhere `support/client.py` is the one to use.
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from support.client import Copy, UnverifiedError, derive, mac

# RFC 6455: section 1.3 has the key and what accepts it, section 5.2 the frames.
_HANDSHAKE = (
    "GET /client/v1/session HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_ACCEPTED = b"\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A


class LightSession(asyncio.Protocol):
    """Opens the copy's session and verifies every frame; one that is not as it should be ends the connection."""

    def __init__(self, copy: Copy) -> None:
        opening = copy.opening()
        self._first = json.dumps(opening).encode()
        self._key = derive(copy.live, "session", opening["nonce"])
        self._address = urlsplit(copy.client.url)
        self._read = b""
        self._is_upgraded = False
        self._received = 0
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        """Raises ConnectionError when the connection ends before."""
        self.lost: asyncio.Future[None] = loop.create_future()

    async def open(self) -> None:
        """Raises OSError."""
        await asyncio.get_running_loop().create_connection(lambda: self, self._address.hostname, self._address.port)
        await self.opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_HANDSHAKE.format(self._address.netloc).encode())

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._is_upgraded:
            head, end, rest = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101") or _ACCEPTED not in (head + end).lower():
                self._transport.abort()
                return
            self._is_upgraded, self._read = True, rest
            self._send(_TEXT, self._first)
        while frame := self._next_frame():
            self._hear(*frame)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("lost before it was opened"))
        self.lost.set_result(None)

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self._read) < 4:
            return None
        kind, length = self._read[0], self._read[1]
        begin = 2 if length < 126 else 4
        end = begin + (length if length < 126 else int.from_bytes(self._read[2:4]))
        if len(self._read) < end:
            return None
        payload, self._read = self._read[begin:end], self._read[end:]
        return kind, payload

    def _hear(self, kind: int, payload: bytes) -> None:
        if kind == _PING:
            self._send(_PONG, payload)
        elif kind == _TEXT:
            frame = json.loads(payload)
            if frame["mac"] != mac(self._key, f"{self._received}\n{frame['body']}".encode()):
                raise UnverifiedError
            self._received += 1
            if json.loads(frame["body"])["type"] == "opened":
                self.opened.set_result(None)
        else:
            self._send(_CLOSE, payload)
            self._transport.close()

    def _send(self, kind: int, payload: bytes) -> None:
        length = len(payload)
        head = bytes([kind, 0x80 | length]) if length < 126 else bytes([kind, 0xFE]) + length.to_bytes(2)
        self._transport.write(head + bytes(4) + payload)  # masked with zeros
