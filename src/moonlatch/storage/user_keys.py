"""How a licence key stands in the database: as a keyed hash that finds it, codes that find it by a part, and itself, sealed.

Nothing else of the program stores a key or compares one with what is stored; whoever shows one asks here for it.
"""

from __future__ import annotations

from typing import Any, Protocol

from moonlatch.crypto import CODED_CHARACTERS, USER_KEY, MasterKey
from moonlatch.keyring import Keyring
from moonlatch.licensing import key as rules


class Keyed(Protocol):
    """A record of a user's key."""

    @property
    def id(self) -> str: ...

    @property
    def key_sealed(self) -> bytes: ...


STORED_KEY = frozenset({"key_hash", "key_sealed", "start_code", "end_code"})
"""The columns that `as_stored` fills."""

_FORWARD = "forward"
_BACKWARD = "backward"


def as_stored(keyring: Keyring, key: str, *, user_id: str, project_id: str) -> dict[str, Any]:
    """What is kept of a user's key, by name of the column."""
    return {
        "key_hash": keyring.user_key_hash(key),
        "key_sealed": keyring.seal_secret(USER_KEY, user_id, key),
        "start_code": start_code(keyring.current, project_id, key),
        "end_code": end_code(keyring.current, project_id, key),
    }


def key_of(keyring: Keyring, user: Keyed) -> str:
    """A user's key. Raises UnreadableSecretError for one that another master key sealed, or that was another user's."""
    return keyring.open_secret(USER_KEY, user.id, user.key_sealed)


def masked_key_of(keyring: Keyring, user: Keyed) -> str:
    """A user's key as those may see it who must not use it. Raises UnreadableSecretError."""
    return rules.masked(key_of(keyring, user))


def start_code(master_key: MasterKey, project_id: str, start: str) -> bytes:
    """What the codes of a project's keys begin with that begin so, as far as they are coded, where a master key made them."""
    return master_key.part_of_key(project_id, _FORWARD, start)


def end_code(master_key: MasterKey, project_id: str, end: str) -> bytes:
    """As `start_code`, from the end of the keys."""
    return master_key.part_of_key(project_id, _BACKWARD, end[::-1])


def is_coded(part: str) -> bool:
    """Return whether the codes say all of a part of a key; a longer one is compared with the keys themselves."""
    return len(part) <= CODED_CHARACTERS
