"""Builds' payloads, sealed once each and kept in memory while there is room. A build never changes, so what is kept is never stale.

Of a script whose copies are marked each holder has a payload, sealed under a key of its own that opens nobody else's. A build with a lock needs
a run key as well, which names its holder whether copies are marked or not.
"""

from __future__ import annotations

import logging

from moonlatch.client.kept import Kept
from moonlatch.crypto import UnreadableSecretError
from moonlatch.keyring import Keyring
from moonlatch.obfuscator.template import TemplateError
from moonlatch.operations.marking import Copies, copies_of
from moonlatch.operations.sealed_payload import SealedPayload, run_key_for, sealed, sealed_with_run_key
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


class Payloads:
    """The most recently served payloads, up to so many bytes of sealed text in all."""

    def __init__(self, database: Database, keyring: Keyring, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._database = database
        self._keyring = keyring
        self._kept: Kept[tuple[str, int, str, str], SealedPayload] = Kept(
            max_kept_bytes, lambda payload: len(payload.text)
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

    def run_key(self, script: str, payload: SealedPayload, user: str) -> str | None:
        """As `sealed_payload.run_key_for`."""
        if payload.lock is None:
            return None
        known = self._run_keys.get((payload.digest, user))
        if known is not None:
            return known
        made = run_key_for(self._keyring, payload, script, user)
        assert made is not None  # it has a lock
        self._run_keys.put((payload.digest, user), made)
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
        lock = await run_lock(self._database, script, build)
        made = sealed_with_run_key(self._keyring, content, lock, script, user) if user else sealed(content, lock)
        self._kept.put((script, build, holder, user), made)
        return made

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
