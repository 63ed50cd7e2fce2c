"""Asks the system for the addresses of a name, in threads of its own: a name server that hangs holds up nobody else's work."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

MOST_LOOKUPS = 64
"""Threads that wait for name servers at once."""

Resolve = Callable[[str], Awaitable[list[IPv4Address | IPv6Address]]]
"""The addresses of a host, the best first; none for a name that has none. Raises OSError."""


class Resolver:
    """Looks names up. Belongs to one event loop. Those who ask for the same name at the same time share an answer."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MOST_LOOKUPS)
        self._asked: dict[str, asyncio.Task[list[IPv4Address | IPv6Address]]] = {}

    async def __call__(self, host: str) -> list[IPv4Address | IPv6Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = asyncio.create_task(self._ask(host), name="resolve")
            task.add_done_callback(lambda _: self._asked.pop(host))
        # Whoever gives up waiting does not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, host: str) -> list[IPv4Address | IPv6Address]:
        async with self._free:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[list[IPv4Address | IPv6Address]] = loop.create_future()
            # The system's lookup cannot be cancelled; a daemon does not keep the program from ending.
            threading.Thread(target=_look_up, args=(host, loop, answer), name="resolve", daemon=True).start()
            return await answer


def _look_up(
    host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[IPv4Address | IPv6Address]]
) -> None:
    found: list[IPv4Address | IPv6Address] | OSError
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(ip_address(str(row[4][0]).partition("%")[0]) for row in rows))
    except (OSError, UnicodeError) as error:
        found = error if isinstance(error, OSError) else OSError("the name cannot be looked up")

    def tell() -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return
