"""Every use of cryptography on the server. No other module imports a crypto library or a source of randomness."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import string
import zlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

ID_ALPHABET = string.ascii_letters + string.digits
ID_LENGTH = 32
MASTER_KEY_BYTES = 32
KEY_ID_LENGTH = 8
_ONE_TIME_NONCE = bytes(12)
_TIME_CHARACTERS = 11
_NONCE_BYTES = 12
_COPY_KEY_NONCE_BYTES = 16
LURAPH_KEY = "luraph api key"
"""Purpose of a stored secret: an account's key with the Luraph service."""

USER_KEY = "user key"
"""Purpose of a stored secret: a user's licence key, owned by the user's id."""

IDEMPOTENT_REPLY = "idempotent reply"
"""Purpose of a stored secret: the answer to a call with an idempotency key, which may hold a key or token."""

WEBHOOK_URL = "webhook url"
"""Purpose of a stored secret: where an endpoint's deliveries go, owned by the endpoint's id. Who has it can post there."""

WEBHOOK_SECRET = "webhook secret"  # noqa: S105 -- a name
"""Purpose of a stored secret: what an endpoint's deliveries are signed with, owned by the endpoint's id."""

AD_STEP_SECRETS = "ad step secrets"
"""Purpose of a stored secret: what a step of a checkpoint asks its provider with, owned by the step's id."""
DISCORD_TOKEN = "discord bot token"  # noqa: S105 -- a name
"""Purpose of a stored secret: the token of an account's bot with Discord, owned by the account's id."""

SERVER_VARIABLE = "server variable"
"""Purpose of a stored secret: the value of a server variable, owned by the variable's id."""

COPY_TEMPLATE = "copy template"
"""Purpose of a stored secret: what the marked copies of a build are made of, owned by the template's id."""

LINE_MAP = "line map"
"""Purpose of a stored secret: where in its source the lines of a build come from, owned by the map's id."""

IDENTITY_KEY = "identity key"
"""Purpose of a stored secret: what devices and addresses are hashed with, owned by the installation."""

CODED_CHARACTERS = 16
"""Of each end of a key, how many characters are searched for in the database."""

_CODE_BYTES = 4

_UNBIASED_BELOW = 248  # the largest multiple of 62 that fits a byte
_CHARACTERS = bytes(ord(ID_ALPHABET[byte % 62]) for byte in range(256))
_BIASED = bytes(range(_UNBIASED_BELOW, 256))
_IDS_AT_ONCE = 64
_ready_ids: list[str] = []
os.register_at_fork(after_in_child=_ready_ids.clear)  # or both processes would give away the same ones


def new_id() -> str:
    """A fresh id, nonce or user key: 32 characters of `[A-Za-z0-9]`, 190 bits from the system's CSPRNG.

    Every start and session needs one: they are made in dozens, because asking the system takes far longer than the rest.
    """
    while True:
        try:
            return _ready_ids.pop()
        except IndexError:
            characters = os.urandom(_IDS_AT_ONCE * ID_LENGTH).translate(_CHARACTERS, _BIASED).decode()
            starts = range(0, len(characters) - ID_LENGTH + 1, ID_LENGTH)
            _ready_ids.extend(characters[start : start + ID_LENGTH] for start in starts)


_last_ordered = [0, 0]


def new_ordered_id(now_ms: int) -> str:
    """A fresh id that sorts by time: 12 hexadecimal digits of Unix milliseconds, 4 that count within one, 16 random characters.

    Ids that one process makes within a millisecond are in the order in which it made them, up to 65,536 of them.
    """
    last, count = _last_ordered
    count = count + 1 if now_ms == last else 0
    _last_ordered[:] = now_ms, count
    return f"{now_ms:012x}{min(count, 0xFFFF):04x}{new_id()[:16]}"


_TOKEN_PREFIX = "ml_"  # noqa: S105 -- how each of them begins
_TOKEN_CHARACTERS = 43
_CHECK_CHARACTERS = 6
TOKEN_PREFIX_CHARACTERS = len(_TOKEN_PREFIX) + 6
"""How much of a token is shown so that a person can tell it from others; 220 bits stay unknown."""


def new_api_token() -> str:
    """A fresh management token: `ml_`, 256 bits as URL-safe base64, and a checksum by which scanners know it for one."""
    return _with_check(_TOKEN_PREFIX + secrets.token_urlsafe(32))


