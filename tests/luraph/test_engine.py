"""The Luraph engine against a real server that speaks the service's API, well and badly."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from moonlatch.config.sections import LuraphSettings
from moonlatch.luraph.engine import LuraphEngine, ServiceLimits, luraph_client
from moonlatch.luraph.order import Order, Received
from moonlatch.obfuscator.outcome import EngineError, Failure
from moonlatch.obfuscator.target import Target
from support.luraph_server import (
    API_KEY,
    NODES,
    LuraphServer,
    drip,
    flood,
    hang,
    luraph_server,
    protected_text,
    raw,
    reply,
)

TEXT = b'print("caf\xc3\xa9", ...)'
FAST = ServiceLimits(
    nodes_seconds=20, create_seconds=20, status_seconds=20, download_seconds=20, pause_seconds=0.01,
    longest_pause_seconds=0.02,
)  # fmt: skip
# Made once: reading every authority takes longer than the whole job.
TRUST = ssl.create_default_context()
ENDPOINTS = ("nodes", "new", "status", "download")
DEEP = b"[" * 200_000 + b"]" * 200_000
ERRORS = [
    {"param": "options.INTENSE", "message": "Premium only."},
    {"message": "Try another."},
    {"param": None, "message": ""},
]
PASSED_ON = [
    EngineError("options.INTENSE", "Premium only."),
    EngineError(None, "Try another."),
    EngineError(None, ""),
]


@pytest.fixture
async def server() -> AsyncIterator[LuraphServer]:
    async with luraph_server() as running:
        yield running


async def outcome(
    server: LuraphServer, *, limits: ServiceLimits = FAST, job_seconds: float = 30, client: Any = None, **order: Any
) -> Received | Failure:
    async with client or luraph_client(TRUST) as http:
        engine = LuraphEngine(http, LuraphSettings(base_url=server.base_url, job_seconds=job_seconds), limits=limits)
        fields = {"text": TEXT, "file_name": "script.lua", "api_key": API_KEY, **order}
        return await engine.protect(Order(**fields), deadline=asyncio.get_running_loop().time() + 60)


async def failure(server: LuraphServer, **options: Any) -> list[EngineError]:
    failed = await outcome(server, **options)
    assert isinstance(failed, Failure)
    return failed.errors


async def message(server: LuraphServer, **options: Any) -> str:
    """Of a failure that blames no parameter."""
    (error,) = await failure(server, **options)
    assert error.param is None
    return error.message


async def test_a_text_is_protected_by_four_calls_with_the_customers_key(server: LuraphServer) -> None:
    received = await outcome(server)
    assert received == Received(protected_text(TEXT))
    assert [(each.method, each.path) for each in server.requests] == [
        ("GET", "/v1/obfuscate/nodes"),
        ("POST", "/v1/obfuscate/new"),
        ("GET", "/v1/obfuscate/status/job-1"),
        ("GET", "/v1/obfuscate/download/job-1"),
    ]
    assert {each.headers["luraph-api-key"] for each in server.requests} == {API_KEY}


async def test_the_job_is_for_the_recommended_node_with_its_required_options(server: LuraphServer) -> None:
    await outcome(server, file_name="x" * 300)
    (created,) = server.calls("new")
    assert created.json == {
        "node": "main",
        "script": base64.b64encode(TEXT).decode(),
        "fileName": "x" * 255,
        "options": {"INTENSE": False},
        "useTokens": False,
        "enforceSettings": False,
    }


async def test_the_customers_settings_and_the_scripts_language_are_options_of_the_job(server: LuraphServer) -> None:
    settings = {"INTENSE": True, "WATERMARK": "mine"}
    await outcome(server, settings=settings, target=Target.LUAU)
    assert server.calls("new")[0].json["options"] == {**settings, "TARGET_VERSION": "Luau"}


async def test_settings_that_the_node_does_not_have_are_refused_before_anything_is_sent(server: LuraphServer) -> None:
    settings = {"COLOUR": "red", "INTENSE": "yes", "TARGET_VERSION": "Lua 9"}
    errors = await failure(server, settings=settings)
    assert [error.param for error in errors] == ["COLOUR", "INTENSE", "TARGET_VERSION"]
    assert "it has: INTENSE, TARGET_VERSION, WATERMARK" in errors[0].message
    assert server.calls("new") == []


async def test_warnings_of_the_service_are_handed_on(server: LuraphServer) -> None:
    server.jobs["odd"] = TEXT
    server.plan("new", reply(200, {"jobId": "odd", "warnings": ["Slow today."]}))
    received = await outcome(server)
    assert isinstance(received, Received)
    assert received.warnings == ["Slow today."]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("status", [400, 401, 422, 500])
async def test_the_services_errors_are_passed_on_unchanged(server: LuraphServer, endpoint: str, status: int) -> None:
    server.plan(endpoint, *[reply(status, {"errors": ERRORS, "more": 1})] * 3)
    assert await failure(server) == PASSED_ON


async def test_a_wrong_key_is_what_the_service_says_it_is(server: LuraphServer) -> None:
    assert await failure(server, api_key="other") == [EngineError("Luraph-API-Key", "Invalid API key.")]


async def test_a_refused_key_without_a_word_is_told_in_ours(server: LuraphServer) -> None:
    server.plan("nodes", reply(403, b"<html>"))
    assert await message(server) == "Luraph refuses the API key (status 403)"


async def test_a_job_that_fails_is_told_with_the_services_text(server: LuraphServer) -> None:
    server.plan("status", reply(200, {"error": "Line 3: syntax error"}))
    assert await message(server) == "Line 3: syntax error"
    assert server.calls("download") == []


@pytest.mark.parametrize("success", [b"", b" \n", b'{"error": null}', b"{}"])
async def test_an_empty_status_or_one_without_error_is_success(server: LuraphServer, success: bytes) -> None:
    server.plan("status", reply(200, success))
    assert isinstance(await outcome(server), Received)


@pytest.mark.parametrize(
    "trouble", [reply(500, b"oops"), reply(429, b"", Retry_After="0"), raw(b""), raw(b"HTTP/1.1 200 X\r\nContent-")]
)
async def test_a_job_is_waited_for_three_times_and_never_more(server: LuraphServer, trouble: Any) -> None:
    server.plan("status", trouble, trouble)
    assert isinstance(await outcome(server), Received)
    assert len(server.calls("status")) == 3
    server.plan("status", *[trouble] * 9)
    assert (await message(server)).startswith("Luraph did not finish the job: ")
    assert len([each for each in server.calls("status") if each.path.endswith("job-2")]) == 3


@pytest.mark.parametrize("endpoint", ["nodes", "download"])
async def test_what_may_be_asked_again_is_asked_again(server: LuraphServer, endpoint: str) -> None:
    server.plan(endpoint, raw(b""), reply(503, b"later"))
    assert isinstance(await outcome(server), Received)
    assert len(server.calls(endpoint)) == 3


@pytest.mark.parametrize("trouble", [reply(500, b"oops"), reply(502, {"errors": ERRORS}), raw(b""), raw(b"nonsense"), raw(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{"), reply(200, b"{}"), flood])  # fmt: skip
async def test_a_job_that_may_have_been_created_is_never_sent_again(server: LuraphServer, trouble: Any) -> None:
    server.plan("new", trouble)
    assert await failure(server) != []
    assert len(server.calls("new")) == 1


async def test_a_job_that_got_no_answer_in_time_is_never_sent_again(server: LuraphServer) -> None:
    server.plan("new", hang)
    hasty = ServiceLimits(create_seconds=0.2, pause_seconds=0.01)
    assert await message(server, limits=hasty) == "Luraph did not take the job: no answer within 0.2 s"
    assert len(server.calls("new")) == 1


async def test_a_job_refused_for_now_is_sent_again(server: LuraphServer) -> None:
    server.plan("new", reply(429, b"", Retry_After="0"), reply(429, {"errors": ERRORS}))
    assert isinstance(await outcome(server), Received)
    assert len(server.calls("new")) == 3


async def test_a_job_that_never_left_is_sent_again(server: LuraphServer) -> None:
    answers: list[Exception | None] = [None, OSError("refused")]

    async def resolve(_host: str) -> list[IPv4Address | IPv6Address]:
        """The real network, but the second connection, which is the job's, cannot be made."""
        answer = answers.pop(0) if answers else None
        if answer is not None:
            raise answer
        return [IPv4Address("127.0.0.1")]

    assert isinstance(await outcome(server, client=luraph_client(TRUST, resolve)), Received)
    assert answers == []
    assert len(server.calls("new")) == 1


