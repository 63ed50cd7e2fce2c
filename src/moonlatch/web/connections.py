"""How many connections there may be, in all and from one address, and who has the last places. It counts; sockets are others' business."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from moonlatch.clock import monotonic_seconds
from moonlatch.web.address import UNKNOWN, Addresses, sites_of
from moonlatch.web.limits import WIDER

RESERVED_SHARE = 32
"""One place in so many is kept free for single requests, such as those to `/health`."""

_RETRY_SECONDS = 5
_WARNING_SECONDS = 60.0

logger = logging.getLogger(__name__)


class TooManyError(Exception):
    """There is no place for this connection. The message is for the peer."""

    retry_after_seconds = _RETRY_SECONDS

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Place:
    """One connection's place, until it leaves."""

    __slots__ = ("_connections", "_counts", "_sites", "is_reserved")

    def __init__(
        self, connections: Connections, sites: tuple[str, ...], *, counts: bool = True, is_reserved: bool = False
    ) -> None:
        self._connections = connections
        self._sites = sites
        self._counts = counts
        self.is_reserved = is_reserved
        """Whether it is one of the last, which are for one short request each."""

    def is_used(self) -> None:
        """Something was asked for: nobody else gets the place before that is answered."""
        self._connections.idle.pop(self, None)

    def leave(self) -> None:
        """Give the place back; once."""
        self._connections.idle.pop(self, None)
        self._connections.left(self._sites, counts=self._counts)


class Connections:
    """At most `most` at once, of which the last are reserved, and `per_address` from one IPv4 address or IPv6 /64; 0 is any number.

    Trusted proxies speak for many: theirs are counted in all only.
    """

    def __init__(self, *, most: int, per_address: int, addresses: Addresses) -> None:
        self._most = most
        self._reserved_from = most - most // RESERVED_SHARE
        self._per_address = per_address
        self._addresses = addresses
        self._warned_at = float("-inf")
        self._by_site: Counter[str] = Counter()
        self.open = 0
        self.refused = 0
        self.idle: dict[Place, Callable[[], Any]] = {}
        """What frees those reserved places on which nothing was asked yet, the oldest first."""

    def enter(self, address: str, make_room: Callable[[], Any]) -> Place:
        """A place for a connection from this peer. Raises TooManyError.

        `make_room` ends the connection if it has one of the last places, asks nothing on it, and another one needs it.
        """
        sites = () if address == UNKNOWN or self._addresses.is_proxy(address) else sites_of(address)
        self._require_room(sites)
        is_reserved = 0 < self._reserved_from <= self.open
        if 0 < self._most <= self.open and not self._free_one():
            raise self._refusal(TooManyError(503, "The server has as many connections as it may."))
        self.open += 1
        self._by_site.update(sites)
        place = Place(self, sites, is_reserved=is_reserved)
        if is_reserved:
            self.idle[place] = make_room
        return place

    def enter_behind_proxy(self, address: str) -> Place:
        """A place for what stays long on a proxy's connection, in the name of the proxy's client. Raises TooManyError."""
        sites = () if address == UNKNOWN else sites_of(address)
        self._require_room(sites)
        self._by_site.update(sites)
        return Place(self, sites, counts=False)

    def left(self, sites: tuple[str, ...], *, counts: bool) -> None:
        """One from there is over; `counts` says whether it is one of all."""
        self.open -= counts
        for site in sites:
            self._by_site[site] -= 1
            if not self._by_site[site]:
                del self._by_site[site]

    def _require_room(self, sites: tuple[str, ...]) -> None:
        for site, factor in zip(sites, (1, WIDER), strict=False):
            if 0 < self._per_address * factor <= self._by_site[site]:
                raise self._refusal(TooManyError(429, "There are too many connections from your network."))

    def _free_one(self) -> bool:
        for place, make_room in self.idle.items():
            del self.idle[place]
            make_room()
            return True
        return False

    def _refusal(self, error: TooManyError) -> TooManyError:
        self.refused += 1
        now = monotonic_seconds()
        if now - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = now
            logger.warning(
                "connections are refused with %d: %d are open, and one network may have %d. A reverse proxy that is not in "
                "trusted_proxies counts as one network",
                error.status,
                self.open,
                self._per_address,
            )
        return error