def is_api_token(text: str) -> bool:
    """Return whether a text can be a token at all: one with a checksum must have the right one; earlier ones had none."""
    without = len(_TOKEN_PREFIX) + _TOKEN_CHARACTERS
    if not text.isascii() or not text.startswith(_TOKEN_PREFIX):
        return False
    return len(text) == without or equal(text, _with_check(text[:without]))


def _with_check(text: str) -> str:
    """The text with the CRC-32 of it in base 62, as secret scanners expect it of tokens."""
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK_CHARACTERS):
        rest, digit = divmod(rest, len(ID_ALPHABET))
        digits = ID_ALPHABET[digit] + digits
    return text + digits


def token_hash(token: str) -> bytes:
    """SHA-256 of an API token; a 256-bit random token needs no salt and no stretching."""
    return sha256(token.encode())


_SHA256_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_new_sha256 = hashlib.sha256().copy


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104), 32 bytes, under a key of at most 64.

    The standard library's `hmac.digest` has OpenSSL look for the algorithm at every call, which takes twice the time of
    the hashing; a heartbeat needs four of these.
    """
    padded = key.ljust(_SHA256_BLOCK_BYTES, b"\0")
    if len(padded) > _SHA256_BLOCK_BYTES:
        raise ValueError(f"the key may have at most {_SHA256_BLOCK_BYTES} bytes")
    inner = _new_sha256()
    inner.update(padded.translate(_INNER) + message)
    outer = _new_sha256()
    outer.update(padded.translate(_OUTER) + inner.digest())
    return outer.digest()


class FixedKeyHmac:
    """HMAC-SHA-256 under one key that is used again and again: the key is hashed once, which saves most of the time."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > _SHA256_BLOCK_BYTES:
            raise ValueError(f"the key may have at most {_SHA256_BLOCK_BYTES} bytes")
        padded = key.ljust(_SHA256_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def digest(self, message: bytes) -> bytes:
        """The 32 bytes that `hmac_sha256` gives for the same key."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


_STREAM_KEY_BYTES = 32


class KeyedStream:
    """Bytes that only who has the key can tell from random ones: SHAKE-256 (FIPS 202) of the key and a name."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        if len(key) != _STREAM_KEY_BYTES:  # of one length, so that no key and name are another key and name
            raise ValueError(f"the key must have {_STREAM_KEY_BYTES} bytes")
        self._begun = hashlib.shake_256(key)

    def draw(self, name: str, length: int) -> bytes:
        """The first `length` bytes for that name."""
        stream = self._begun.copy()
        stream.update(name.encode())
        return stream.digest(length)


def derive(key: bytes, label: str, *parts: str) -> bytes:
    """A 32-byte key for one purpose, as `docs/reference/client-protocol.md` defines it."""
    return hmac_sha256(key, "\n".join((label, *parts)).encode())


_WEBHOOK_PREFIX = "whsec_"


def new_webhook_secret() -> str:
    """A fresh secret for signing deliveries (Standard Webhooks 1.0): `whsec_` and 32 bytes in base64."""
    return _WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def webhook_signature(secret: str, message: bytes) -> str:
    """The signature of `id.timestamp.body` under a secret of `new_webhook_secret` (Standard Webhooks 1.0, symmetric)."""
    key = base64.b64decode(secret.removeprefix(_WEBHOOK_PREFIX))
    return "v1," + base64.b64encode(hmac_sha256(key, message)).decode()


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether this is the holder's Ed25519 signature (RFC 8032) of the message; a key or signature of another form signs nothing."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def random_fraction() -> float:
    """A random number from 0 up to 1, for jitter."""
    return secrets.randbits(53) / 2**53


def equal(one: bytes | str, other: bytes | str) -> bool:
    """Compare two secrets of the same type in constant time."""
    return hmac.compare_digest(
        one if isinstance(one, bytes) else one.encode(), other if isinstance(other, bytes) else other.encode()
    )


def new_key() -> bytes:
    """A fresh 32-byte key."""
    return secrets.token_bytes(32)


_PAYLOAD_LABEL = b"moonlatch/1 payload"


def seal(key: bytes, plaintext: bytes) -> bytes:
    """ChaCha20-Poly1305 (RFC 8439) under a key that seals this one payload: ciphertext, then the 16-byte tag."""
    return ChaCha20Poly1305(key).encrypt(_ONE_TIME_NONCE, plaintext, _PAYLOAD_LABEL)


def sha256(content: bytes) -> bytes:
    """SHA-256 (FIPS 180-4), 32 bytes."""
    return hashlib.sha256(content).digest()


def sealed_digest(sealed: bytes) -> str:
    """BLAKE2s-256 (RFC 7693) of what `seal` gave, in hex: whoever may start a script has its key, and could seal another text."""
    return hashlib.blake2s(sealed).hexdigest()


def xor(one: bytes, other: bytes) -> bytes:
    """Exclusive or of 32 bytes with 32."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(32, "big")


def wrap(key: bytes, pad: bytes) -> str:
    """A 32-byte key under a pad of 32 bytes that is used this once, in hex."""
    return xor(key, pad).hex()


def new_seed() -> int:
    """A fresh 63-bit seed for the protector."""
    return secrets.randbits(63)


def content_hash(content: bytes) -> str:
    """SHA-256 of some content in hex, for entity tags."""
    return sha256(content).hex()


class UnorderedHash:
    """One number for a collection of items, whatever their order: the sum of their SHA-256."""

    def __init__(self) -> None:
        self.items = 0
        self._sum = 0

    def add(self, item: bytes) -> None:
        self.items += 1
        self._sum += int.from_bytes(hashlib.sha256(item).digest(), "big")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnorderedHash) and (self.items, self._sum) == (other.items, other._sum)

    __hash__ = None  # type: ignore[assignment]  # it changes with every item

    def hexdigest(self) -> str:
        return f"{self._sum % 2**256:064x}"


def stream_hash(parts: Iterable[bytes]) -> str:
    """SHA-256 of content that comes in parts, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


SEALED = b"ring1"
"""What every stored secret begins with; an earlier version left it out."""

SEAL_MARK_BYTES = len(SEALED) + KEY_ID_LENGTH // 2


def seal_mark(key_id: str) -> bytes:
    """What every stored secret begins with that the master key of this id sealed."""
    return SEALED + bytes.fromhex(key_id)


class UnreadableSecretError(Exception):
    """A stored secret was sealed under a master key that is not here, or for another owner, or has been changed."""


def _secret_context(purpose: str, owner_id: str) -> bytes:
    return f"moonlatch/1 stored secret\n{purpose}\n{owner_id}".encode()


class MasterKey:
    """A master key of an installation, and the keys for single purposes derived from it.

    Losing it stops every running script and unbinds every device; leaking it lets its holder forge heartbeats.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != MASTER_KEY_BYTES:
            raise ValueError(f"the master key must be {MASTER_KEY_BYTES} bytes, got {len(master)}")
        self._master = FixedKeyHmac(master)
        self._instances = FixedKeyHmac(self._master.digest(b"moonlatch/1 instance token"))
        self._instance_ids = FixedKeyHmac(self._master.digest(b"moonlatch/1 instance id"))
        self._signing = Ed25519PrivateKey.from_private_bytes(self._master.digest(b"moonlatch/1 signing key"))
        self._exchange = X25519PrivateKey.from_private_bytes(self._master.digest(b"moonlatch/2 exchange key"))
        self._copy_keys = FixedKeyHmac(self._master.digest(b"moonlatch/2 copy key"))
        self._user_keys = FixedKeyHmac(self._master.digest(b"moonlatch/1 user key"))
        self._parts_of_keys = FixedKeyHmac(self._master.digest(b"moonlatch/1 part of user key"))
        self._requests = FixedKeyHmac(self._master.digest(b"moonlatch/1 idempotent request"))
        self._stored_secrets = ChaCha20Poly1305(self._master.digest(b"moonlatch/1 stored secret"))
        self.id = self.check_value().hex()[:KEY_ID_LENGTH]
        """Names this key among others: 8 hexadecimal digits, which tell nothing about it."""
        self.mark = seal_mark(self.id)

    @property
    def public_key(self) -> bytes:
        """What clients check signatures with: an Ed25519 key (RFC 8032), 32 bytes."""
        return self._signing.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The installation's Ed25519 signature, 64 bytes. The message begins with what it is for."""
        return self._signing.sign(message)

    @property
    def exchange_key(self) -> bytes:
        """What clients agree on keys with: an X25519 public value (RFC 7748), 32 bytes."""
        return self._exchange.public_key().public_bytes_raw()

    def agree(self, share: bytes) -> bytes:
        """What X25519 gives with a client's public value of 32 bytes. Raises ValueError for one that gives the same with every key."""
        return self._exchange.exchange(X25519PublicKey.from_public_bytes(share))

    def seal_copy_key(self, instance: str, key: bytes) -> bytes:
        """A copy's key of 32 bytes as its token carries it, which authenticates it: a nonce, then the key under a pad of its own."""
        nonce = secrets.token_bytes(_COPY_KEY_NONCE_BYTES)
        return nonce + xor(key, self._copy_keys.digest(nonce + instance.encode()))

    def open_copy_key(self, instance: str, sealed: bytes) -> bytes:
        """The key that was sealed for this instance."""
        nonce, covered = sealed[:_COPY_KEY_NONCE_BYTES], sealed[_COPY_KEY_NONCE_BYTES:]
        return xor(covered, self._copy_keys.digest(nonce + instance.encode()))

    def check_value(self) -> bytes:
        """Tells this master key from others, and nothing about it. Its beginning is the key's id."""
        return self._master.digest(b"moonlatch/1 key check")

    def loader_secret(self, loader_id: str) -> bytes:
        """The secret `S` of one loader; derived, so that none is stored."""
        return self._master.digest(f"moonlatch/1 loader secret\n{loader_id}".encode())

    def instance_id(self, loader_id: str, nonce: str) -> str:
        """The id of the instance that this loader starts with this nonce: 32 characters, the last 84 bits known to the server alone.

        The nonce's first 11 characters come first. Clients put the time there, so that ids that are made together are
        stored together, as those of UUID version 7 (RFC 9562, section 5.7); an index of ids in no order has a page of it
        written anew for every execution.
        """
        digits = self._instance_ids.digest(f"{loader_id}\n{nonce}".encode()).hex()
        return nonce[:_TIME_CHARACTERS] + digits[: ID_LENGTH - _TIME_CHARACTERS]

    def instance_mac(self, claims: bytes) -> bytes:
        """Authenticates the claims of an instance token."""
        return self._instances.digest(claims)

    def seal_secret(self, purpose: str, owner_id: str, secret: str) -> bytes:
        """A secret to be stored: the key's mark, a random nonce, then ChaCha20-Poly1305 (RFC 8439).

        Bound to purpose and owner, so that nobody gets to use it by copying the row. One key seals for the whole
        installation: random nonces of 96 bits are safe for 2^32 secrets, which is more users than there will ever be.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return (
            self.mark + nonce + self._stored_secrets.encrypt(nonce, secret.encode(), _secret_context(purpose, owner_id))
        )

    def open_secret(self, purpose: str, owner_id: str, sealed: bytes) -> str:
        """The secret that was sealed; what an earlier version sealed has no mark. Raises UnreadableSecretError."""
        sealed = sealed.removeprefix(self.mark)
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._stored_secrets.decrypt(nonce, ciphertext, _secret_context(purpose, owner_id)).decode()
        except (InvalidTag, ValueError):
            raise UnreadableSecretError from None

    def identity_key(self) -> bytes:
        """What an installation's first key has it hash devices and addresses with, 32 bytes."""
        return self._master.digest(b"moonlatch/1 fingerprint")

    def user_key_hash(self, key: str) -> bytes:
        """By which a user is found whose key somebody gives: a keyed hash, 32 bytes, the same in every project."""
        return self._user_keys.digest(key.encode())

    def part_of_key(self, project_id: str, side: str, part: str) -> bytes:
        """What finds the keys of a project that begin (`side` says where from) with a part: one code for each character.

        The code of a character follows from all characters up to it, so that two keys have as many codes in common as
        characters from that side, and nobody learns more of them without the master key. The first
        `CODED_CHARACTERS` have one.
        """
        begin = f"{project_id}\n{side}\n"
        ends = range(1, min(len(part), CODED_CHARACTERS) + 1)
        return b"".join(self._parts_of_keys.digest((begin + part[:end]).encode())[:_CODE_BYTES] for end in ends)

    def request_hash(self, content_sha256: bytes) -> bytes:
        """Tells a request from others that have the same idempotency key. Keyed: requests name keys, and short ones could be guessed."""
        return self._requests.digest(content_sha256)
