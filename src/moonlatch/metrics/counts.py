"""Counts and durations of what the program does, as plain integers: cheap enough for the hot path. Knows no exposition format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
BUILD_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 95.0)
BATCH_UNITS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Histogram:
    """How often values fell between bounds: `counts[i]` are those up to `bounds[i]`, the last one counts all above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class RouteTraffic:
    """The requests of one route: how many by status, and how long they took."""

    __slots__ = ("seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.seconds = Histogram(REQUEST_SECONDS)

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        # `Histogram.add`, written out: a call more for every heartbeat would be felt.
        histogram = self.seconds
        histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
        histogram.total += seconds


class Traffic:
    """Requests by method and route. Routes are templates of the program's own, never what a client wrote."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteTraffic] = {}

    def route(self, method: str, route: str) -> RouteTraffic:
        found = self.routes.get((method, route))
        if found is None:
            found = self.routes[method, route] = RouteTraffic()
        return found


class BuildCounts:
    """Updates by outcome, and how long those took that reached a worker."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds = Histogram(BUILD_SECONDS)


class DeliveryCounts:
    """What became of deliveries to webhooks, by outcome, and how long the calls took."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.seconds = Histogram(REQUEST_SECONDS)


class Verdicts:
    """What running scripts were told, by the moment (`start`, `heartbeat`, `session`, `variable`, `report`) and the refusal's code."""

    def __init__(self) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        self.sessions_granted = 0
