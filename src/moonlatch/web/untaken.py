"""What peers of this process have not taken yet of their answers, all together. It counts; sockets are others' business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST_BYTES = 256 * 1024 * 1024
"""The system takes megabytes of each connection's before anything waits here: only peers that do not read come near it."""


class Untaken:
    """Answers that wait in this process' memory. Of more than `most` bytes those are given up that have waited for longest."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.bytes = 0
        self._answers: dict[Any, tuple[int, Callable[[], Any]]] = {}
        """By connection, the oldest first."""

    def add(self, connection: Any, size: int, give_up: Callable[[], Any]) -> None:
        """So many bytes wait for a connection's peer; `give_up` ends the connection, and with it their wait."""
        self.remove(connection)
        self._answers[connection] = size, give_up
        self.bytes += size
        while self.bytes > self.most and len(self._answers) > 1:
            oldest, (_, end) = next(iter(self._answers.items()))
            self.remove(oldest)
            end()

    def remove(self, connection: Any) -> None:
        """They were taken, or the connection is over; one of which nothing waits is fine."""
        size, _ = self._answers.pop(connection, (0, None))
        self.bytes -= size
