"""`POST /client/v1/call`: has a remote called for a copy that may go on, and tells it what came of that. It is no beat: nothing is counted."""

from __future__ import annotations

from functools import cache
from typing import Any

from pybase64 import b64encode_as_string

from moonlatch.client.backend import Backend
from moonlatch.client.heartbeat import HeartbeatEndpoint, NotOursError
from moonlatch.client.replies import REPLAYED, UNAVAILABLE, RefusedError, asks_too_often, encode_json, invalid
from moonlatch.client.tokens import Claims
from moonlatch.client.transcript import ValueKeys, call_mac, encode
from moonlatch.client.wire import CallRemote
from moonlatch.crypto import equal, new_id, seal
from moonlatch.licensing.remotes import MAX_DATA_BYTES, RemoteKind
from moonlatch.licensing.verdict import INSTANCE_UNKNOWN, Granted, RunningFacts
from moonlatch.live.interface import KEPT_MOMENTS_MS
from moonlatch.operations.calls import Caller, Functions, NotDone, data_of, post
from moonlatch.operations.context import World
from moonlatch.storage import remotes
from moonlatch.web.address import sites_of
from moonlatch.web.limits import RateLimit, RateLimits

CALLS_PER_SECOND, CALLS_BURST = 2, 60
"""Of one copy, of all of its remotes together."""


class RemoteEndpoint:
    """`world` None, or one that makes no calls of its own: no script reaches anything. `most` functions are asked at once."""

    def __init__(
        self, backend: Backend, world: World | None, heartbeat: HeartbeatEndpoint, limits: RateLimits, most: int
    ) -> None:
        self._backend = backend
        self._world = world
        self._heartbeat = heartbeat
        self._functions = (
            None if world is None or world.outgoing is None else Functions(world, world.outgoing, most=most)
        )
        self._calls = limits("call", per_second=CALLS_PER_SECOND, burst=CALLS_BURST)

        @cache  # there are few numbers that sellers may say
        def limit(kind: str, per_minute: int) -> RateLimit:
            return limits(f"call of {kind} {per_minute}", per_second=per_minute / 60, burst=per_minute)

        self._limit = limit

    async def call(self, request: CallRemote, address: str) -> bytes:
        """Make one call; gives the reply's body. Raises RefusedError, StorageError."""
        now = self._backend.clock()
        claims, live = self._heartbeat.token_of(request, now)
        if not claims.tells_moments():
            raise invalid("remotes are not for clients of protocol 1")
        live, next_token = self._heartbeat.next_token(claims, live, request.share, now)
        data = bytes(request.data)
        if not equal(request.mac, call_mac(live, request.sequence, request.kind, request.name, data)):
            raise NotOursError(INSTANCE_UNKNOWN)
        await self._backend.check_moment(claims.instance, request.sequence, now)
        if not await self._backend.roster.take_moment(claims.instance, request.sequence, now + KEPT_MOMENTS_MS):
            raise RefusedError(REPLAYED)
        # Behind it: what was made too often is not to be made later by who recorded it.
        allowance = await self._calls.take(claims.instance)
        if not allowance.allowed:
            raise asks_too_often("for what is at its server", allowance.retry_after_seconds)
        claims = await self._backend.up_to_date(claims)
        granted, facts = await self._heartbeat.permit(claims, request.sequence, now)
        value, code, message = b"null", None, None
        try:
            value = await self._done(request, data, _caller(claims, facts, granted), facts.project_id, address)
        except NotDone as problem:
            code, message = problem.code, str(problem)
        nonce = new_id()
        keys = ValueKeys(live, "call", request.sequence, request.name, nonce)
        reply: dict[str, Any] = {
            "success": True,
            "nonce": nonce,
            "token": next_token,
            "value": None if code is not None else b64encode_as_string(seal(keys.seal, value)),
            "code": code,
            "message": message,
        }
        return encode_json({**reply, "mac": keys.mac(encode(reply))})

    async def _done(self, request: CallRemote, data: bytes, caller: Caller, project_id: str, address: str) -> bytes:
        """What the remote answered, as JSON text. Raises NotDone, RefusedError, StorageError."""
        if self._world is None or self._functions is None:
            raise RefusedError(UNAVAILABLE)
        if len(data) > MAX_DATA_BYTES:
            raise NotDone("INVALID_DATA", f"the data may have at most {MAX_DATA_BYTES} bytes as JSON")
        found = await remotes.called(self._world.database, project_id, request.name, script_id=caller.script_id)
        if found is None or found[0].kind != request.kind:
            raise NotDone("NOT_FOUND", f"this script has no server {request.kind} of that name")
        remote, endpoint = found
        # Whoever has no key is told from others by the network.
        whose = caller.user_id if caller.premium and caller.user_id else sites_of(address)[0]
        for kind, per_minute, name in (
            ("instance", remote.per_instance, caller.instance),
            ("key", remote.per_key, whose),
        ):
            if not (await self._limit(kind, per_minute).take(f"{remote.id} {name}")).allowed:
                raise NotDone("RATE_LIMITED", "this is called too often")
        value = data_of(data)
        if remote.kind == RemoteKind.FUNCTION:
            return await self._functions.ask(remote, endpoint, caller, value)
        await post(self._world, remote, endpoint, caller, value)
        return b"true"


def _caller(claims: Claims, facts: RunningFacts, granted: Granted) -> Caller:
    return Caller(
        instance=claims.instance,
        script_id=claims.script,
        script_name=facts.script_name,
        user_id=claims.user_id,
        premium=granted.premium,
        key_expires=granted.key_expires,
        build=claims.build,
    )
