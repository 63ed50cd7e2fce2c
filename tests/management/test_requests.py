"""What every call has in common: headers, limits, strange input, and the shape of what cannot be answered."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.log import logged
from support.management import NOBODY, Api, Developer, invalid, refused, running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
INVALID = "unauthorized or invalid request"


async def send(me: Developer, path: str, content: Any, **headers: str) -> httpx.Response:
    return await me.post(path, content=content, headers=headers or JSON)


async def test_every_reply_carries_a_request_id_and_the_rate_limit(api: Api, me: Developer, script: str) -> None:
    seen = set()
    for response in (
        await me.get(f"/scripts/{script}"),
        await me.get(f"/scripts/{NOBODY}"),
        await me.post(f"/scripts/{script}/edit", {}),
        await me.get("/nowhere"),
        await me.call("DELETE", "/projects"),
        await api.http.get("/projects"),
        await api.http.get("/projects", headers={"token": "bad"}),
        await api.http.get("/health/live"),
        await api.http.get("/openapi.json"),
        await send(me, "/projects", b"x" * 2_000_000),
    ):
        seen.add(response.headers["x-request-id"])
        for name in ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"):
            assert response.headers[name].isdecimal(), response.url
        assert response.headers["cache-control"] == "no-store"
    assert len(seen) == 10


@pytest.mark.parametrize(
    "path", ["/nowhere", "/scripts", "/scripts/", "/projects/", "/scripts/a/b/c", "/account//tokens"]
)
async def test_an_unknown_path_is_an_invalid_endpoint(me: Developer, path: str) -> None:
    refused(await me.get(path), 404, -1, "invalid endpoint")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/projects", "GET, POST"),
        ("GET", "/scripts/x/edit", "POST"),
        ("PUT", f"/scripts/{NOBODY}", "GET"),
        ("PATCH", "/account", "GET"),
        ("POST", "/health/live", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_answered_with_those_allowed(
    me: Developer, method: str, path: str, allowed: str
) -> None:
    response = await me.call(method, path)
    refused(response, 405, -1, "invalid endpoint")
    assert response.headers["allow"] == allowed


async def test_a_body_must_be_declared_as_json(me: Developer) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json5", ""):
        response = await send(me, "/projects", b'{"name": "x"}', **{"Content-Type": content_type})
        failed = ["the body must be JSON, with Content-Type: application/json"]
        refused(response, 415, -1, INVALID, failed=failed)
    response = await send(me, "/projects", b'{"name": "x"}', **{"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "x"',
        b'{"name": "x"} {}',
        b"{'name': 'x'}",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff"}',
        b"\x00",
        b"\xef\xbb\xbf{}",
        b'{"name": "a\nb"}',
        b'{"name": ' + b"9" * 5_000 + b"}",
        b"[]",
        b'"name"',
        b"null",
        b'{"name":' * 10_000,
        b'{"name":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"name":' + b'{"a":' * 70 + b"1" + b"}" * 71,
        b"{" + b",".join(b'"k%d":1' % number for number in range(101)) + b"}",
    ],
)
async def test_a_body_that_is_no_json_object_is_refused_as_a_whole(me: Developer, content: bytes) -> None:
    assert list(invalid(await send(me, "/projects", content))) == ["body"]


async def test_names_that_cannot_be_encoded_hide_no_other_error(me: Developer) -> None:
    response = await send(me, "/projects", b'{"\\ud800": 1, "name": "\\udc00", "' + b"x" * 5_000 + b'": 1}')
    assert set(invalid(response)) == {"?", "name", "x" * 200}


async def test_an_empty_body_counts_as_one_without_fields(me: Developer, script: str) -> None:
    assert list(invalid(await me.post("/projects"))) == ["name"]
    assert (await me.post(f"/scripts/{script}/remove")).status_code == 200


async def test_a_body_over_the_limit_is_too_large_however_it_is_sent(me: Developer) -> None:
    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 50_000

    failed = ["the body may have at most 1048576 bytes"]
    refused(await send(me, "/projects", b" " * 1_048_577), 413, -1, INVALID, failed=failed)
    refused(await send(me, "/projects", chunks()), 413, -1, INVALID, failed=failed)
    assert (await send(me, "/projects", b'{"name": "x"}' + b" " * 1_000_000)).status_code == 200


async def test_a_body_of_100_megabytes_is_refused_while_others_are_served(api: Api, me: Developer, script: str) -> None:
    async def body() -> Any:
        yield b'{"script": "'
        for _ in range(100):
            yield b"x" * 1_000_000

    flood = asyncio.create_task(send(me, f"/scripts/{script}/update", body()))
    slowest = 0.0
    while not flood.done():
        before = asyncio.get_running_loop().time()
        assert (await me.get("/account")).status_code == 200
        slowest = max(slowest, asyncio.get_running_loop().time() - before)
    assert (await flood).status_code == 413
    assert slowest < 5


@pytest.mark.parametrize(
    "content",
    [
        b'{"script": [' + b"[]," * 600_000 + b"[]]}",
        b'{"script": {"a": "' + b"x" * 2_000_000 + b'"}}',
        b'{"script": ' + b"1" * 1_500_000 + b"}",
        b'{"script": ' + b"[" * 2_000_000,
        b'{"script": "' + b"x" * 2_000_000,
        b'{"script": "' + b"x" * 2_000_000 + b'", "other": 1}',
        b"[" + b"1," * 1_000_000 + b"1]",
    ],
)
async def test_a_large_body_that_is_no_script_is_refused(me: Developer, script: str, content: bytes) -> None:
    assert set(invalid(await send(me, f"/scripts/{script}/update", content))) < {"body", "script"}


async def test_a_script_may_be_written_in_the_most_wasteful_json(api: Api, me: Developer, script: str) -> None:
    text = "--" + "é" * 500_000
    content = b'{"script": "' + text.encode("ascii", "backslashreplace").replace(b"\\xe9", b"\\u00e9") + b'"}'
    response = await send(me, f"/scripts/{script}/update", content)
    assert response.status_code == 200, response.text
    builds = (await me.get(f"/scripts/{script}/builds")).json()["builds"]
    assert builds[0]["source_bytes"] == len(text.encode())


@pytest.mark.parametrize("key", ["%00", "a" * 4_000, "%ff%fe", "..%2f..", "'%20or%201=1--"])
async def test_a_strange_id_is_just_not_found(me: Developer, key: str) -> None:
    assert (await me.get(f"/users/{key}")).status_code == 404


async def test_an_unknown_query_is_refused(me: Developer) -> None:
    assert list(invalid(await me.get("/projects?colour=red"))) == ["colour"]


async def test_a_failure_of_ours_shows_its_request_id_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with running_api(tmp_path) as api:
        me = await api.developer()
        await api.change("drop table projects")
        with logged("json") as lines:
            response = await me.get("/projects")
        request_id = response.headers["x-request-id"]
        refused(response, 500, -1, "internal server error", request_id=request_id)
        ours = [line for line in lines() if line["logger"].startswith("moonlatch")]
        assert [(line["level"], line["request_id"]) for line in ours] == [
            ("error", request_id),
            ("info", request_id),
        ]
        assert (await api.http.get("/health/live")).status_code == 200


async def test_not_ready_without_a_database(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        assert (await api.http.get("/health/ready")).json() == {"success": True}
        await api.change("pragma foreign_keys = off")
        await api.change("drop table accounts")
        refused(await api.http.get("/health/ready"), 503, -1, "not ready", reasons=["database"])


async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def never_ends() -> Any:
        yield b"{"
        await asyncio.sleep(0.6)
        yield b"}"

    async with running_api(tmp_path, deadline_seconds=0.2) as api:
        me = await api.developer()
        response = await send(me, "/projects", never_ends())
        refused(
            response, 408, -1, "unauthorized or invalid request", failed=["the body did not arrive within 0.2 seconds"]
        )
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_log_has_one_line_per_call_without_keys_or_tokens(
    api: Api, me: Developer, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await me.get(f"/users/{key}")
        await me.get(f"/nowhere/{key}?key={key}")
    lines = [record.fields for record in caplog.records if record.name == "moonlatch.access"]
    assert [{**line, "duration_ms": 0} for line in lines] == [
        {"method": "GET", "route": "/users/{key}", "status": 200, "duration_ms": 0},
        {"method": "GET", "route": "-", "status": 404, "duration_ms": 0},
    ]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("moonlatch"))
    assert key not in ours
    assert me.token not in ours


async def test_a_token_may_make_so_many_calls_a_second(tmp_path: Path) -> None:
    seconds = [0.0]
    limits = {"requests_per_second": 50, "burst": 50, "monotonic": lambda: seconds[0]}
    async with running_api(tmp_path, **limits) as api:
        me, other = await api.developer(), await api.developer()
        for left in range(49, -1, -1):
            response = await me.get("/account")
            assert (response.status_code, response.headers["ratelimit-remaining"]) == (200, str(left))
        response = await me.get("/account")
        refused(response, 429, -1, "ratelimited", retry_after=1)
        assert response.headers["retry-after"] == "1"
        assert response.headers["ratelimit-limit"] == "50"
        assert (await other.get("/account")).status_code == 200
        seconds[0] += 0.04
        assert [(await me.get("/account")).status_code for _ in range(3)] == [200, 200, 429]


async def test_bad_tokens_use_up_their_address_but_never_a_good_token(tmp_path: Path) -> None:
    async with running_api(tmp_path, failures_burst=3, failures_per_second=0.1) as api:
        me = await api.developer()
        bad = [await api.http.get("/account", headers={"token": "bad"}) for _ in range(4)]
        assert [response.status_code for response in bad] == [401, 401, 401, 429]
        assert bad[3].headers["retry-after"] == "10"
        assert (await me.get("/account")).status_code == 200
        assert (await api.http.get("/health/ready")).status_code == 200


async def test_the_bare_address_leads_to_the_documentation(api: Api) -> None:
    for method in ("GET", "HEAD"):
        answer = await api.http.request(method, "/")
        assert (answer.status_code, answer.headers["location"]) == (302, "docs")
    assert (await api.http.get("/", follow_redirects=True)).text == (await api.http.get("/docs")).text


@pytest.mark.parametrize("place", ["/docs", "/get/nothing"])
async def test_every_page_for_browsers_is_guarded(api: Api, place: str) -> None:
    answer = await api.http.get(place)
    assert answer.headers["content-type"].startswith("text/html")
    assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} < set(
        answer.headers["content-security-policy"].split("; ")
    )
    assert {name: answer.headers.get(name) for name in GUARDING} == GUARDING


GUARDING = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


async def test_the_documentation_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "; script-src 'self'; " in policy
    assert "http" not in page.text
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"/docs/{part}" in page.text
        asset = await api.http.get(f"/docs/{part}")
        assert asset.status_code == 200
        assert len(asset.content) > 100
