"""Whose address it is."""

import pytest

from moonlatch.web.address import Addresses, site_of


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
