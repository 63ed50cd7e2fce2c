"""`POST /client/v1/heartbeat`: whether an instance may go on. The hottest path: one query, no task, nothing stored but its presence."""

from __future__ import annotations

from sys import intern

from moonlatch.client.backend import Backend
from moonlatch.client.replies import REPLAYED, RefusedError
from moonlatch.client.tokens import Claims, TokenReader
from moonlatch.client.transcript import heartbeat_mac
from moonlatch.client.wire import Heartbeat
from moonlatch.licensing.key import seconds_left
from moonlatch.licensing.verdict import INSTANCE_UNKNOWN, SESSIONS_REQUIRED, Granted, Refusal, Running, RunningFacts
from moonlatch.live.interface import Instance


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

        async def go_on(facts: RunningFacts, granted: Granted) -> int | None:
            instance = known or instance_of(claims, facts, now)
            required, limit = bool(facts.require_sessions), granted.max_instances
            if not await self._backend.roster.beat(instance, request.sequence, required, limit=limit):
                raise RefusedError(REPLAYED)  # by another copy of this request, while facts were asked for
            return seconds_left(granted.key_expires, now)

        copy = Running(
            claims.instance,
            claims.script,
            claims.key,
            claims.fingerprint,
            claims.supports_sessions,
            claims.build,
            known is not None and known.session_due is not None and known.session_due <= now,
        )
        left = await self._backend.judge.of_beat(copy, now, go_on)
        if isinstance(left, Refusal):
            # Forgotten, an overdue instance would come back with its next beat as one whose session is not due yet.
            if left is not SESSIONS_REQUIRED:
                await self._backend.roster.release(claims.instance)
            raise RefusedError(left)
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
