"""What every page for browsers is sent with, whichever face it is of, so that none lacks what the others have."""

from __future__ import annotations

from collections.abc import Mapping

_EVERYWHERE = ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")


def page_headers(*policy: str) -> dict[str, str]:
    """Headers by name, in lower case. A page may load nothing and lie in no frame but for what `policy` adds, directives of a
    content security policy: https://www.w3.org/TR/CSP3/
    """
    return {
        "content-security-policy": "; ".join((*_EVERYWHERE, *policy)),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        # Where somebody comes from is nobody's business, and some addresses are good once.
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The same as ASGI takes them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
