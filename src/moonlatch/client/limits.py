"""How often one address may ask for something expensive: a token bucket each, and a bounded number of buckets."""

from __future__ import annotations

import math
from collections import OrderedDict

from moonlatch.clock import SECOND_MS

MAX_BUCKETS = 65_536


class RateLimit:
    """Lets each name through `per_second` times on average and `burst` times at once; 0 per second lets everything through."""

    def __init__(self, per_second: float, burst: int, max_buckets: int = MAX_BUCKETS) -> None:
        self._per_second = per_second
        self._burst = max(burst, 1)
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_seconds(self, name: str, now_ms: int) -> int:
        """Take one permit; 0 when there was one, otherwise after how many whole seconds there is one again."""
        if self._per_second <= 0:
            return 0
        permits, filled_at = self._buckets.get(name, (float(self._burst), now_ms))
        passed = max(0, now_ms - filled_at) / SECOND_MS
        permits = min(self._burst, permits + passed * self._per_second)
        granted = permits >= 1
        self._buckets[name] = (permits - 1 if granted else permits, now_ms)
        self._buckets.move_to_end(name)
        while len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        return 0 if granted else max(1, math.ceil((1 - permits) / self._per_second))
