"""How often an address may ask, and whose address it is."""

import pytest

from moonlatch.client.address import Addresses, site_of
from moonlatch.client.limits import RateLimit


def test_a_burst_passes_and_then_one_each_interval() -> None:
    limit = RateLimit(per_second=2, burst=3)
    assert [limit.wait_seconds("a", 0) for _ in range(4)] == [0, 0, 0, 1]
    assert limit.wait_seconds("a", 500) == 0
    assert limit.wait_seconds("a", 500) == 1
    assert limit.wait_seconds("b", 500) == 0


def test_zero_per_second_is_no_limit() -> None:
    limit = RateLimit(per_second=0, burst=1)
    assert {limit.wait_seconds("a", 0) for _ in range(100)} == {0}


def test_the_number_of_buckets_is_bounded() -> None:
    limit = RateLimit(per_second=1, burst=1, max_buckets=10)
    for number in range(1_000):
        limit.wait_seconds(str(number), 0)
    assert len(limit._buckets) == 10


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    limit = RateLimit(per_second=1, burst=2)
    assert limit.wait_seconds("a", 10_000) == 0
    assert limit.wait_seconds("a", 0) == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "made up, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, forwarded: str | None, address: str) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    assert Addresses(["10.0.0.0/8", "::1"]).of((peer, 1), headers) == address


def test_a_connection_without_an_address_is_unknown() -> None:
    assert Addresses().of(None, []) == "unknown"


def test_an_ipv6_client_counts_with_its_whole_network() -> None:
    assert site_of("2001:db8:1:2:3::4") == site_of("2001:db8:1:2:ffff::") == "2001:db8:1:2::"
    assert site_of("192.0.2.1") == "192.0.2.1"
    assert site_of("unknown") == "unknown"
