"""A URL that a call goes to, read strictly: what two readers could take for two different hosts is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_URL = 2048
_MAX_HOST = 253  # RFC 1035 section 2.3.4
_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 3986, without user information and fragment. No backslash and no other character that a browser would mend.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?"
    r"(?P<query>\?[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]*)?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes. `host` is without brackets, `target` what the request line has: path and query."""

    is_secure: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the `Host` header says (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS["https" if self.is_secure else "http"] else f"{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """What the certificate must be for."""
        return self.host.rstrip(".")


def destination_of(url: str) -> Destination:
    """Read a URL. Raises ValueError, whose words say what is wrong and hold nothing of the URL."""
    if len(url) > MAX_URL:
        raise ValueError(f"must have at most {MAX_URL} characters")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(
            "must be an http:// or https:// URL in ASCII, without user name, password and fragment"
            " (write other letters as punycode or percent-encoded)"
        )
    is_secure = match["scheme"].lower() == "https"
    host = match["host"].strip("[]").lower()
    port = int(match["port"] or _DEFAULT_PORTS["https" if is_secure else "http"])
    if len(host) > _MAX_HOST:
        raise ValueError(f"must have a host of at most {_MAX_HOST} characters")
    if not 1 <= port <= 65_535:
        raise ValueError("must have a port from 1 to 65535")
    return Destination(is_secure, host, port, (match["path"] or "/") + (match["query"] or ""))
