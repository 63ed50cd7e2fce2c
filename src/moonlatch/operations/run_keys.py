"""Run keys: what a build that has a lock needs besides its text, and what names whom it was started by.

Nothing is stored of them: a holder's words follow from the installation's key of keyed hashes and the script.
"""

from __future__ import annotations

from moonlatch.crypto import KeyedStream, derive, wrap
from moonlatch.keyring import Keyring
from moonlatch.obfuscator.run_lock import KEY_BYTES, Lock

FIRST_LOADER = 10
"""Version of the first loader that hands a run key over."""


def secret_of(keyring: Keyring, script_id: str) -> bytes:
    """What the words of a script's holders follow from."""
    return keyring.fingerprint(script_id, "run keys", "")


def bits_of(secret: bytes, holder: str) -> bytes:
    """What the words of that holder's run keys are near to."""
    return KeyedStream(secret).draw(holder, KEY_BYTES)


def run_key(keyring: Keyring, lock: Lock, script_id: str, holder: str) -> bytes:
    """What opens the build, and names the holder."""
    return lock.key(bits_of(secret_of(keyring, script_id), holder))


def wrapped(key: bytes, payload_key: bytes) -> str:
    """A run key as it goes with the payload that is sealed under that key, in hex."""
    return wrap(key, derive(payload_key, "moonlatch/2 run key"))
