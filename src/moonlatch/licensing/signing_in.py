"""The rules of signing in: what names and passwords may be, and how long a session, a link and a proof last. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS

MIN_PASSWORD, MAX_PASSWORD = 12, 256
"""Characters of a password. Long enough is all it has to be (NIST SP 800-63B section 3.1.1.2); the bound is for the hashing."""

SIGN_IN_NAME = r"^[A-Za-z0-9._%+@-]{2,254}$"
"""What somebody signs in with: an e-mail address, or any name of such characters. Capitals and small letters are the same."""

RECOVERY_CODES = 10
CHALLENGE_MS = 5 * _MINUTE_MS
"""How long a browser may take to use a passkey."""

TOTP_SECONDS = 30
TOTP_DIGITS = 6
TOTP_DRIFT = 1
"""Steps by which a device's clock may be off, either way (RFC 6238 section 5.2)."""


@dataclass(frozen=True, slots=True)
class SignInRules:
    """How long things last, in milliseconds, and `url`, the address at which browsers reach the server."""

    url: str = "http://127.0.0.1:8400"
    idle_ms: int = 12 * _HOUR_MS
    absolute_ms: int = 7 * 24 * _HOUR_MS
    recent_ms: int = 15 * _MINUTE_MS
    link_ms: int = 48 * _HOUR_MS

    def session_ends_at(self, created_at: int, last_used_at: int) -> int:
        """When a session is over (Unix milliseconds), unless it is used again before."""
        return min(created_at + self.absolute_ms, last_used_at + self.idle_ms)

    def is_recent(self, confirmed_at: int | None, now: int) -> bool:
        """Return whether somebody proved so recently who they are that they may change what proves it."""
        return confirmed_at is not None and now - confirmed_at < self.recent_ms

    def link(self, secret: str) -> str:
        """The address under which a browser accepts a one-time link. The secret never reaches a log: it is behind the `#`."""
        return f"{self.url}/dashboard/#/invite/{secret}"


def canonical_name(sign_in_name: str) -> str:
    """The one spelling under which a sign-in name is kept. Raises ValueError for what cannot be one."""
    if not re.fullmatch(SIGN_IN_NAME, sign_in_name):
        raise ValueError("must be an e-mail address or a name: 2 to 254 letters, digits and . _ % + @ -")
    return sign_in_name.lower()


def canonical_password(password: str) -> str:
    """The same password however a keyboard composes its characters (NIST SP 800-63B section 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


def weakness(password: str, *, sign_in_name: str) -> str | None:
    """What is wrong with a new password; None where nothing is."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    if password.lower() in (sign_in_name, sign_in_name.partition("@")[0]):
        return "must not be the sign-in name"
    if len(set(password)) == 1:
        return "must not be one character again and again"
    return None


def totp_steps(now: int) -> range:
    """The time steps whose codes are taken at `now` (Unix milliseconds)."""
    step = now // (TOTP_SECONDS * 1000)
    return range(step - TOTP_DRIFT, step + TOTP_DRIFT + 1)


def is_loopback_name(host: str) -> bool:
    """Return whether a host's name is always this machine, so that nobody else can hear what is said to it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def passkey_site(url: str) -> tuple[str, str] | None:
    """The host that passkeys are bound to (RP id), and the origin of the page, for a server that browsers reach at `url`.

    None where browsers know no passkeys: without https, and at a bare address. This machine's addresses are `localhost`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", "" if parts.port is None else f":{parts.port}"
    if is_loopback_name(host):
        return "localhost", f"{parts.scheme}://localhost{port}"
    try:
        ip_address(host)
    except ValueError:
        return (host, f"https://{host}{port}") if parts.scheme == "https" else None
    return None
