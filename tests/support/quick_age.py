"""Files of age's format for a passphrase that takes no time to try: the library spends seconds on each, as it should."""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64encode

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 64 * 1024
LOG_WORK = 4
"""Of scrypt: sixteen rounds."""


def encrypted(content: bytes, passphrase: str) -> bytes:
    """As age-encryption.org/v1 says, with one recipient stanza of the kind `scrypt`."""
    salt, file_key, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    label = b"age-encryption.org/v1/scrypt"
    wrapping = hashlib.scrypt(passphrase.encode(), salt=label + salt, n=2**LOG_WORK, r=8, p=1, dklen=32)
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    stanza = b"-> scrypt %b %d\n%b\n" % (_base64(salt), LOG_WORK, _base64(wrapped))
    header = b"age-encryption.org/v1\n" + stanza + b"---"
    code = hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")
    stream = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    starts = range(0, max(1, len(content)), CHUNK)
    sealed = [
        stream.encrypt(number.to_bytes(11, "big") + bytes([start == starts[-1]]), content[start : start + CHUNK], None)
        for number, start in enumerate(starts)
    ]
    return header + b" " + _base64(code) + b"\n" + nonce + b"".join(sealed)


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, purpose).derive(key)


def _base64(value: bytes) -> bytes:
    return b64encode(value).rstrip(b"=")
