"""What members prove with who they are: passwords, one-time codes, recovery codes and random secrets. Beside `crypto` the one user of cryptography."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from moonlatch.crypto import derive, equal

_MEMORY_KIB, _ITERATIONS, _LANES = 19_456, 2, 1
"""OWASP's first choice for Argon2id (RFC 9106): 19 MiB and 25 ms a hash, which one core can be asked for now and then."""

_SALT_BYTES, _HASH_BYTES = 16, 32
_PARAMETERS = f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p={_LANES}$"
_TOTP_SECRET_BYTES = 20  # RFC 4226 section 4, requirement R6
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else
_RECOVERY_GROUPS, _RECOVERY_GROUP = 4, 4

TOTP_SECRET = "totp secret"  # noqa: S105 -- a name
"""Purpose of a stored secret: what a member's one-time codes are made from."""


def password_hash(password: str) -> str:
    """Argon2id of a password with a fresh salt, with its parameters (PHC string). Takes long, and lets other threads run."""
    return _argon2id().derive_phc_encoded(password.encode())


def password_matches(password: str, encoded: str) -> bool:
    """Return whether a hash is of this password. Takes as long as making it."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), encoded)
    except InvalidKey:
        return False
    return True


def needs_new_hash(encoded: str) -> bool:
    """Return whether a hash was made with other parameters than those of now."""
    return not encoded.startswith(_PARAMETERS)


def _argon2id() -> Argon2id:
    return Argon2id(
        salt=secrets.token_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )


def new_secret() -> str:
    """A fresh secret for a session or a link: 256 bits as URL-safe base64, 43 characters."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    """SHA-256 of such a secret; 256 random bits need no salt and no stretching."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_token(session_secret: str) -> str:
    """What a page sends with each change beside the cookie, to show that it may read this server's replies; 64 hex digits."""
    return derive(session_secret.encode(), "moonlatch/1 csrf").hex()


def new_totp_secret() -> str:
    """A fresh secret for one-time codes, in base 32 as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(_TOTP_SECRET_BYTES)).decode()


def totp_url(secret: str, *, issuer: str, name: str) -> str:
    """What a page shows as a QR code (the key URI format of authenticator apps)."""
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(f'{issuer}:{name}', safe='')}?{query}"


def totp_code(secret: str, step: int) -> str:
    """The six digits of a time step (RFC 6238 with HMAC-SHA-1, which is what authenticator apps know)."""
    digest = hmac_sha1(base64.b32decode(secret), step.to_bytes(8, "big"))
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def totp_step(secret: str, code: str, steps: Iterable[int]) -> int | None:
    """The time step whose code this is; None for a wrong one. Looks at all of them, so that its time tells nothing."""
    found = None
    for step in steps:
        if equal(totp_code(secret, step), code):
            found = step
    return found


def hmac_sha1(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-1 (RFC 2104), which RFC 6238 asks for; collisions of SHA-1 do not matter in it."""
    return hmac.digest(key, message, "sha1")


def new_recovery_codes(count: int) -> list[str]:
    """Fresh codes like `abcd-efgh-jkmn-pqrs`: 79 bits each."""
    return [
        "-".join(
            "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_GROUP)) for _ in range(_RECOVERY_GROUPS)
        )
        for _ in range(count)
    ]


def recovery_code_hash(member_id: str, code: str) -> bytes:
    """SHA-256 of a recovery code and whose it is, however it was typed."""
    plain = "".join(character for character in code.lower() if character.isalnum())
    return hashlib.sha256(f"{member_id}\n{plain}".encode()).digest()
