"""Frames on their way to one client, in order, bounded in number of bytes and in time: a client that does not read is let go."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, ClassVar

from moonlatch.client.replies import encode_json
from moonlatch.client.transcript import frame_mac
from moonlatch.web.close_codes import TOO_SLOW
from moonlatch.web.socket import Send, Socket
from moonlatch.web.untaken import OF_THIS_PROCESS, Untaken

MAX_WAITING_BYTES = 512 * 1024
"""Beyond, the client is too slow; a single larger frame may wait alone."""

WRITE_SECONDS = 10
_REASON_BYTES = 123  # RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code


class Outgoing:
    """Sends without making anybody wait. An idle one owns no task, no timer and no queue."""

    __slots__ = ("_closing", "_key", "_number", "_send", "_socket", "_task", "_waiting", "_waiting_bytes")

    untaken: ClassVar[Untaken] = OF_THIS_PROCESS

    def __init__(self, send: Send, socket: Socket, key: bytes) -> None:
        self._send = send
        self._socket = socket
        self._key = key
        self._number = 0
        self._waiting: deque[str | tuple[int, str]] | None = None
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def is_closing(self) -> bool:
        return self._closing

    def put(self, body: Any) -> None:
        """Queue one frame; dropped when the connection is closing."""
        if self._closing:
            return
        text = encode_json(body).decode()
        frame = encode_json({"body": text, "mac": frame_mac(self._key, self._number, text)})
        self._number += 1
        if self._task is None and self._socket.send_now(frame):
            return
        if self._waiting_bytes and self._waiting_bytes + len(frame) > MAX_WAITING_BYTES:
            self._give_up()
            return
        self._waiting_bytes += len(frame)
        self._queue(frame.decode())
        self.untaken.note(self, self._waiting_bytes, self._give_up)

    def close(self, code: int, reason: str) -> None:
        """Close the connection when everything queued before is sent; the first call counts."""
        if self._closing:
            return
        self._closing = True
        self._queue((code, shortened(reason)))

    def _queue(self, item: str | tuple[int, str]) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS) as limit:
                while self._waiting:
                    item = self._waiting.popleft()
                    if isinstance(item, tuple):
                        await self._send({"type": "websocket.close", "code": item[0], "reason": item[1]})
                        return
                    await self._send({"type": "websocket.send", "text": item})
                    self._waiting_bytes -= len(item)
                    self.untaken.note(self, self._waiting_bytes, self._give_up)
                    limit.reschedule(asyncio.get_running_loop().time() + WRITE_SECONDS)
        except TimeoutError:
            self._give_up()
        except (OSError, RuntimeError):  # the client hung up, or a close went out meanwhile
            self._closing = True
        finally:
            self._task = None
            self._waiting = None
            self.untaken.remove(self)

    def _give_up(self) -> None:
        self._closing = True
        self._waiting = None
        self._waiting_bytes = 0
        self.untaken.remove(self)
        self._socket.force_close(*TOO_SLOW)


def shortened(reason: str) -> str:
    """As much of a close reason as fits into a close frame."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")