async def test_a_service_that_is_away_is_named(server: LuraphServer) -> None:
    await server.stop()
    assert await message(server) == "Luraph did not list its nodes: it cannot be reached"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("behaviour", [hang, drip])
async def test_every_call_has_a_deadline(server: LuraphServer, endpoint: str, behaviour: Any) -> None:
    server.plan(endpoint, *[behaviour] * 3)
    hasty = ServiceLimits(0.1, 0.1, 0.1, 0.1, pause_seconds=0.01)
    assert (await message(server, limits=hasty)).endswith(": no answer within 0.1 s")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_the_whole_job_has_a_deadline(server: LuraphServer, endpoint: str) -> None:
    server.plan(endpoint, *[hang] * 3)
    assert await message(server, job_seconds=0.4) == "Luraph did not finish within the 0.4 s that are left for it"


async def test_a_caller_without_time_left_gets_a_failure_at_once(server: LuraphServer) -> None:
    async with luraph_client(TRUST) as http:
        engine = LuraphEngine(http, LuraphSettings(base_url=server.base_url))
        ended = await engine.protect(Order(TEXT, "x.lua", API_KEY), deadline=asyncio.get_running_loop().time() - 1)
    assert isinstance(ended, Failure)
    assert server.calls("new") == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_endless_answer_is_cut_off(server: LuraphServer, endpoint: str) -> None:
    server.plan(endpoint, flood)
    small = ServiceLimits(answer_bytes=100_000, result_bytes=200_000, pause_seconds=0.01)
    limit = "200,000" if endpoint == "download" else "100,000"
    assert (await message(server, limits=small)).endswith(f": the answer has more than {limit} bytes")
    assert len(server.calls(endpoint)) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(server: LuraphServer, endpoint: str, status: int) -> None:
    async with luraph_server() as elsewhere:
        server.plan(endpoint, reply(status, b"", Location=f"{elsewhere.base_url}/obfuscate/{endpoint}"))
        assert (await message(server)).endswith(f": the service wants to send us elsewhere (status {status})")
        assert elsewhere.requests == []
    assert len(server.calls(endpoint)) == 1


