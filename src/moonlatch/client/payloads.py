"""Builds' payloads, sealed once each and kept in memory while there is room. A build never changes, so what is kept is never stale.

Of a script whose copies are marked each holder has a payload, sealed under a key of its own that opens nobody else's. A build with a lock needs
a run key as well, which names its holder whether copies are marked or not.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from pybase64 import b64encode

from moonlatch.client.kept import Kept
from moonlatch.crypto import UnreadableSecretError, new_key, seal, sealed_digest
from moonlatch.keyring import Keyring
from moonlatch.obfuscator.run_lock import Lock
from moonlatch.obfuscator.template import TemplateError
from moonlatch.obfuscator.transform.run_words import with_run_key
from moonlatch.operations.marking import Copies, copies_of
from moonlatch.operations.run_keys import run_key, wrapped
from moonlatch.storage.interface import Database
from moonlatch.storage.licences import payload, run_lock

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Of payloads and marked copies, and as much of what those are made of."""
EVERYBODY = ""
"""The holder of a payload that is not marked."""
_NO_COPIES_BYTES = 100
_MAX_RUN_KEYS_BYTES = 16 * 1024 * 1024
_RUN_KEY_BYTES = 500
"""About what one that is kept takes."""

logger = logging.getLogger(__name__)


class SealedPayload(NamedTuple):
    """A payload under a key of its own, which every start wraps for its client alone."""

    key: bytes
    text: bytes
    """Ciphertext and tag in base64."""
    digest: str
    """Of ciphertext and tag, in hex."""
    lock: Lock | None = None
    """Of a text that is of no use without a run key."""


class Payloads:
    """The most recently served payloads, up to so many bytes of sealed text in all."""

    def __init__(self, database: Database, keyring: Keyring, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._database = database
        self._keyring = keyring
        self._kept: Kept[tuple[str, int, str, str], SealedPayload] = Kept(
            max_kept_bytes, lambda sealed: len(sealed.text)
        )
        self._run_keys: Kept[tuple[str, str], str] = Kept(_MAX_RUN_KEYS_BYTES, lambda _: _RUN_KEY_BYTES)
        self._copies: Kept[tuple[str, int], Copies | None] = Kept(max_kept_bytes, _size_of)

    def kept(self, script: str, build: int, holder: str = EVERYBODY) -> SealedPayload | None:
        """The payload of a build, or that holder's copy, if it is kept."""
        return self._kept.get((script, build, holder, ""))

    async def of(self, script: str, build: int, holder: str = EVERYBODY) -> SealedPayload | None:
        """The payload of a build, None when its script is gone; that holder's own copy where the build has marks."""
        return await self._of(script, build, holder, "")

    async def with_run_key(self, script: str, build: int, holder: str, user: str) -> SealedPayload | None:
        """As `of`, with the run key of `user` in it, for a loader that hands none over."""
        return await self._of(script, build, holder, user)

    def run_key(self, script: str, sealed: SealedPayload, user: str) -> str | None:
        """What `user` needs besides that payload of the script, wrapped for who can open it; None where that is enough."""
        if sealed.lock is None:
            return None
        made = self._run_keys.get((sealed.digest, user))
        if made is None:
            made = wrapped(run_key(self._keyring, sealed.lock, script, user), sealed.key)
            self._run_keys.put((sealed.digest, user), made)
        return made

    async def _of(self, script: str, build: int, holder: str, user: str) -> SealedPayload | None:
        kept = self._kept.get((script, build, holder, user))
        if kept is not None:
            return kept
        content = None if holder == EVERYBODY else await self._copy(script, build, holder)
        if content is None:
            if holder != EVERYBODY:
                return await self._of(script, build, EVERYBODY, user)
            content = await payload(self._database, script, build)
            if content is None:
                return None
        kept_lock = await run_lock(self._database, script, build)
        lock = None if kept_lock is None else Lock.from_bytes(kept_lock)
        if lock is not None and user:
            content, lock = with_run_key(content, run_key(self._keyring, lock, script, user)), None
        key = new_key()
        ciphertext = seal(key, content)
        sealed = SealedPayload(key, b64encode(ciphertext), sealed_digest(ciphertext), lock)
        self._kept.put((script, build, holder, user), sealed)
        return sealed

    async def _copy(self, script: str, build: int, holder: str) -> bytes | None:
        where = script, build
        copies = self._copies.get(where)
        if copies is None and where not in self._copies:
            try:
                copies = await copies_of(self._database, self._keyring, script, build)
            except (UnreadableSecretError, TemplateError) as error:
                # Who bought it shall be able to use it.
                logger.warning("build %d of script %s is served without marks: %s", build, script, type(error).__name__)
            self._copies.put(where, copies)
        return None if copies is None else copies.text(holder)


def _size_of(copies: Copies | None) -> int:
    return _NO_COPIES_BYTES if copies is None else copies.size
