"""What peers of this process have not taken yet of their answers and frames, all together. It counts; sockets are others' business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST_BYTES = 256 * 1024 * 1024
"""The system takes megabytes of each connection's before anything waits here: only peers that do not read come near it."""


class Untaken:
    """What waits in this process' memory. Of more than `most` bytes those connections are given up whose have waited for longest."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.bytes = 0
        self._waiting: dict[Any, tuple[int, Callable[[], Any]]] = {}
        """By connection, the oldest first."""

    def note(self, connection: Any, size: int, give_up: Callable[[], Any]) -> None:
        """So many bytes wait now for a connection's peer; `give_up` ends the connection, and with it their wait."""
        before, _ = self._waiting.get(connection, (0, None))
        self._waiting[connection] = size, give_up
        self.bytes += size - before
        while self.bytes > self.most and len(self._waiting) > 1:
            oldest, (_, end) = next(iter(self._waiting.items()))
            self.remove(oldest)
            end()

    def remove(self, connection: Any) -> None:
        """They were taken, or the connection is over; one of which nothing waits is fine."""
        size, _ = self._waiting.pop(connection, (0, None))
        self.bytes -= size


OF_THIS_PROCESS = Untaken()