async def test_a_compressed_answer_is_refused(server: LuraphServer) -> None:
    server.plan("download", reply(200, b"\x1f\x8b\x08", Content_Encoding="gzip"))
    assert "the answer is compressed" in await message(server)
    assert {each.headers["accept-encoding"] for each in server.requests} == {"identity"}


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("nodes", b"<html>"),
        ("nodes", b"[]"),
        ("nodes", b'{"nodes": []}'),
        ("nodes", b'{"nodes": {"main": {"options": {"A": {"type": 5}}}}, "recommendedId": "main"}'),
        ("nodes", b"\xff"),
        ("nodes", b"[" * 100_000),
        ("new", b""),
        ("new", b'{"jobId": 5}'),
        ("new", b'{"jobId": "a", "warnings": "x"}'),
        ("status", b"done"),
        ("status", b'{"error": {"x": 1}}'),
        ("nodes", b'{"nodes": {}, "new": ' + DEEP + b"}"),
        ("new", b'{"jobId": "a", "new": ' + DEEP + b"}"),
        ("status", b'{"error": null, "new": ' + DEEP + b"}"),
        ("nodes", b'{"nodes": {"main": {"options": {}}}, "new": [' + b"[]," * 300_000 + b"[]]}"),
        ("new", b'{"jobId": "a", "warnings": [' + b'"",' * 300_000 + b'""]}'),
    ],
)
async def test_an_answer_that_the_api_does_not_have_is_told_as_that(
    server: LuraphServer, endpoint: str, answer: bytes
) -> None:
    server.plan(endpoint, reply(200, answer))
    assert await message(server) == "Luraph gave an answer that its API does not have"


@pytest.mark.parametrize("job", ["", "../nodes", "a/b", "a?b", "é", "x" * 129])
async def test_a_job_id_never_leads_to_another_address(server: LuraphServer, job: str) -> None:
    server.plan("new", reply(200, {"jobId": job}))
    assert await message(server) == "Luraph gave a job an id that is none"
    assert server.calls("status") == []


@pytest.mark.parametrize("recommended", [None, "gone"])
async def test_without_a_recommended_node_nothing_is_sent(server: LuraphServer, recommended: str | None) -> None:
    server.plan("nodes", reply(200, {**NODES, "recommendedId": recommended}))
    assert "recommends no node" in await message(server)
    assert server.calls("new") == []


@pytest.mark.parametrize("body", [b'{"errors": ' + DEEP + b"}", b'{"errors": [' + b'{"message":""},' * 65_000 + b"0]}"])
async def test_errors_that_would_cost_too_much_are_told_by_the_status(server: LuraphServer, body: bytes) -> None:
    server.plan("nodes", reply(422, body))
    assert await message(server) == "Luraph did not list its nodes: it answered with status 422"


async def test_of_many_warnings_and_options_some_are_told(server: LuraphServer) -> None:
    server.jobs["odd"] = TEXT
    server.plan("new", reply(200, {"jobId": "odd", "warnings": ["w"] * 5_000}))
    done = await outcome(server)
    assert isinstance(done, Received)
    assert len(done.warnings) == 100
    options = {f"OPTION_{number}": {"type": "CHECKBOX"} for number in range(5_000)}
    server.plan("nodes", reply(200, {"nodes": {"main": {"options": options}}, "recommendedId": "main"}))
    (error,) = await failure(server, settings={"NONE": True})
    assert len(error.message) < 2_100


@pytest.mark.parametrize("errors", [[], "x", [{"param": "a"}], [{"message": 5}], None])
async def test_errors_of_another_shape_are_told_by_the_status(server: LuraphServer, errors: Any) -> None:
    server.plan("new", reply(400, {"errors": errors}))
    assert await message(server) == "Luraph did not take the job: it answered with status 400"


async def test_an_empty_result_is_none(server: LuraphServer) -> None:
    server.plan("download", reply(200, b"\n"))
    assert await message(server) == "Luraph handed over an empty result"


async def test_the_key_is_in_no_log_and_no_failure(server: LuraphServer, caplog: pytest.LogCaptureFixture) -> None:
    server.plan("new", raw(b""))
    with caplog.at_level(logging.DEBUG):
        failed = await outcome(server)
    order = Order(TEXT, "x.lua", API_KEY)
    assert API_KEY not in f"{failed!r} {order!r} {caplog.text}"
