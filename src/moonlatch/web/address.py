"""Whose address a connection is: the peer's, or what a trusted proxy says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from moonlatch.web.socket import Headers, Peer

_UNKNOWN = "unknown"
_SITE_PREFIX = 64


class Addresses:
    """Reads client addresses, believing `X-Forwarded-For` from these proxies (addresses or networks) only."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = [ip_network(proxy, strict=False) for proxy in trusted_proxies]

    def of(self, peer: Peer, headers: Headers) -> str:
        """The client's address as text, `unknown` when there is none (a Unix socket)."""
        address = str(peer[0]) if peer else _UNKNOWN
        if not self._trusted or not self._is_trusted(address):
            return address
        return self._forwarded(headers) or address

    def _forwarded(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The last hop that is no proxy of ours; what stands before it, the client may have made up."""
        chain = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        last: str | None = None
        for hop in reversed([part.strip() for part in chain.split(",") if part.strip()]):
            if _parse(hop) is None:
                return last
            last = hop
            if not self._is_trusted(hop):
                return hop
        return last

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def site_of(address: str) -> str:
    """What to count an address under: an IPv6 client has a whole /64 to choose from."""
    if ":" not in address:
        return address
    parsed = _parse(address)
    if not isinstance(parsed, IPv6Address):
        return address
    return str(IPv6Network((parsed, _SITE_PREFIX), strict=False).network_address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    for found, value in headers:
        if found == name:
            return value
    return None
