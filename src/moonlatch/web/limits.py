"""Rate limits as token buckets, in memory and bounded. Decides; who asked answers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from moonlatch.clock import monotonic_seconds
from moonlatch.web.address import sites_of

WIDER = 4
"""How many times more a whole IPv6 /48 may do than one /64 of it."""

MAX_BUCKETS = 100_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left after one call: whole calls at once, and whole seconds until a refused one may be tried again."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    retry_after_seconds: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-*`, as draft-ietf-httpapi-ratelimit-headers-07 defines them."""
        return [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset_seconds),
        ]


class RateLimit(Protocol):
    """One bucket per name."""

    async def take(self, name: str) -> Allowance:
        """Count one call; a refused call costs nothing."""
        ...


class RateLimits(Protocol):
    """Makes the limits of one engine."""

    def __call__(self, kind: str, *, per_second: float, burst: int) -> RateLimit:
        """`burst` calls at once, `per_second` on average; `kind` keeps the names of different limits apart."""
        ...


class Buckets:
    """One bucket per name: `burst` calls at once, refilled with `per_second`. Those that are full again are forgotten, and of too many the longest unused."""

    def __init__(
        self,
        *,
        per_second: float,
        burst: int,
        monotonic_seconds: Callable[[], float] = monotonic_seconds,
        most: int = MAX_BUCKETS,
    ) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("a rate limit needs a positive rate and burst")
        self._per_second = per_second
        self._burst = burst
        self._now = monotonic_seconds
        self._most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def take(self, name: str) -> Allowance:
        now = self._now()
        level, at = self._levels.pop(name, (float(self._burst), now))
        level = min(float(self._burst), level + (now - at) * self._per_second)
        allowed = level >= 1
        if allowed:
            level -= 1
        self._levels[name] = (level, now)
        self._forget_full(now)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return Allowance(
            allowed=allowed,
            limit=self._burst,
            remaining=int(level),
            reset_seconds=math.ceil((self._burst - level) / self._per_second),
            retry_after_seconds=0 if allowed else max(1, math.ceil((1 - level) / self._per_second)),
        )

    def _forget_full(self, now: float) -> None:
        """Two at most of those unused for longest: as many as come can go, and nobody waits for it."""
        for _ in range(min(2, len(self._levels) - 1)):
            level, at = next(iter(self._levels.values()))
            if level + (now - at) * self._per_second < self._burst:
                return
            self._levels.popitem(last=False)


class NetworkLimit:
    """A limit for each client: an IPv4 address, or the /64 of an IPv6 one; and for its /48, which it may have whole."""

    def __init__(self, limits: RateLimits, kind: str, *, per_second: float, burst: int) -> None:
        self._narrow = limits(kind, per_second=per_second, burst=burst)
        self._wide = limits(f"{kind}/48", per_second=per_second * WIDER, burst=burst * WIDER)

    async def take(self, address: str) -> Allowance:
        """Count one call from this address."""
        sites = sites_of(address)
        allowance = await self._narrow.take(sites[0])
        if len(sites) > 1 and allowance.allowed:
            wide = await self._wide.take(sites[1])
            if not wide.allowed:
                return wide
        return allowance


def limits_of_this_process(monotonic_seconds: Callable[[], float] = monotonic_seconds) -> RateLimits:
    """The limits of a server that is alone."""

    def make(kind: str, *, per_second: float, burst: int) -> RateLimit:  # noqa: ARG001 -- each has its own names anyway
        return Buckets(per_second=per_second, burst=burst, monotonic_seconds=monotonic_seconds)

    return make
