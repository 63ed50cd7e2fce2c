"""A build's text as it is handed out: sealed under a key of its own, and of a build with a lock what the run key of a user is added by.

For starts and for offline licences alike. Reads no database.
"""

from __future__ import annotations

from typing import NamedTuple

from pybase64 import b64encode

from moonlatch.crypto import new_key, seal, sealed_digest
from moonlatch.keyring import Keyring
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.transform.run_words import with_run_key
from moonlatch.operations.run_keys import run_key, wrapped


class SealedPayload(NamedTuple):
    """A payload under a key of its own, which every start wraps for its client alone."""

    key: bytes
    text: bytes
    """Ciphertext and tag in base64."""
    digest: str
    """Of ciphertext and tag, in hex."""
    lock: Lock | None = None
    """Of a text that is of no use without a run key."""


def sealed(content: bytes, lock: bytes | None) -> SealedPayload:
    """A build's text, with its lock as the database has it. Raises ValueError for a lock that is none."""
    return _sealed(content, None if lock is None else Lock.from_bytes(lock))


def sealed_with_run_key(
    keyring: Keyring, content: bytes, lock: bytes | None, script_id: str, user: str
) -> SealedPayload:
    """As `sealed`, with the run key of `user` in the text, for a loader that hands none over."""
    if lock is not None:
        content = with_run_key(content, run_key(keyring, Lock.from_bytes(lock), script_id, user))
    return _sealed(content, None)


def _sealed(content: bytes, lock: Lock | None) -> SealedPayload:
    key = new_key()
    ciphertext = seal(key, content)
    return SealedPayload(key, b64encode(ciphertext), sealed_digest(ciphertext), lock)


def run_key_for(keyring: Keyring, payload: SealedPayload, script_id: str, user: str) -> str | None:
    """What `user` needs besides the payload, wrapped for who can open it; None where that is enough."""
    if payload.lock is None:
        return None
    return wrapped(run_key(keyring, payload.lock, script_id, user), payload.key)
