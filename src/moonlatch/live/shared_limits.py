"""Rate limits that all processes fill from together, in Redis."""

from __future__ import annotations

import math

from moonlatch.clock import SECOND_MS
from moonlatch.live.interface import LiveUnavailableError
from moonlatch.live.redis_directory import RedisDirectory
from moonlatch.web.limits import Allowance, Buckets, RateLimit, RateLimits


class SharedBuckets:
    """Buckets that all processes fill from, kept in Redis for as long as they are not full.

    Without Redis each process counts for itself: nobody is locked out, and nobody calls without limit.
    """

    def __init__(self, directory: RedisDirectory, kind: str, *, per_second: float, burst: int) -> None:
        self._directory = directory
        self._kind = kind
        self._per_second = per_second
        self._burst = burst
        self._alone = Buckets(per_second=per_second, burst=burst)

    async def take(self, name: str) -> Allowance:
        try:
            allowed, remaining, reset_ms, wait_ms = await self._directory.ask(
                "take", f"{self._kind}:{name}", self._per_second, self._burst
            )
        except LiveUnavailableError:
            return await self._alone.take(name)
        return Allowance(
            allowed=bool(allowed),
            limit=self._burst,
            remaining=remaining,
            reset_seconds=math.ceil(reset_ms / SECOND_MS),
            retry_after_seconds=0 if allowed else max(1, math.ceil(wait_ms / SECOND_MS)),
        )


def limits_in(directory: RedisDirectory) -> RateLimits:
    """The limits of all servers together."""

    def make(kind: str, *, per_second: float, burst: int) -> RateLimit:
        return SharedBuckets(directory, kind, per_second=per_second, burst=burst)

    return make
