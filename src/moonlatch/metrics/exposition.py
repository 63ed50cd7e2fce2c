"""Turns the program's counts into Prometheus text, when somebody asks. It keeps none and decides not who may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from moonlatch import __version__
from moonlatch.metrics.counts import BuildCounts, DeliveryCounts, Histogram, Traffic, Verdicts

CONTENT_TYPE = CONTENT_TYPE_LATEST
GRANTED = "GRANTED"


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that is looked up when somebody asks. `name` without the prefix `moonlatch_`."""

    name: str
    meaning: str
    read: Callable[[], float]


@dataclass(frozen=True, slots=True)
class GrantedCalls:
    """Where a moment's positive verdicts are counted already: as the route's successes."""

    moment: str
    method: str
    route: str


@dataclass
class Counts:
    """Everything that is exposed; the parts own their counts and go on counting."""

    traffic: list[Traffic] = field(default_factory=list)
    verdicts: Verdicts = field(default_factory=Verdicts)
    granted: tuple[GrantedCalls, ...] = ()
    builds: BuildCounts = field(default_factory=BuildCounts)
    deliveries: DeliveryCounts = field(default_factory=DeliveryCounts)
    commit_units: Histogram | None = None
    """Writes per commit; None where the engine does not put writes of several callers together."""
    gauges: list[Reading] = field(default_factory=list)
    counters: list[Reading] = field(default_factory=list)
    """What only grows, since the start."""


class Exposition(Collector):
    """The page a Prometheus server reads."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def page(self) -> bytes:
        """The text format, version as in `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("moonlatch", "Which Moonlatch this is.", {"version": __version__})
        yield from self._requests()
        yield self._verdicts()
        yield from self._builds()
        yield from self._deliveries()
        if self.counts.commit_units is not None:
            batches = HistogramMetricFamily(
                "moonlatch_commit_units", "Writes that one commit put on the disk together (group commit)."
            )
            _add(batches, [], self.counts.commit_units)
            yield batches
        for gauge in self.counts.gauges:
            yield GaugeMetricFamily(f"moonlatch_{gauge.name}", gauge.meaning, gauge.read())
        for counter in self.counts.counters:
            yield CounterMetricFamily(f"moonlatch_{counter.name}", counter.meaning, counter.read())

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise collect once just to know the names."""
        return ()

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "moonlatch_http_requests", "Answered requests.", labels=["method", "route", "status"]
        )
        seconds = HistogramMetricFamily(
            "moonlatch_http_request_seconds",
            "Time from a request's last byte (client protocol) or first (management) to its answer.",
            labels=["method", "route"],
        )
        for traffic in self.counts.traffic:
            for (method, route), one in traffic.routes.items():
                for status, times in one.statuses.items():
                    requests.add_metric([method, route, str(status)], times)
                _add(seconds, [method, route], one.seconds)
        yield requests
        yield seconds

    def _verdicts(self) -> Metric:
        verdicts = CounterMetricFamily(
            "moonlatch_verdicts", "What running scripts were told.", labels=["moment", "code"]
        )
        for granted in self.counts.granted:
            times = sum(
                traffic.routes[granted.method, granted.route].statuses.get(200, 0)
                for traffic in self.counts.traffic
                if (granted.method, granted.route) in traffic.routes
            )
            verdicts.add_metric([granted.moment, GRANTED], times)
        verdicts.add_metric(["session", GRANTED], self.counts.verdicts.sessions_granted)
        for (moment, code), times in self.counts.verdicts.refused.items():
            verdicts.add_metric([moment, code], times)
        return verdicts

    def _builds(self) -> Iterator[Metric]:
        outcomes = CounterMetricFamily("moonlatch_builds", "Updates of scripts by outcome.", labels=["outcome"])
        for outcome, times in self.counts.builds.outcomes.items():
            outcomes.add_metric([outcome], times)
        yield outcomes
        seconds = HistogramMetricFamily("moonlatch_build_seconds", "Time of an update, waiting for a worker included.")
        _add(seconds, [], self.counts.builds.seconds)
        yield seconds

    def _deliveries(self) -> Iterator[Metric]:
        outcomes = CounterMetricFamily(
            "moonlatch_webhook_deliveries", "What became of attempts to deliver to webhooks.", labels=["outcome"]
        )
        for outcome, times in self.counts.deliveries.outcomes.items():
            outcomes.add_metric([outcome], times)
        yield outcomes
        seconds = HistogramMetricFamily("moonlatch_webhook_seconds", "Time of a call of a webhook.")
        _add(seconds, [], self.counts.deliveries.seconds)
        yield seconds


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    bounds = [*(format(bound, "g") for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.total)
