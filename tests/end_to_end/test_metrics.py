"""The metrics of a real server: what it did is in them, and of several processes each can be asked."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.database import engine_url
from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.server import MoonlatchServer, status_at, two_ports_in_a_row

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(url: str) -> Samples:
    response = httpx.get(f"{url}/metrics")
    assert response.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"moonlatch_{name}", tuple(sorted(labels.items()))), 0)


def test_what_a_script_did_is_counted(server: MoonlatchServer, developer: Developer, project: str) -> None:
    before = read(server.url)
    script = developer.new_script(project, "print('counted')")
    developer.http.post(f"/scripts/{script}/update", json={"script": "print('counted'"})
    with LoaderRun(f"{server.url}/loader/{script}", key="nobody") as running:
        running.wait_for("kicked", "key does not exist")
    with LoaderRun(f"{server.url}/loader/{script}", key=developer.new_key(project)) as running:
        running.wait_line("counted")
        eventually(lambda: developer.sessions(script))
        during = read(server.url)
    for name, labels, times in (
        ("builds_total", {"outcome": "published"}, 1),
        ("builds_total", {"outcome": "invalid"}, 1),
        ("build_seconds_count", {}, 2),
        ("verdicts_total", {"moment": "start", "code": "GRANTED"}, 1),
        ("verdicts_total", {"moment": "start", "code": "KEY_NOT_FOUND"}, 1),
        ("verdicts_total", {"moment": "session", "code": "GRANTED"}, 1),
        ("http_requests_total", {"method": "GET", "route": "/loader/{script_id}", "status": "200"}, 2),
    ):
        assert of(during, name, **labels) - of(before, name, **labels) == times, (name, labels)
    assert of(during, "commit_units_count") > of(before, "commit_units_count")
    # What other tests started on this server comes to its end at any time, so these cannot be compared with before.
    for gauge in ("sessions_open", "instances_alive", "connections_open"):
        assert of(during, gauge) >= 1


def test_pages_of_visitors_and_what_comes_in_discords_name_are_counted_without_what_was_asked(
    server: MoonlatchServer,
) -> None:
    asked = [
        ("GET", "/get/very-secret", "/get/{slug}", 404),
        ("POST", "/get/very-secret", "/get/{slug}", 404),
        ("GET", "/get/very-secret/go", "/get/{slug}/go", 404),
        ("GET", "/get/for/very-secret", "/get/for/{script_id}", 404),
        ("GET", "/verify/very-secret", "/verify/{callback}", 404),
        ("GET", "/postback/very-secret", "/postback/{secret}", 404),
        ("GET", "/get/very/secret/place", "-", 404),
        ("GET", "/dashboard/very-secret", "/dashboard/{file}", 404),
        ("POST", "/discord/interactions", "/discord/interactions", 401),
        ("PROPFIND", "/get/very-secret", "/get/{slug}", 405),
    ]
    before = read(server.url)
    for method, path, _, status in asked:
        assert httpx.request(method, server.url + path).status_code == status, (method, path)
    after = read(server.url)
    for method, _, route, status in asked:
        labels = {"method": "other" if method == "PROPFIND" else method, "route": route, "status": str(status)}
        counted = of(after, "http_requests_total", **labels) - of(before, "http_requests_total", **labels)
        assert counted == 1, labels
    assert "secret}" in str(after)
    assert "very-secret" not in str(after)


def test_each_of_several_processes_is_asked_at_a_port_of_its_own(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> None:
    port = two_ports_in_a_row()
    with engine_url(request, "postgres") as database_url:
        settings = {
            "MOONLATCH_DATABASE_URL": database_url,
            "MOONLATCH_REDIS_URL": redis_url,
            "MOONLATCH_WORKERS": "2",
            "MOONLATCH_METRICS__PORT": str(port),
        }
        with MoonlatchServer(tmp_path / "data", settings) as server:
            urls = [f"http://127.0.0.1:{port + number}" for number in range(2)]
            for url in urls:
                eventually(lambda url=url: status_at(f"{url}/health/ready") == 200, 30)
            before = [read(url) for url in urls]
            for _ in range(40):
                assert httpx.get(f"{server.url}/health/live").status_code == 200
            after = [read(url) for url in urls]
            assert server.stop() == 0
    labels = {"method": "GET", "route": "/health/live", "status": "200"}
    counted = [
        of(one, "http_requests_total", **labels) - of(other, "http_requests_total", **labels)
        for one, other in zip(after, before, strict=True)
    ]
    assert sum(counted) == 40
