"""PASETO `v4.public` (paseto-standard/paseto-spec): statements that anybody can check who has the public key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pybase64 import urlsafe_b64encode

_HEADER = b"v4.public."
_KEY = b"k4.public."
_KEY_ID = b"k4.pid."
_KEY_ID_BYTES = 33


def signed(sign: Callable[[bytes], bytes], message: bytes, *, footer: bytes = b"", implicit: bytes = b"") -> str:
    """A token with this message and footer, signed by an Ed25519 key; its reader must know `implicit`, which is not in it."""
    signature = sign(pae(_HEADER, message, footer, implicit))
    token = _HEADER + _unpadded(message + signature)
    return (token + b"." + _unpadded(footer) if footer else token).decode()


def pae(*pieces: bytes) -> bytes:
    """The pieces as bytes in exactly one way (pre-authentication encoding)."""
    return b"".join([_length(len(pieces)), *(_length(len(piece)) + piece for piece in pieces)])


def key_id(public_key: bytes) -> str:
    """The id of a public key for footers (PASERK, `k4.pid`)."""
    digest = hashlib.blake2b(_KEY_ID + _KEY + _unpadded(public_key), digest_size=_KEY_ID_BYTES).digest()
    return (_KEY_ID + _unpadded(digest)).decode()


def _length(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _unpadded(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
