"""The client for addresses that others chose: what must not be reached is not, and no answer hurts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from moonlatch.web.destination import destination_of
from moonlatch.web.exchange import Answer
from moonlatch.web.outgoing import (
    Bounds,
    CallError,
    ForbiddenAddressError,
    NoAnswerError,
    NotSentError,
    Outgoing,
    UnusableAnswerError,
)
from moonlatch.web.reach import ANYWHERE, Reach, is_public
from moonlatch.web.resolver import Resolve, Resolver
from support.addresses import TRICKS
from support.raw_server import RawServer, raw_server, request_from, says

BOUNDS = Bounds(20, 1000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = Reach(["127.0.0.0/8"])
NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
async def inside() -> AsyncIterator[RawServer]:
    """A service of this machine that nobody outside must get to."""
    async with raw_server(says(OK), "0.0.0.0") as running:
        yield running


async def call(url: str, reach: Reach, resolve: Resolve | None = None, bounds: Bounds = BOUNDS) -> Answer:
    async with Outgoing(reach, resolve=resolve, trust=NO_TRUST) as client:
        return await client.call("POST", destination_of(url), headers={}, content=b"{}", bounds=bounds)


def answering(*addresses: str) -> Resolve:
    """A resolver that knows one name."""

    async def resolve(_host: str) -> list[object]:
        return [ip_address(address) for address in addresses]

    return resolve  # type: ignore[return-value]


@pytest.mark.parametrize("trick", TRICKS)
async def test_no_spelling_reaches_this_machine(inside: RawServer, trick: str) -> None:
    with pytest.raises((ValueError, NotSentError)):
        await call(trick.replace("{port}", str(inside.port)), Reach())
    assert inside.connections == 0


FORBIDDEN = (
    "0.0.0.0 0.1.2.3 10.1.2.3 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.169.254 "
    "172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 "
    "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 "
    "64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1"
)
PUBLIC = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.32.0.1 192.0.1.1 223.255.255.255 2606:4700::1111 2a00:1450::1 2600::1"


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_an_address_that_is_not_on_the_internet_is_forbidden(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Reach().allows(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_an_address_on_the_internet_is_allowed(address: str) -> None:
    assert Reach().allows(ip_address(address))


def test_allowed_networks_are_allowed_and_their_neighbours_are_not() -> None:
    reach = Reach(["192.168.1.0/24", "fd00:1::/32", "::ffff:10.0.0.0/104"])
    for allowed in ("192.168.1.7", "fd00:1::7", "10.1.2.3", "1.1.1.1"):
        assert reach.allows(ip_address(allowed))
    for forbidden in ("192.168.2.7", "fd00:2::7", "::ffff:192.168.1.7", "127.0.0.1"):
        assert not reach.allows(ip_address(forbidden))


@pytest.mark.parametrize("addresses", [("1.1.1.1", "127.0.0.1"), ("127.0.0.1", "1.1.1.1"), ("2606:4700::1111", "::1")])
async def test_one_forbidden_address_condemns_the_name(inside: RawServer, addresses: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenAddressError):
        await call(f"http://receiver.test:{inside.port}/", Reach(), answering(*addresses))
    assert inside.connections == 0


async def test_a_name_is_asked_for_once_and_what_was_judged_is_called(inside: RawServer) -> None:
    answers = ["127.0.0.1", "127.0.0.2"]

    async def rebinding(_host: str) -> list[object]:
        return [ip_address(answers.pop(0))]

    async with raw_server(says(OK), "127.0.0.2", inside.port + 1) as other:
        url = f"http://receiver.test:{inside.port}/"
        assert (await call(url, Reach(["127.0.0.1/32"]), rebinding)).body == b"ok"  # type: ignore[arg-type]
        assert answers == ["127.0.0.2"]
        with pytest.raises(ForbiddenAddressError):
            await call(f"http://receiver.test:{other.port}/", Reach(["127.0.0.1/32"]), rebinding)  # type: ignore[arg-type]
        assert other.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(inside: RawServer, status: int) -> None:
    to = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    async with raw_server(says(to)) as running:
        assert (await call(f"http://127.0.0.1:{running.port}/", LOOPBACK)).is_redirection
    assert inside.connections == 0


async def test_no_proxy_of_the_environment_is_used(inside: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{inside.port}")
    async with raw_server(says(OK)) as running:
        assert (await call(f"http://127.0.0.1:{running.port}/", LOOPBACK)).body == b"ok"
    assert inside.connections == 0


async def test_judging_connects_to_nothing(inside: RawServer) -> None:
    async with Outgoing(LOOPBACK) as client:
        await client.judge(destination_of(f"http://127.0.0.1:{inside.port}/"))
        with pytest.raises(ForbiddenAddressError):
            await client.judge(destination_of(f"http://[::1]:{inside.port}/"))
        with pytest.raises(NotSentError):
            await client.judge(destination_of("http://receiver.invalid/"))
    assert inside.connections == 0


async def test_a_request_is_what_it_should_be() -> None:
    seen = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_from(reader))
        writer.write(OK)

    async with raw_server(behave) as running, Outgoing(LOOPBACK) as client:
        there = destination_of(f"http://127.0.0.1:{running.port}/a/b?c=d")
        await client.call("POST", there, headers={"X-One": "1"}, content=b"hello", bounds=BOUNDS)
    assert seen == [
        f"POST /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nAccept-Encoding: identity\r\nUser-Agent: moonlatch\r\n"
        "X-One: 1\r\nContent-Length: 5\r\n\r\nhello".encode()
    ]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", b"ok!"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", b"\x1f\x8b\x08"),
    ],
)
async def test_answers_of_every_framing_are_read(answer: bytes, body: bytes) -> None:
    async with raw_server(says(answer)) as running:
        got = await call(f"http://127.0.0.1:{running.port}/", LOOPBACK)
    assert (got.body, got.is_whole) == (body, True)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", NoAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", NoAnswerError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", NoAnswerError),
        (b"220 mail.example.com ESMTP\r\n", UnusableAnswerError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UnusableAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", UnusableAnswerError),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", UnusableAnswerError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, UnusableAnswerError),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000, UnusableAnswerError),
    ],
)
async def test_what_is_no_answer_is_an_error(answer: bytes, error: type[CallError]) -> None:
    async with raw_server(says(answer)) as running:
        with pytest.raises(error):
            await call(f"http://127.0.0.1:{running.port}/", LOOPBACK)


async def test_an_endless_answer_is_cut_at_its_bound() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n" * 1000)
            await writer.drain()

    async with raw_server(flood) as running:
        got = await call(f"http://127.0.0.1:{running.port}/", LOOPBACK)
    assert (got.status, got.body, got.is_whole) == (200, b"x" * 1000, False)


async def test_an_answer_that_drips_ends_with_the_call() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        while True:
            writer.write(b"H")
            await asyncio.sleep(10)

    async with raw_server(drip) as running:
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
            await call(f"http://127.0.0.1:{running.port}/", LOOPBACK, bounds=Bounds(0.2, 1000))


async def test_nobody_there_is_told_as_not_sent(unused_port: int) -> None:
    with pytest.raises(NotSentError, match="it cannot be reached"):
        await call(f"http://127.0.0.1:{unused_port}/", LOOPBACK)


@pytest.fixture
async def unused_port() -> int:
    async with raw_server(says()) as running:
        return running.port


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with raw_server(says(OK), "127.0.0.1") as running:
        got = await call(f"http://receiver.test:{running.port}/", LOOPBACK, answering("127.0.0.9", "127.0.0.1"))
    assert got.body == b"ok"


async def test_a_server_without_tls_is_told_as_one() -> None:
    async with raw_server(says(OK)) as running:
        with pytest.raises(NotSentError):
            await call(f"https://127.0.0.1:{running.port}/", LOOPBACK)


async def test_a_connection_is_kept_where_that_is_wanted_and_used_again() -> None:
    async with raw_server(says(OK, OK, closes=False)) as running, Outgoing(LOOPBACK, keeps_connections=True) as client:
        there = destination_of(f"http://127.0.0.1:{running.port}/")
        for _ in range(2):
            assert (await client.call("POST", there, headers={}, content=b"", bounds=BOUNDS)).body == b"ok"
        assert running.connections == 1


async def test_a_kept_connection_that_was_closed_meanwhile_costs_a_new_one() -> None:
    async with raw_server(says(OK)) as running, Outgoing(LOOPBACK, keeps_connections=True) as client:
        there = destination_of(f"http://127.0.0.1:{running.port}/")
        for _ in range(3):
            assert (await client.call("POST", there, headers={}, content=b"", bounds=BOUNDS)).body == b"ok"
        assert running.connections == 3


async def test_what_comes_unasked_on_a_kept_connection_answers_nothing() -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(poison)
        await request_from(reader)

    async with raw_server(behave) as running, Outgoing(LOOPBACK, keeps_connections=True) as client:
        there = destination_of(f"http://127.0.0.1:{running.port}/")
        for _ in range(2):
            assert (await client.call("POST", there, headers={}, content=b"", bounds=BOUNDS)).body == b"ok"
            await asyncio.sleep(0.1)


async def test_a_name_server_that_hangs_holds_up_nobody_else() -> None:
    hanging = asyncio.Event()

    async def resolve(_host: str) -> list[object]:
        await hanging.wait()
        return []

    with pytest.raises(NotSentError):
        await call("http://receiver.test/", ANYWHERE, resolve, Bounds(0.1, 10))  # type: ignore[arg-type]


async def test_those_who_ask_for_one_name_share_its_answer_and_may_give_up_alone() -> None:
    resolver = Resolver()
    first, second = (asyncio.create_task(resolver("localhost")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert ip_address("127.0.0.1") in await second
    with pytest.raises(OSError, match=r".+"):
        await resolver("no-such-name.invalid")
    with pytest.raises(OSError, match="cannot be looked up"):
        await resolver("x" * 300)
