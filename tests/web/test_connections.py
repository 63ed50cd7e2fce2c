"""Places for connections, counted by network: what `tests/security/test_connections.py` cannot do from one machine."""

from __future__ import annotations

import pytest

from moonlatch.web.address import Addresses
from moonlatch.web.connections import Connections, Place, TooManyError

PER_ADDRESS = 3


@pytest.fixture
def connections() -> Connections:
    return Connections(most=1_000, per_address=PER_ADDRESS, addresses=Addresses(()))


def entered(connections: Connections, address: str) -> Place | None:
    try:
        return connections.enter(address, lambda: None)
    except TooManyError:
        return None


def test_an_ipv4_address_has_places_of_its_own(connections: Connections) -> None:
    assert [entered(connections, "192.0.2.1") is not None for _ in range(4)] == [True] * 3 + [False]
    assert entered(connections, "192.0.2.2") is not None


def test_an_ipv6_network_has_its_places_however_many_addresses_it_is(connections: Connections) -> None:
    assert [entered(connections, f"2001:db8:1:2::{number}") is not None for number in range(4)] == [True] * 3 + [False]
    assert entered(connections, "2001:db8:1:3::1") is not None


def test_a_whole_48_has_four_times_what_a_64_has(connections: Connections) -> None:
    places = [entered(connections, f"2001:db8:1:{number:x}::1") for number in range(4 * PER_ADDRESS + 5)]
    assert [place is not None for place in places] == [True] * 4 * PER_ADDRESS + [False] * 5
    assert entered(connections, "2001:db8:2::1") is not None
    first = places[0]
    assert first is not None
    first.leave()
    assert entered(connections, "2001:db8:1:ffff::1") is not None
    assert entered(connections, "2001:db8:1:fffe::1") is None


def test_nothing_is_kept_of_connections_that_left(connections: Connections) -> None:
    places = [entered(connections, address) for address in ("192.0.2.1", "2001:db8:1:2::1", "2001:db8:1:3::1")]
    for place in places:
        assert place is not None
        place.leave()
    assert (connections.open, dict(connections._by_site), connections.idle) == (0, {}, {})
