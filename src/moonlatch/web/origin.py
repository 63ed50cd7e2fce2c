"""Which page a browser calls from, and by which cookie it may be known there. Believes what browsers alone set, and pages cannot."""

from __future__ import annotations

from enum import Enum
from urllib.parse import urlsplit

from moonlatch.licensing.signing_in import is_loopback_name
from moonlatch.web.address import header
from moonlatch.web.socket import Headers

_FORWARDED = (b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip")
_DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_COOKIE = 200


class Place(Enum):
    """From where a page is used; the value is the name of its cookie."""

    PUBLIC = "__Host-moonlatch"
    """Over https: browsers hold a cookie of this prefix to Secure, this host and all paths."""

    LOCAL = "moonlatch-local"
    """On the server's own machine over plain http, where not every browser keeps a Secure cookie, and nobody else hears it."""

    def cookie(self, value: str, max_age_seconds: int) -> str:
        """The header that has a browser hold a value; the empty one with an age of 0 makes it forget."""
        secure = "; Secure" if self is Place.PUBLIC else ""
        return f"{self.value}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}"


class Origins:
    """Knows the pages that may act for a member: those of the address at which browsers reach the server, and of its own machine."""

    def __init__(self, url: str) -> None:
        self._own = origin_of(url)

    def place(self, headers: Headers) -> Place | None:
        """From where a call says that it comes; None for another site's page, and where a secret could be overheard."""
        said = header(headers, b"origin")
        origin = None if said is None else origin_of(said.decode("latin-1"))
        if origin is None:
            return None
        if origin == self._own:
            if origin.startswith("https:"):
                return Place.PUBLIC
            return Place.LOCAL if is_loopback_name(_host(origin)) else None
        # Only this machine's own name: a name of somebody's choice may lead here as well (DNS rebinding).
        return Place.LOCAL if is_local(headers) and origin == origin_of(f"http://{_host_header(headers)}") else None


def is_local(headers: Headers) -> bool:
    """Return whether a call names this machine as where it goes to, and no proxy says that it was asked elsewhere."""
    if any(name in _FORWARDED for name, _ in headers):
        return False
    return is_loopback_name(_host(f"http://{_host_header(headers)}"))


def cookies_of(headers: Headers) -> dict[Place, str]:
    """The values of our cookies, as far as they may count where this call goes to."""
    found: dict[Place, str] = {}
    for name, value in headers:
        if name != b"cookie":
            continue
        for part in value.decode("latin-1").split(";"):
            key, _, held = part.strip().partition("=")
            for place in Place:
                if key == place.value and 0 < len(held) <= MAX_COOKIE and place not in found:
                    found[place] = held
    if Place.LOCAL in found and not is_local(headers):
        del found[Place.LOCAL]
    return found


def origin_of(url: str) -> str | None:
    """Scheme, host and port of an address, in one spelling (RFC 6454 section 6); None for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _host_header(headers: Headers) -> str:
    return (header(headers, b"host") or b"").decode("latin-1")
