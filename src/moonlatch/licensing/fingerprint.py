"""Whether a key belongs to a device. Pure: keyed hashes come in from outside."""

from __future__ import annotations


def is_bound(bound_to: bytes | None, fingerprintless: bool) -> bool:
    """Return whether the key runs on one device only."""
    return bound_to is not None and not fingerprintless


def binds_on_use(bound_to: bytes | None, fingerprintless: bool, given: bytes | None) -> bool:
    """Return whether using the key from this device makes the device its own."""
    return bound_to is None and not fingerprintless and given is not None
