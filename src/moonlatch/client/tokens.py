"""Instance tokens: everything a heartbeat needs to know of its instance, authenticated, so that the server stores nothing for it.

Also the key of its answers, once the copy has agreed on one with the server.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable

import msgspec
from pybase64 import b64encode_as_string

from moonlatch.client.transcript import LoaderKeys, copy_key
from moonlatch.clock import HOUR_MS
from moonlatch.crypto import FixedKeyHmac
from moonlatch.keyring import TOKEN_MS, Keyring
from moonlatch.licensing.verdict import Running

RENEW_MS = HOUR_MS
"""After which a copy is given the next one."""

_MAC_BYTES = 32
_URL_SAFE = b"-_"
_FROM_URL = bytes.maketrans(_URL_SAFE, b"+/")


CLAIMS_VERSION = 2
"""Of the claims that are issued now."""


class Claims(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the server found out when the instance started. Short enough for a token of 1,024 characters.

    `fingerprint` is the keyed hash; `started_at` Unix milliseconds.
    """

    instance: str
    script: str
    loader: str
    build: int
    user_id: str | None
    fingerprint: bytes | None
    supports_sessions: bool
    started_at: int
    roblox_id: int | None = None
    place_id: int | None = None
    job_id: str | None = None
    expires_at: int | None = None
    """When the token ends, in Unix milliseconds; None for a client of protocol 1, which cannot be given another."""
    version: int = 1
    """In the first, which named none, `user_id` is the key itself; `Backend.up_to_date` knows whose it is."""
    copy_key: bytes | None = None
    """Sealed; None when the copy's answers are authenticated under the loader's secret alone."""

    def tells_moments(self) -> bool:
        """Return whether the client's sequence and nonces tell when they were made."""
        return self.expires_at is not None

    def running(self, *, overdue_session: bool = False) -> Running:
        """The copy, as a verdict on it asks for it."""
        return Running(
            self.instance,
            self.script,
            self.user_id,
            self.fingerprint,
            self.supports_sessions,
            self.build,
            self.started_at,
            overdue_session,
        )

    def is_over(self, now_ms: int) -> bool:
        """Return whether the token has ended."""
        return self.expires_at is not None and self.expires_at <= now_ms


class TokenReader:
    """The instances that beat: what their tokens hold and the root of their replies' macs, worked out once.

    A token says the same for ever, so there is nothing to go stale; whether its instance may go on is not asked here.
    """

    def __init__(self, keyring: Keyring, loader_keys: Callable[[str], LoaderKeys], most: int = 16_384) -> None:
        self._keyring = keyring
        self._loader_keys = loader_keys
        self._most = most
        self._known: dict[str, tuple[Claims, FixedKeyHmac]] = {}

    def read(self, token: str, instance: str) -> tuple[Claims, FixedKeyHmac] | None:
        """As the function `read`; with the claims comes what `live_key` gives, as the key of an HMAC."""
        known = self._known.get(token)
        if known is not None:
            return known if known[0].instance == instance else None
        claims = read(self._keyring, token, instance)
        if claims is None:
            return None
        if len(self._known) >= self._most:
            self._known.clear()
        known = self._known[token] = claims, FixedKeyHmac(live_key(self._keyring, self._loader_keys, claims))
        return known


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Claims)


def issue(keyring: Keyring, claims: Claims) -> str:
    """The token that carries these claims."""
    content = _encoder.encode(claims)
    return b64encode_as_string(content + keyring.instance_mac(content, claims.loader), _URL_SAFE)


def live_key(keyring: Keyring, loader_keys: Callable[[str], LoaderKeys], claims: Claims) -> bytes:
    """Root of the macs of a copy's beats and sessions: `A` of the protocol where it is agreed on, else `L`."""
    if claims.copy_key is not None:
        return keyring.key_for(claims.loader).open_copy_key(claims.instance, claims.copy_key)
    return loader_keys(claims.loader).live(claims.instance)


def agree(
    keyring: Keyring, loader_keys: Callable[[str], LoaderKeys], claims: Claims, share: str
) -> tuple[Claims, bytes]:
    """The claims of a copy's next token, and the key they carry, from the share that it sent. Raises ValueError for a share that is none."""
    public = bytes.fromhex(share)
    ours = keyring.key_for(claims.loader)
    key = copy_key(loader_keys(claims.loader).live(claims.instance), public, ours.agree(public))
    return msgspec.structs.replace(claims, copy_key=ours.seal_copy_key(claims.instance, key)), key


def renewed(claims: Claims, now_ms: int) -> Claims | None:
    """The claims of the next token, once it is time for one."""
    if claims.expires_at is None or claims.expires_at - now_ms > TOKEN_MS - RENEW_MS:
        return None
    return msgspec.structs.replace(claims, expires_at=now_ms + TOKEN_MS)


def read(keyring: Keyring, token: str, instance: str) -> Claims | None:
    """The claims of an instance's own token; None when it was not issued here, for another instance, or for a loader whose key was retired."""
    try:
        content = binascii.a2b_base64(token.encode().translate(_FROM_URL), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    content, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    if not keyring.is_instance_mac(content, mac):
        return None
    try:
        claims = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):  # issued by a version whose claims looked different
        return None
    return claims if claims.instance == instance and keyring.of_loader(claims.loader) is not None else None
