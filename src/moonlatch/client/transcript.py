"""How both sides turn a JSON value into the same bytes, and what they authenticate with it. Follows `docs/reference/client-protocol.md`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from moonlatch.crypto import FixedKeyHmac, derive, hmac_sha256, wrap


def encode(value: Any) -> bytes:
    """The one encoding of a JSON value without fractions. Raises TypeError for anything else."""
    return _encode(value).encode()


def _encode(value: Any) -> str:
    # Exact types, the most frequent first: this runs for every field of every execution.
    kind = type(value)
    if kind is str:
        return f"s{len(value) if value.isascii() else len(value.encode())}:{value}"
    if value is None:
        return "n"
    if kind is bool:
        return "t" if value else "f"
    if kind is int:
        return f"i{value};"
    if kind is dict:
        head, fields = _layout(tuple(value))
        return head + "".join([prefix + _encode(value[name]) for name, prefix in fields])
    if kind is list:
        return f"a{len(value)};" + "".join([_encode(item) for item in value])
    raise TypeError(f"{kind.__name__} has no encoding")


@lru_cache(maxsize=64)
def _layout(names: tuple[str, ...]) -> tuple[str, list[tuple[str, str]]]:
    """What an object with these names begins with, and its names in their order, each with its encoding."""
    # Sorted by code point, which is the order of the UTF-8 bytes.
    return f"o{len(names)};", [(name, _encode(name)) for name in sorted(names)]


class LoaderKeys:
    """What is derived from one loader's secret, `S` in the protocol."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = FixedKeyHmac(secret)

    def execute(self, client_nonce: str, server_nonce: str) -> ExecuteKeys:
        """The keys of one execute."""
        return ExecuteKeys(self._secret.digest(f"moonlatch/1 execute\n{client_nonce}\n{server_nonce}".encode()))

    def live(self, instance: str) -> bytes:
        """Root of an instance's heartbeats and sessions, `L` in the protocol."""
        return self._secret.digest(f"moonlatch/1 live\n{instance}".encode())


def copy_key(live: bytes, share: bytes, agreed: bytes) -> bytes:
    """Root of the heartbeats and sessions of a copy that sent a share, `A` in the protocol: what X25519 gave, under `L`."""
    return hmac_sha256(live, b"agreed\n" + share + agreed)


class ExecuteKeys:
    """The keys of one execute, from `P` in the protocol."""

    __slots__ = ("_root",)

    def __init__(self, root: bytes) -> None:
        self._root = root

    def reply_mac(self, transcript: bytes) -> str:
        """Authenticates the `encode` of a reply without its `payload` and `mac`; hex."""
        return hmac_sha256(hmac_sha256(self._root, b"reply"), transcript).hex()

    def wrap(self, key: bytes) -> str:
        """A payload's key for this client; the pad it takes is used for nothing else ever."""
        return wrap(key, hmac_sha256(self._root, b"payload"))


def heartbeat_mac(live: FixedKeyHmac, sequence: int, seconds_left: int | None) -> str:
    """Authenticates the reply to one beat, in hex. `encode` of a reply that differs in one number is written out."""
    left = "n" if seconds_left is None else f"i{seconds_left};"
    key = live.digest(f"heartbeat\n{sequence}".encode())
    return hmac_sha256(key, f"o2;s12:seconds_left{left}s7:successt".encode()).hex()


def renewing_mac(live: FixedKeyHmac, sequence: int, seconds_left: int | None, token: str | None) -> str:
    """As `heartbeat_mac`, for a reply that may carry the next token."""
    left = "n" if seconds_left is None else f"i{seconds_left};"
    further = "n" if token is None else f"s{len(token)}:{token}"
    key = live.digest(f"heartbeat\n{sequence}".encode())
    return hmac_sha256(key, f"o3;s12:seconds_left{left}s7:successts5:token{further}".encode()).hex()


def call_mac(live: FixedKeyHmac, sequence: int, kind: str, name: str, data: bytes) -> str:
    """Authenticates what a copy hands over to a remote, in hex: who has its token alone calls none in its name."""
    return hmac_sha256(live.digest(f"call\n{sequence}\n{kind}\n{name}".encode()), data).hex()


class ValueKeys:
    """The keys of one answer to a copy that asked for a value; `what` is the kind of question."""

    __slots__ = ("_mac", "seal")

    def __init__(self, live: FixedKeyHmac, what: str, sequence: int, name: str, nonce: str) -> None:
        """`nonce` is the server's: who asks twice is answered under other keys."""
        self._mac = live.digest(f"{what}\n{sequence}\n{name}".encode())
        self.seal = live.digest(f"{what} value\n{sequence}\n{name}\n{nonce}".encode())
        """Seals this value, and nothing else ever."""

    def mac(self, transcript: bytes) -> str:
        """Authenticates the `encode` of the reply without its `mac`; hex."""
        return hmac_sha256(self._mac, transcript).hex()


def session_key(live: bytes, nonce: str) -> bytes:
    """Authenticates one session's frames, `C` in the protocol."""
    return derive(live, "session", nonce)


def frame_mac(session: bytes, number: int, text: str) -> str:
    """Authenticates the server's frame of that number, counted from 0; hex."""
    return hmac_sha256(session, f"{number}\n{text}".encode()).hex()
