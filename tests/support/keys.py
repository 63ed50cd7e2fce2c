"""Users' keys as tests store them, under the master key of all servers that tests start by themselves."""

from __future__ import annotations

from typing import Any

from moonlatch.crypto import USER_KEY
from moonlatch.keyring import Keyring
from moonlatch.storage.user_keys import as_stored

MASTER = bytes(range(32))
KEYRING = Keyring(MASTER)


def hashed(key: str, keyring: Keyring = KEYRING) -> bytes:
    """By which a user is found whose key this is."""
    return keyring.user_key_hash(key)


def stored(key: str, *, user_id: str, project_id: str, keyring: Keyring = KEYRING) -> dict[str, Any]:
    """A key's columns of `users`."""
    return as_stored(keyring, key, user_id=user_id, project_id=project_id)


def opened(keyring: Keyring, user_id: str, sealed: bytes) -> str:
    """The key that stands in a user's row."""
    return keyring.open_secret(USER_KEY, user_id, sealed)
