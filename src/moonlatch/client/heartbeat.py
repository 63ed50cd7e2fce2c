"""`POST /client/v1/heartbeat`: whether an instance may go on. The hottest path: one query, no task, nothing stored but its presence."""

from __future__ import annotations

from sys import intern

from moonlatch.client.backend import Backend
from moonlatch.client.replies import REPLAYED, RefusedError
from moonlatch.client.tokens import Claims, TokenReader
from moonlatch.client.transcript import heartbeat_mac
from moonlatch.client.wire import Heartbeat
from moonlatch.licensing.key import seconds_left
from moonlatch.licensing.verdict import (
    INSTANCE_UNKNOWN,
    SESSIONS_REQUIRED,
    Refusal,
    Running,
    RunningFacts,
    decide_running,
)
from moonlatch.live.interface import Instance
from moonlatch.storage.licences import RunningQuestion


class HeartbeatEndpoint:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._tokens = TokenReader(backend.keyring, backend.loader_keys)

    async def beat(self, request: Heartbeat) -> bytes:
        """Take one beat; gives the reply's body. Raises RefusedError, StorageError."""
        token = self._tokens.read(request.token, request.instance)
        if token is None:
            raise RefusedError(INSTANCE_UNKNOWN)
        claims, live = token
        now = self._backend.clock()
        known = await self._backend.roster.find(claims.instance)
        if known is not None and request.sequence <= known.sequence:
            raise RefusedError(REPLAYED)
        facts = await self._backend.licences.for_heartbeat(
            RunningQuestion(claims.script, claims.instance, claims.key, claims.fingerprint, now)
        )
        running = Running(
            claims.key,
            claims.fingerprint,
            claims.supports_sessions,
            claims.build,
            0 if known is not None or claims.key is None else await self._backend.roster.instances_of(claims.key),
            known is not None and known.session_due is not None and known.session_due <= now,
        )
        verdict = decide_running(facts, running, self._backend.policy, now)
        if isinstance(verdict, Refusal):
            # Forgotten, an overdue instance would come back with its next beat as one whose session is not due yet.
            if verdict is not SESSIONS_REQUIRED:
                await self._backend.roster.release(claims.instance)
            raise RefusedError(verdict)
        assert facts is not None  # no script, no grant
        instance = known or instance_of(claims, facts, now)
        if not await self._backend.roster.beat(instance, request.sequence, bool(facts.require_sessions)):
            raise RefusedError(REPLAYED)  # by another copy of this request, while facts were asked for
        left = seconds_left(verdict.key_expires, now)
        mac = heartbeat_mac(live, request.sequence, left)
        return f'{{"success":true,"seconds_left":{"null" if left is None else left},"mac":"{mac}"}}'.encode()


def instance_of(claims: Claims, facts: RunningFacts, now: int) -> Instance:
    """An instance that presence does not know (any more), as its token tells it."""
    return Instance(
        id=claims.instance,
        script_id=intern(claims.script),
        project_id=intern(facts.project_id),
        user_key=claims.key,
        build=claims.build,
        started_at=claims.started_at,
        alive_until=now,
        fingerprint=claims.fingerprint,
    )
