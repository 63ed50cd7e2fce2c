"""Builds' payloads, sealed once each and kept in memory while there is room. A build never changes, so what is kept is never stale."""

from __future__ import annotations

from typing import NamedTuple

from pybase64 import b64encode

from moonlatch.client.kept import Kept
from moonlatch.crypto import new_key, seal, sealed_digest
from moonlatch.storage.interface import Database
from moonlatch.storage.licences import payload

MAX_KEPT_BYTES = 64 * 1024 * 1024


class SealedPayload(NamedTuple):
    """A payload under a key of its own, which every start wraps for its client alone."""

    key: bytes
    text: bytes
    """Ciphertext and tag in base64."""
    digest: str
    """Of ciphertext and tag, in hex."""


class Payloads:
    """The most recently served payloads, up to so many bytes of sealed text in all."""

    def __init__(self, database: Database, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._database = database
        self._kept: Kept[tuple[str, int], SealedPayload] = Kept(max_kept_bytes, lambda sealed: len(sealed.text))

    def kept(self, script: str, build: int) -> SealedPayload | None:
        """The payload of a build if it is kept."""
        return self._kept.get((script, build))

    async def of(self, script: str, build: int) -> SealedPayload | None:
        """The payload of a build, None when its script is gone."""
        kept = self.kept(script, build)
        if kept is not None:
            return kept
        content = await payload(self._database, script, build)
        if content is None:
            return None
        key = new_key()
        ciphertext = seal(key, content)
        sealed = SealedPayload(key, b64encode(ciphertext), sealed_digest(ciphertext))
        self._kept.put((script, build), sealed)
        return sealed
