"""The words of ASGI, and what our own connections can do besides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Peer = tuple[str, int] | None

Hear = Callable[[str | None], bool]
"""Takes a frame's text, None for one that has none; True when the frame is one that was asked for."""


class Socket(Protocol):
    """What a connection can do besides what ASGI lets it."""

    def listen(self, hear: Hear) -> None:
        """Give frames to `hear` as they come. Those that wait for a reader already, and the end, are still to be read."""
        ...

    def send_now(self, text: bytes) -> bool:
        """Write a text frame without making anybody wait; False, and nothing written, where that cannot be."""
        ...

    def force_close(self, code: int, reason: str) -> None:
        """End the connection without waiting for the peer."""
        ...
