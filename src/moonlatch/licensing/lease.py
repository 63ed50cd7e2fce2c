"""Starts without the server: who is given a lease, and how long it lasts. Pure."""

from __future__ import annotations

from typing import NamedTuple

from moonlatch.licensing.verdict import Granted, StartFacts

MAX_OFFLINE_DAYS = 30
MAX_LICENCE_DAYS = 366
_DAY_MS = 86_400_000
GRACE_MS = _DAY_MS
"""For so long after its end a lease still starts its script, and says that it has ended."""


class Term(NamedTuple):
    """How long a lease lasts, in Unix milliseconds; from `grace` on it starts nothing. `key_expires` is None for a key that never does."""

    issued: int
    expires: int
    grace: int
    key_expires: int | None

    def within(self, key_expires: int | None) -> Term:
        """The part of it that the key lives to see."""
        if key_expires is None:
            return self._replace(key_expires=None)
        return Term(self.issued, min(self.expires, key_expires), min(self.grace, key_expires), key_expires)


def term(now_ms: int, days: int, key_expires: int | None) -> Term:
    """So many days from now, and never longer than the key."""
    expires = now_ms + days * _DAY_MS
    return Term(now_ms, expires, expires + GRACE_MS, None).within(key_expires)


def may_be_leased(facts: StartFacts, granted: Granted, fingerprint: bytes | None) -> bool:
    """Return whether a start that was granted may be repeated without the server.

    A lease is for one device, and nobody counts the starts by it.
    """
    if fingerprint is None:
        return False
    return not granted.premium or (not facts.fingerprintless and facts.max_executions is None)
