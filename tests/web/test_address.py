"""Whose address it is."""

import pytest

from moonlatch.web.address import Addresses, network_of, sites_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "made up, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "10.0.0.3,, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "unknown"),
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, forwarded: str | None, address: str) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    assert Addresses(["10.0.0.0/8", "::1"]).of((peer, 1), headers) == address


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("198.51.100.7:40000", "198.51.100.7"),
        ("[2001:db8:7::1]:443", "2001:db8:7::1"),
        ("[2001:db8:7::1]", "2001:db8:7::1"),
        ("2001:DB8:7:0:0:0:0:1", "2001:db8:7::1"),
        ("2001:db8:7::1:443", "2001:db8:7::1:443"),  # the same as without brackets: nothing tells a port from a group
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:443", "fe80::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("[::ffff:198.51.100.7]:443", "198.51.100.7"),
        ("::ffff:c633:6407", "198.51.100.7"),
        ('"[2001:db8:7::1]:443"', "2001:db8:7::1"),
        ('"198.51.100.7:40000"', "198.51.100.7"),
        ('"198.51.100.7"', "198.51.100.7"),
    ],
)
def test_every_form_of_an_address_is_read_the_same(hop: str, address: str) -> None:
    assert forwarded(hop) == address
    assert forwarded(f"made up, {hop}, 10.0.0.2:8080, [::ffff:10.0.0.3]:1") == address


@pytest.mark.parametrize(
    "hop",
    [
        "nonsense",
        "unknown",
        "_hidden",
        "198.51.100.7:",
        "198.51.100.7:port",
        "198.51.100.7:400000",
        "198.51.100.07",
        "[198.51.100.7",
        "[2001:db8:7::1]443",
        "2001:db8:7:0:0:0:0:1:443",
        '"198.51.100.7',
        '"',
        "for=198.51.100.7",
        "198.51.100.7 40000",
    ],
)
def test_a_hop_that_cannot_be_read_is_an_unknown_address_and_not_the_proxys(
    hop: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert forwarded(hop) == "unknown"
    assert forwarded(f"198.51.100.1, {hop}, 10.0.0.2") == "unknown"
    assert "a hop that cannot be read" in caplog.text


def test_what_stands_before_the_client_is_not_read() -> None:
    assert forwarded("nonsense, 198.51.100.7") == "198.51.100.7"


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "10.0.0.1"])
@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "::ffff:10.0.0.0/104"])
def test_a_proxy_is_known_by_every_spelling_of_its_address(peer: str, trusted: str) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.7")]
    assert Addresses([trusted]).of((peer, 1), headers) == "198.51.100.7"


def test_a_peer_has_one_address_whatever_socket_it_came_by() -> None:
    assert Addresses().of(("::ffff:198.51.100.7", 1), []) == "198.51.100.7"
    assert Addresses().of(("fe80::1%eth0", 1), []) == "fe80::1"


def forwarded(chain: str) -> str:
    return Addresses(["10.0.0.0/8"]).of(("10.0.0.1", 1), [(b"x-forwarded-for", chain.encode())])


def test_a_connection_without_an_address_is_unknown() -> None:
    assert Addresses().of(None, []) == "unknown"


def test_an_ipv6_client_counts_with_its_whole_network() -> None:
    assert sites_of("2001:db8:1:2:3::4") == sites_of("2001:db8:1:2:ffff::") == ("2001:db8:1:2::/64", "2001:db8:1::/48")
    assert sites_of("192.0.2.1") == ("192.0.2.1",)
    assert sites_of("unknown") == ("unknown",)


def test_a_customers_network_is_a_24_or_a_48() -> None:
    assert network_of("192.0.2.7") == network_of("192.0.2.200") == network_of("::ffff:192.0.2.9") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == network_of("2001:db8:1:ffff::") == "2001:db8:1::/48"
    assert network_of("unknown") is None
