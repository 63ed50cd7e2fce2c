"""`/metrics` and `/health`: who may read them, that they are true, and that they answer while the database does not."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from moonlatch.management.readiness import Readiness
from moonlatch.metrics.counts import Histogram, Verdicts
from moonlatch.metrics.exposition import Counts, Exposition, GrantedCalls, Reading
from moonlatch.storage.interface import StorageError
from support.management import Api, Developer, refused, running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "a-token-for-prometheus"


async def samples(api: Api, **headers: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = await api.http.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_calls_are_counted_by_route_and_status_without_what_the_caller_wrote(
    api: Api, me: Developer, key: str
) -> None:
    for _ in range(3):
        await me.get(f"/users/{key}")
    await me.get(f"/nowhere/{key}")
    await me.call("PROPFIND", f"/nowhere/{key}")
    found = await samples(api)
    user = (("method", "GET"), ("route", "/users/{key}"))
    assert found["moonlatch_http_requests_total", (*user, ("status", "200"))] >= 3
    assert found["moonlatch_http_request_seconds_count", user] >= 3
    assert 0 < found["moonlatch_http_request_seconds_sum", user] < 60
    assert found["moonlatch_http_requests_total", (("method", "GET"), ("route", "-"), ("status", "404"))] >= 1
    assert found["moonlatch_http_requests_total", (("method", "other"), ("route", "-"), ("status", "404"))] >= 1
    assert key not in str(found)
    assert found["process_open_fds", ()] > 0


async def test_without_a_token_only_this_machine_reads_and_not_through_a_proxy(api: Api) -> None:
    assert (await api.http.get("/metrics")).status_code == 200
    for header in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
        response = await api.http.get("/metrics", headers={header: "203.0.113.9"})
        assert response.status_code == 403, header
        assert "moonlatch_" not in response.text

    transport = httpx.ASGITransport(api.app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://moonlatch") as elsewhere:
        assert (await elsewhere.get("/metrics")).status_code == 403
        assert (await elsewhere.get("/health/live")).status_code == 200


async def test_with_a_token_its_holder_reads_from_anywhere_and_nobody_else(tmp_path: Path) -> None:
    async with running_api(tmp_path, metrics_token=TOKEN) as api:
        me = await api.developer()
        for headers in (
            {},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": b"Bearer \xe9"},
            {"token": me.token},
        ):
            assert (await api.http.get("/metrics", headers=headers)).status_code == 401
        found = await samples(api, authorization=f"Bearer {TOKEN}", **{"x-forwarded-for": "203.0.113.9"})
        assert found["moonlatch_info", (("version", "0.1.0"),)] == 1
        assert TOKEN not in str(found)


async def test_a_broken_database_takes_neither_metrics_nor_liveness_away(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        me = await api.developer()
        await api.change("drop table tokens")
        for path in ("/metrics", "/health/live"):
            assert (await api.http.get(path, headers={"token": me.token})).status_code == 200


async def test_a_draining_server_is_not_ready(tmp_path: Path) -> None:
    async def works() -> None:
        return None

    readiness = Readiness({"database": works})
    async with running_api(tmp_path, readiness=readiness) as api:
        assert (await api.http.get("/health/ready")).status_code == 200
        assert (await api.http.head("/health/ready")).status_code == 200
        readiness.is_draining = True
        assert (await api.http.head("/health/ready")).status_code == 503
        assert (await api.http.head("/health/live")).status_code == 200
        refused(await api.http.get("/health/ready"), 503, -1, "not ready", reasons=["draining"])
        assert (await api.http.get("/health/live")).status_code == 200


async def test_an_engine_that_fails_or_never_answers_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlatch.management.readiness.CHECK_SECONDS", 0.05)

    async def fails() -> None:
        raise StorageError("postgresql://user:SECRET@host")

    checks: dict[str, Any] = {"database": fails, "bus": lambda: asyncio.sleep(60), "other": lambda: asyncio.sleep(0)}
    assert await Readiness(checks).faults() == ["database", "bus"]


async def test_every_metric_is_in_the_reference_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text()
    verdicts = Verdicts()
    counts = Counts(verdicts=verdicts, granted=(GrantedCalls("start", "POST", "/x"),), commit_units=Histogram((1,)))
    counts.gauges += [Reading(name, "", lambda: 0) for name in GAUGES]
    counts.counters += [Reading(name, "", lambda: 0) for name in COUNTERS]
    exposed = {family.name for family in Exposition(counts).collect()}
    documented = set(re.findall(r"^\| `(moonlatch\w*?)(?:_total|_info)?` \|", page, re.MULTILINE))
    assert documented == exposed


GAUGES = (
    "sessions_open",
    "instances_alive",
    "writes_waiting",
    "builds_admitted",
    "build_workers",
    "connections_open",
)
COUNTERS = ("connections_refused",)
