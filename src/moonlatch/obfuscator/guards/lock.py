"""Enciphers a text under a key that follows from another one, which stands nowhere: what only its input opens.

The key is PBKDF2 (RFC 8018) with HMAC-BLAKE2s (RFC 2104, RFC 7693) of the other text's BLAKE2s; block j of the stream is the BLAKE2s of the key and j, block
0 of which tells whether an input is the right one. This is cryptography, unlike the other ciphers of a build.
"""

from __future__ import annotations

import hashlib
import random

from moonlatch.obfuscator.transform.keystream import FIRST, SYMBOLS

ROUNDS = 1000
"""Of PBKDF2, each two blocks of BLAKE2s: some hundredths of a second where Lua has bit operations."""
SALT_BYTES = 16
BLOCK_BYTES = 32
WORD_SYMBOLS = 5
"""Printable characters that hold 32 bits."""
_PADDED_BYTES = 64


def locked(text: bytes, opener: bytes, generator: random.Random) -> bytes:
    """Salt, tag and enciphered text as printable characters, for the Lua of `source` to open.

    Blanks are put behind the text, so that its length is told less exactly.
    """
    # HMAC takes a key with zeros behind it for the same one; of hashes there is one length.
    password = hashlib.blake2s(opener).digest()
    # Of the text, too, or a build of another text with the same seed would lie under the same stream; and as slow to find out.
    salt = hashlib.blake2s(text, key=_key(password, generator.randbytes(SALT_BYTES)), digest_size=SALT_BYTES).digest()
    key = _key(password, salt)
    plain = text.ljust(-(-len(text) // _PADDED_BYTES) * _PADDED_BYTES)
    stream = b"".join(_block(key, number) for number in range(1, len(plain) // BLOCK_BYTES + 1))
    cipher = int.from_bytes(plain) ^ int.from_bytes(stream)
    return _printable(salt + _block(key, 0) + cipher.to_bytes(len(plain)))


def _key(password: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("blake2s", password, salt, ROUNDS, BLOCK_BYTES)


def _block(key: bytes, number: int) -> bytes:
    return hashlib.blake2s(key + number.to_bytes(4, "little")).digest()


def _printable(data: bytes) -> bytes:
    out = bytearray()
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4], "little")
        symbols = []
        for _ in range(WORD_SYMBOLS):
            word, symbol = divmod(word, SYMBOLS)
            symbols.append(FIRST + symbol)
        out += bytes(reversed(symbols))
    return bytes(out)
