"""What a connection waits for, in a few bytes: asyncio's queue and event hold nearly 4 KiB of empty deques, for every idle session.

They do what uvicorn's WebSocket protocol uses of those two, on one event loop, and nothing more.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Mailbox:
    """A queue without bounds and with one reader, in place of `asyncio.Queue`."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """The oldest item, as soon as there is one. A cancelled call takes none."""
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._items.pop(0)

    def empty(self) -> bool:
        return not self._items


class Gate:
    """Lets whoever waits go on while it is open, in place of `asyncio.Event`. Open at first."""

    __slots__ = ("_is_open", "_waiting")

    def __init__(self) -> None:
        self._is_open = True
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        return self._is_open

    def set(self) -> None:
        self._is_open = True
        waiting, self._waiting = self._waiting, None
        for one in waiting or ():
            if not one.done():
                one.set_result(None)

    def clear(self) -> None:
        self._is_open = False

    async def wait(self) -> None:
        while not self._is_open:
            if self._waiting is None:
                self._waiting = []
            opened = asyncio.get_running_loop().create_future()
            self._waiting.append(opened)
            await opened
