"""Writes down what clients send to a server, byte for byte, and sends it again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

_ANSWER_SECONDS = 20
_CLOSE, _TWO_BYTES = 0x88, 126
_ACCEPTED = (b'"success":true', b'\\"opened\\"')
"""What an answer holds that grants something: a start or a beat, a session's first frame."""


class Recorder:
    """A proxy in front of a server; `recorded` has what each connection sent, in the order in which they began."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._connections: list[bytearray] = []
        self.url = ""

    @property
    def recorded(self) -> list[bytes]:
        return [bytes(sent) for sent in self._connections if sent]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = bytearray()
        self._connections.append(sent)
        far_reader, far_writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        await asyncio.gather(_pump(reader, far_writer, sent), _pump(far_reader, writer, bytearray()))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            copy += data
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def recording(url: str) -> AsyncIterator[Recorder]:
    """A recorder, listening."""
    recorder = Recorder(url)
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0, backlog=1_024)
    recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield recorder
    finally:
        server.close()


async def was_accepted(url: str, sent: bytes) -> bool:
    """Send what was recorded of one connection again, to any server; whether it granted anything."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head, end, rest = sent.partition(b"\r\n\r\n")
    answer = bytearray()
    if b"\r\nupgrade: websocket" in head.lower():  # frames before the handshake is answered are not read
        writer.write(head + end)
        answer += await reader.readuntil(b"\r\n\r\n")
        writer.write(rest)
    else:
        writer.write(sent)
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            while data := await reader.read(65_536):
                answer += data
                if any(sign in answer for sign in _ACCEPTED) or _is_whole(answer):
                    break
    writer.close()
    assert answer, "no answer"
    return any(sign in answer for sign in _ACCEPTED)


def _is_whole(answer: bytearray) -> bool:
    """Return whether a whole response has come, or the close of a session."""
    head, end, body = bytes(answer).partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 101"):
        while len(body) >= 2 and body[0] != _CLOSE:  # short frames of RFC 6455, section 5.2
            size = 2 + body[1] if body[1] < _TWO_BYTES else 4 + int.from_bytes(body[2:4])
            body = body[size:]
        return len(body) >= 2
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return bool(end) and length is not None and len(body) >= int(length.partition(b":")[2])
