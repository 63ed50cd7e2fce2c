"""How both sides turn a JSON value into the same bytes, and what they authenticate with it. Follows `docs/reference/client-protocol.md`."""

from __future__ import annotations

from typing import Any

from moonlatch.crypto import FixedKeyHmac, derive, hmac_sha256


def encode(value: Any) -> bytes:
    """The one encoding of a JSON value without fractions. Raises TypeError for anything else."""
    return _encode(value).encode()


def _encode(value: Any) -> str:
    # Exact types, the most frequent first: this runs for every field of every execution.
    kind = type(value)
    if kind is str:
        return _text(value)
    if value is None:
        return "n"
    if kind is bool:
        return "t" if value else "f"
    if kind is int:
        return f"i{value};"
    if kind is dict:
        # Sorted by code point, which is the order of the UTF-8 bytes.
        return f"o{len(value)};" + "".join([_text(name) + _encode(value[name]) for name in sorted(value)])
    if kind is list:
        return f"a{len(value)};" + "".join([_encode(item) for item in value])
    raise TypeError(f"{kind.__name__} has no encoding")


def _text(text: str) -> str:
    return f"s{len(text) if text.isascii() else len(text.encode())}:{text}"


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


class ExecuteKeys:
    """The keys of one execute; `root` is `P` in the protocol."""

    __slots__ = ("_root",)

    def __init__(self, root: bytes) -> None:
        self._root = root

    def reply_mac(self, reply: dict[str, Any]) -> bytes:
        """Authenticates a reply without its `payload` and `mac`; raw 32 bytes."""
        return hmac_sha256(derive(self._root, "reply"), encode(reply))

    def payload_key(self) -> bytes:
        """Seals this reply's payload, and nothing else ever."""
        return derive(self._root, "payload")


def heartbeat_mac(live: FixedKeyHmac, sequence: int, seconds_left: int | None) -> str:
    """Authenticates the reply to one beat, in hex. `encode` of a reply that differs in one number is written out."""
    left = b"n" if seconds_left is None else b"i%d;" % seconds_left
    key = live.digest(b"heartbeat\n%d" % sequence)
    return hmac_sha256(key, b"o2;s12:seconds_left" + left + b"s7:successt").hex()


def session_key(live: bytes, nonce: str) -> bytes:
    """Authenticates one session's frames, `C` in the protocol."""
    return derive(live, "session", nonce)


def frame_mac(session: bytes, number: int, text: str) -> str:
    """Authenticates the server's frame of that number, counted from 0; hex."""
    return hmac_sha256(session, f"{number}\n{text}".encode()).hex()
