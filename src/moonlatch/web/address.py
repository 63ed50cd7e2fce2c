"""Whose address a connection is: the peer's, or what a trusted proxy says of it. The one reader of addresses and networks."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from moonlatch.web.socket import Headers, Peer

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""Stands for an address that is not known: all of them count as one, and no list of addresses holds it."""

_SITE_PREFIX = 64
_WIDER_PREFIX = 48
_NEIGHBOURS_PREFIX = 24
_MAPPED_PREFIX = 96  # RFC 4291 section 2.5.5.2
# RFC 3986 section 3.2.2; some proxies write the port (Azure Application Gateway), some the brackets alone.
_WITH_PORT_OR_BRACKETS = re.compile(r"\[(?P<bracketed>[^\[\]]+)\](?::[0-9]{1,5})?|(?P<dotted>[0-9.]+):[0-9]{1,5}")


class Addresses:
    """Reads client addresses, believing `X-Forwarded-For` from these proxies (addresses or networks) only."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = [parse_network(proxy) for proxy in trusted_proxies]

    def of(self, peer: Peer, headers: Headers) -> str:
        """The client's address as text, the same for every spelling of it.

        `unknown` when there is none (a Unix socket), and when a trusted proxy names one that cannot be read: the proxy's
        own would make all its clients one, and pass for an address that a token may be used from.
        """
        if not peer:
            return UNKNOWN
        address = str(peer[0])
        if not self._trusted and ":" not in address:
            return address
        parsed = parse_address(address)
        if parsed is None:
            return address
        if self._is_trusted(parsed):
            return self._forwarded(headers) or str(parsed)
        return str(parsed)

    def is_proxy(self, address: str) -> bool:
        """Return whether this is the address of a proxy that is trusted."""
        if not self._trusted:
            return False
        parsed = parse_address(address)
        return parsed is not None and self._is_trusted(parsed)

    def _forwarded(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The last hop that is no proxy of ours; what stands before it, the client may have made up."""
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        chain = b",".join(lines).decode("latin-1")
        last: str | None = UNKNOWN if lines else None
        for hop in reversed([part.strip() for part in chain.split(",") if part.strip()]):
            parsed = _parse_hop(hop)
            if parsed is None:
                logger.warning(
                    "a trusted proxy sent an X-Forwarded-For with a hop that cannot be read as an address: such clients "
                    "count as one unknown address, and tokens with an address list refuse them"
                )
                return UNKNOWN
            last = str(parsed)
            if not self._is_trusted(parsed):
                return last
        return last

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text names, None when it names none.

    IPv4 written in IPv6 is IPv4, and a zone (RFC 4007 section 11) is left out: it names the server's interface, not the client.
    """
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    return parsed.ipv4_mapped or (parsed if parsed.scope_id is None else IPv6Address(int(parsed)))


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """The network, in IPv4 where it is written as IPv4 in IPv6 (`::ffff:192.0.2.1`). Raises ValueError."""
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return network


def _parse_hop(text: str) -> IPv4Address | IPv6Address | None:
    """A hop as proxies write it: an address alone, with a port, in brackets, or any of these in quotes (RFC 7239 section 6)."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    match = _WITH_PORT_OR_BRACKETS.fullmatch(text)
    return parse_address(text if match is None else match["bracketed"] or match["dotted"])


def sites_of(address: str) -> tuple[str, ...]:
    """What to count an address under: itself, or the /64 that an IPv6 client may choose from and the /48 that it may belong to."""
    if ":" not in address:
        return (address,)
    parsed = parse_address(address)
    if not isinstance(parsed, IPv6Address):
        return (address,)
    return tuple(str(IPv6Network((parsed, prefix), strict=False)) for prefix in (_SITE_PREFIX, _WIDER_PREFIX))


def network_of(address: str) -> str | None:
    """The network that an address stands for where a customer is seen: its /24, or /48 for IPv6; None for one that is not known."""
    parsed = parse_address(address)
    if parsed is None:
        return None
    prefix = _NEIGHBOURS_PREFIX if isinstance(parsed, IPv4Address) else _WIDER_PREFIX
    return str(ip_network((parsed, prefix), strict=False))


def header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    for found, value in headers:
        if found == name:
            return value
    return None
