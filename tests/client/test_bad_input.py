"""Requests that are not as the protocol describes: each gets its documented refusal, and changes nothing."""

import asyncio
import itertools
import json
import logging
from pathlib import Path

import pytest

from moonlatch.storage.interface import StorageError
from support.client import Refused, accepted
from support.client_server import World, running_world
from support.keys import hashed

EXECUTE, HEARTBEAT = "/client/v1/execute", "/client/v1/heartbeat"


async def refused(world: World, method: str, path: str, **options) -> Refused:
    response = await world.http.request(method, world.url + path, **options)
    with pytest.raises(Refused) as caught:
        accepted(response)
    assert response.headers["content-type"] == "application/json"
    return caught.value


@pytest.mark.parametrize("path", [EXECUTE, HEARTBEAT])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"a":',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b"{} {}",
        b"[" * 10_000 + b"]" * 6_000,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"instance": "\\u0000"}',
    ],
)
async def test_a_body_that_is_no_request_is_invalid(world: World, path: str, content: bytes) -> None:
    refusal = await refused(world, "POST", path, content=content)
    assert (refusal.status, refusal.code) == (400, "INVALID_REQUEST")


async def test_a_nul_in_a_text_is_invalid(world: World) -> None:
    client = await world.script(free_for_all=True)
    for field in ("fingerprint", "executor", "job_id", "key"):
        refusal = await refused(world, "POST", EXECUTE, json=client.request(**{field: "a\0b"}))
        assert refusal.code == "INVALID_REQUEST"
    assert await world.value("select total_executions from scripts") == 0


@pytest.mark.parametrize("size", [16 * 1024 + 1, 5_000_000])
async def test_a_large_body_is_refused_without_being_read(world: World, size: int) -> None:
    async def endless():
        for _ in range(size // 1024 + 1):
            yield b" " * 1024

    try:
        refusal = await refused(world, "POST", EXECUTE, content=endless())
    except Exception as error:  # the server may hang up before the client has said all it wanted to
        assert "Error" in type(error).__name__  # noqa: PT017
    else:
        assert (refusal.status, refusal.code) == (413, "INVALID_REQUEST")


async def test_the_largest_body_is_read(world: World) -> None:
    client = await world.script(free_for_all=True)
    body = json.dumps(client.request()).encode()
    response = await world.http.post(world.url + EXECUTE, content=body.ljust(16 * 1024))
    assert accepted(response)["success"]


async def test_a_body_that_never_comes_is_given_up(world: World, monkeypatch) -> None:
    monkeypatch.setattr("moonlatch.client.body.BODY_SECONDS", 0.2)
    monkeypatch.setattr("moonlatch.web.direct.BODY_SECONDS", 0.2)
    for sent, path in itertools.product((b"", b'{"instance"'), (HEARTBEAT, EXECUTE)):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rsplit(":", 1)[1]))
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode() + sent)
        async with asyncio.timeout(60):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"INVALID_REQUEST" in answer
        writer.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", EXECUTE, 405, "POST"),
        ("PUT", HEARTBEAT, 405, "POST"),
        ("POST", "/loader/x", 405, "GET, HEAD"),
        ("GET", "/client/v1/session", 400, None),
        ("GET", "/client/v1/other", 404, None),
        ("POST", "/client/v1/execute/", 404, None),
    ],
)
async def test_wrong_methods_and_paths_are_refusals(world: World, method, path, status, allow) -> None:
    refusal = await refused(world, method, path)
    assert (refusal.status, refusal.code) == (status, "INVALID_REQUEST")
    assert refusal.headers.get("allow") == allow


async def test_too_many_starts_from_one_address_have_to_wait(tmp_path: Path) -> None:
    async with running_world(tmp_path, executes_per_second_per_address=0.1, execute_burst=2) as world:
        client = await world.script(free_for_all=True)
        await client.execute()
        await client.execute()
        with pytest.raises(Refused) as caught:
            await client.execute()
        assert (caught.value.status, caught.value.code) == (429, "RATE_LIMITED")
        assert caught.value.error["retry_after"] == int(caught.value.headers["retry-after"]) == 10
        world.clock.ahead_ms += 10_000
        await client.execute()


async def test_a_trusted_proxy_tells_the_clients_address_and_nobody_else_does(tmp_path: Path) -> None:
    async with running_world(tmp_path, trusted_proxies=["127.0.0.0/8"]) as world:
        client, key = await world.script(), await world.user()
        headers = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
        await client.send_execute(client.request(key=key), headers=headers)
        expected = world.keyring.fingerprint(world.project, "ip", "198.51.100.7")
        assert await world.value("select ip from users where key_hash = :key", key=hashed(key)) == expected


@pytest.mark.parametrize("form", ["198.51.100.{}:40000", "[2001:db8:{}::1]:443", "[2001:db8:{}::1]", "2001:db8:{}::1"])
async def test_customers_behind_a_proxy_that_writes_ports_are_counted_each_for_themselves(
    tmp_path: Path, form: str
) -> None:
    limits = {"executes_per_second_per_address": 0.1, "execute_burst": 1}
    async with running_world(tmp_path, trusted_proxies=["127.0.0.1"], **limits) as world:
        client = await world.script(free_for_all=True)
        for number in range(1, 21):
            await client.send_execute(client.request(), headers={"x-forwarded-for": form.format(number)})
        with pytest.raises(Refused) as caught:
            await client.send_execute(client.request(), headers={"x-forwarded-for": form.format(1)})
        assert caught.value.code == "RATE_LIMITED"


class Broken:
    """A database whose disk has failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def ask(self, *_args):
        raise self.error

    async def fetch_one(self, *_args, **_parameters):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(StorageError("disk I/O error, key SECRET"), 503), (RuntimeError("key SECRET"), 500)]
)
async def test_a_failure_inside_tells_nobody_anything(world: World, caplog, error: Exception, status: int) -> None:
    copy = await (await world.script(free_for_all=True)).execute()
    caplog.set_level(logging.DEBUG)
    world.break_database(Broken(error))
    with pytest.raises(Refused) as caught:
        await copy.beat()
    assert (caught.value.status, caught.value.code) == (status, "UNAVAILABLE")
    assert "SECRET" not in json.dumps(caught.value.error)
    assert caplog.records
    for secret in ("SECRET", copy.reply["token"], copy.instance):
        assert secret not in caplog.text
    assert (await (await copy.connect()).closed())[0] == 3001
