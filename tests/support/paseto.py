"""Reads PASETO `v4.public`, written from its specification alone."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from support.lua_host.leases import pae


def verified(token: str, public_key: bytes, implicit: bytes) -> tuple[bytes, bytes]:
    """Message and footer. Raises InvalidSignature."""
    version, purpose, body, footer = token.split(".")
    assert (version, purpose) == ("v4", "public")
    content, end = _decoded(body), _decoded(footer)
    encoded = (4).to_bytes(8, "little") + pae(b"v4.public.", content[:-64], end, implicit)
    Ed25519PublicKey.from_public_bytes(public_key).verify(content[-64:], encoded)
    return content[:-64], end


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
