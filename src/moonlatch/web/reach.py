"""Which addresses may be called when somebody else chose them. Judges addresses, never names: those mean what a resolver says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from moonlatch.web.address import parse_network

# `ipaddress.is_global` lets multicast, NAT64, 6to4, IPv4-compatible addresses and more pass, and changes between versions
# of Python. From IANA's registries of special-purpose addresses (RFC 6890), November 2026, and what clouds answer at.
_FORBIDDEN_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind carriers' NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's services for its virtual machines
        "169.254.0.0/16",  # link-local, and clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only IPv6 addresses that are handed out. Outside are IPv4 in other spellings, NAT64, site-local, multicast."""

_FORBIDDEN_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols' own: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: IPv4 in another spelling
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)

Address = IPv4Address | IPv6Address


class Reach:
    """The public internet, and the networks that the operator allows besides."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: Sequence[IPv4Network | IPv6Network] = [parse_network(network) for network in allowed]

    def allows(self, address: Address) -> bool:
        """Return whether a connection may be made to this address."""
        if any(address.version == network.version and address in network for network in self._allowed):
            return True
        return is_public(address)


def is_public(address: Address) -> bool:
    """Return whether an address is somewhere on the public internet and stands for itself, and not for another address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _FORBIDDEN_V6)


ANYWHERE = Reach(("0.0.0.0/0", "::/0"))
"""For addresses that the operator wrote into the settings."""
