"""The network that somebody is in, as what is locked to one is compared with it. Keeps no address."""

from __future__ import annotations

from moonlatch.keyring import Keyring
from moonlatch.web.address import network_of

_UNKNOWN = b"?"
_FAMILY_BYTES = 1


def lock_of(keyring: Keyring, project_id: str, address: str) -> bytes:
    """The keyed hash of an address's network, behind one byte for its family; that of an unknown address is like every other."""
    network = network_of(address)
    if network is None:
        return _UNKNOWN
    return (b"6" if ":" in network else b"4") + keyring.fingerprint(project_id, "network", network)


def is_elsewhere(lock: bytes, here: bytes) -> bool:
    """Return whether two networks are known to differ.

    Those of two families cannot be compared: browsers and programs of one device take different ones.
    """
    return lock[:_FAMILY_BYTES] == here[:_FAMILY_BYTES] and lock != here
