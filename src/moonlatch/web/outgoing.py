"""The one client for calls to addresses that others chose: it resolves a name once, judges every address it has, and connects to one that was judged.

No redirect is followed, no proxy is taken from the environment, nothing is decompressed, every answer is bounded in time and size. Retries nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from moonlatch.web.destination import Destination
from moonlatch.web.exchange import Answer, BrokenError, Exchange, NonsenseError
from moonlatch.web.reach import Reach
from moonlatch.web.resolver import Resolve, Resolver

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 10.0
"""For so long a connection is kept for the next call; receivers close theirs after 5 to 75 s."""

MOST_IDLE = 256
MOST_ADDRESSES = 8
"""Addresses of one name that are tried, one after the other."""


class CallError(Exception):
    """There is no usable answer. The message is for people and holds nothing of the request."""


class NotSentError(CallError):
    """No connection came about, so nobody has seen the request."""


class ForbiddenAddressError(NotSentError):
    """The name leads to an address that must not be called; nothing was connected to."""


class NoAnswerError(CallError):
    """The request may have been seen and acted on, but a complete answer did not come."""


class UnusableAnswerError(CallError):
    """What came back is not an answer that is taken; asking again would bring the same."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a whole call may take, in seconds, and how many bytes of the body are taken."""

    seconds: float
    answer_bytes: int


_Place = tuple[bool, str, int]


class Outgoing:
    """Makes calls as far as `reach` goes. Belongs to one event loop; `close` ends what is open.

    `trust` says which certificates are believed, by default the system's. `keeps_connections`: a call on one that the server
    has just closed is sent again, so the server may see it twice. `most_idle`: connections that wait for a next call, each an open file.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        trust: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        keeps_connections: bool = False,
        most_idle: int = MOST_IDLE,
    ) -> None:
        self._reach = reach
        self._trust = trust
        self._resolve = resolve or Resolver()
        self._most_idle = most_idle if keeps_connections else 0
        self._idle: dict[_Place, list[tuple[Exchange, asyncio.TimerHandle]]] = {}
        self._idle_count = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for place in list(self._idle):
            while (exchange := self._take(place)) is not None:
                exchange.close()

    async def judge(self, destination: Destination, *, seconds: float = CONNECT_SECONDS) -> None:
        """Raise ForbiddenAddressError for a destination that must not be called now, NotSentError for one that is not found."""
        try:
            async with asyncio.timeout(seconds):
                await self._addresses(destination)
        except TimeoutError:
            raise NotSentError("the name could not be looked up in time") from None

    async def call(
        self,
        method: str,
        destination: Destination,
        *,
        headers: Mapping[str, str],
        bounds: Bounds,
        content: bytes | None = None,
    ) -> Answer:
        """Make one call. Header names and values must be ours: they are not checked for line ends. Raises CallError."""
        request = _request(method, destination, headers, content)
        is_connected = False
        try:
            async with asyncio.timeout(bounds.seconds):
                place = (destination.is_secure, destination.host, destination.port)
                kept = self._take(place)
                if kept is not None:
                    with contextlib.suppress(BrokenError):
                        return await self._ask(kept, place, request, bounds)
                    if kept.has_answered:
                        raise NoAnswerError("the connection broke before the answer was complete")
                exchange = await self._connect(destination)
                is_connected = True
                return await self._ask(exchange, place, request, bounds)
        except TimeoutError:
            message = f"no answer within {bounds.seconds:g} s"
            raise (NoAnswerError if is_connected or kept is not None else NotSentError)(message) from None
        except NonsenseError:
            raise UnusableAnswerError("the answer is not one of HTTP") from None
        except BrokenError:
            raise NoAnswerError("the connection broke before the answer was complete") from None

    async def _ask(self, exchange: Exchange, place: _Place, request: bytes, bounds: Bounds) -> Answer:
        answer = await exchange.ask(request, bounds.answer_bytes)
        if exchange.is_reusable:
            self._keep(place, exchange)
        return answer

    async def _connect(self, destination: Destination) -> Exchange:
        """Connect to the first address that answers, of those that were judged together."""
        addresses = await self._addresses(destination)
        context = await self._context() if destination.is_secure else None
        loop = asyncio.get_running_loop()
        problem = "it cannot be reached"
        for address in addresses[:MOST_ADDRESSES]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, exchange = await loop.create_connection(
                        Exchange,
                        str(address),
                        destination.port,
                        ssl=context,
                        server_hostname=destination.server_name if context else None,
                    )
                    return exchange
            except ssl.SSLCertVerificationError:
                problem = "its certificate is not one that is trusted for this host"
            except ssl.SSLError:
                problem = "it speaks no TLS that we do"
            except (OSError, TimeoutError):
                continue
        raise NotSentError(problem)

    async def _addresses(self, destination: Destination) -> list[str]:
        try:
            found = await self._resolve(destination.host)
        except OSError:
            raise NotSentError("the name was not found") from None
        if not found:
            raise NotSentError("the name was not found")
        # One that is forbidden condemns the name: who can put it there can have it chosen.
        if not all(self._reach.allows(address) for address in found):
            raise ForbiddenAddressError("the address is not on the public internet, and not in an allowed network")
        return [str(address) for address in found]

    async def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            # Reads every authority there is: too long for the event loop.
            self._trust = await asyncio.to_thread(ssl.create_default_context)
        return self._trust

    def _take(self, place: _Place) -> Exchange | None:
        waiting = self._idle.get(place)
        while waiting:
            exchange, timer = waiting.pop()
            timer.cancel()
            self._idle_count -= 1
            if not waiting:
                del self._idle[place]
            if exchange.is_reusable:
                return exchange
        return None

    def _keep(self, place: _Place, exchange: Exchange) -> None:
        if self._idle_count >= self._most_idle:
            exchange.close()
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._drop, place, exchange)
        self._idle.setdefault(place, []).append((exchange, timer))
        self._idle_count += 1

    def _drop(self, place: _Place, exchange: Exchange) -> None:
        waiting = self._idle[place]
        waiting[:] = [each for each in waiting if each[0] is not exchange]
        self._idle_count -= 1
        if not waiting:
            del self._idle[place]
        exchange.close()


def _request(method: str, destination: Destination, headers: Mapping[str, str], content: bytes | None) -> bytes:
    lines = [
        f"{method} {destination.target} HTTP/1.1",
        f"Host: {destination.authority}",
        # Uncompressed, because a few compressed bytes can stand for gigabytes.
        "Accept-Encoding: identity",
        *(() if "User-Agent" in headers else ("User-Agent: moonlatch",)),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (content or b"")
