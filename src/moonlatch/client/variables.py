"""`POST /client/v1/variable`: tells a copy that may go on a server variable, sealed for this copy. It is no beat: nothing is counted."""

from __future__ import annotations

from typing import Any

from pybase64 import b64encode_as_string

from moonlatch.client.backend import Backend
from moonlatch.client.heartbeat import HeartbeatEndpoint
from moonlatch.client.moments import RUNNING
from moonlatch.client.replies import asks_too_often, encode_json, invalid
from moonlatch.client.tokens import Claims
from moonlatch.client.transcript import ValueKeys, encode
from moonlatch.client.wire import ReadVariable
from moonlatch.crypto import SERVER_VARIABLE, new_id, seal
from moonlatch.licensing.server_variables import MISSING_CACHE_SECONDS, foremost
from moonlatch.storage import variables
from moonlatch.storage.interface import Database
from moonlatch.storage.variables import Variable
from moonlatch.web.limits import RateLimits

READS_PER_SECOND, READS_BURST = 1, 60
"""Of one copy. A script that keeps to what it was told needs one for each name every few minutes."""


class VariableEndpoint:
    def __init__(self, backend: Backend, database: Database, heartbeat: HeartbeatEndpoint, limits: RateLimits) -> None:
        self._backend = backend
        self._database = database
        self._heartbeat = heartbeat
        self._reads = limits("variable", per_second=READS_PER_SECOND, burst=READS_BURST)

    async def read(self, request: ReadVariable) -> bytes:
        """Answer one question; gives the reply's body. Raises RefusedError, StorageError."""
        now = self._backend.clock()
        claims, live = self._heartbeat.token_of(request, now)
        if not claims.tells_moments():
            raise invalid("server variables are not for clients of protocol 1")
        RUNNING.check(request.sequence, now, self._backend.roster.since)
        allowance = await self._reads.take(claims.instance)
        if not allowance.allowed:
            raise asks_too_often("for server variables", allowance.retry_after_seconds)
        claims = await self._backend.up_to_date(claims)
        found = await self._find(claims, request, now)
        live, next_token = self._heartbeat.next_token(claims, live, request.share, now)
        nonce = new_id()
        keys = ValueKeys(live, "variable", request.sequence, request.name, nonce)
        reply: dict[str, Any] = {
            "success": True,
            "nonce": nonce,
            "token": next_token,
            "value": None if found is None else b64encode_as_string(seal(keys.seal, self._opened(found))),
            "cache_seconds": MISSING_CACHE_SECONDS if found is None else found.cache_seconds,
        }
        return encode_json({**reply, "mac": keys.mac(encode(reply))})

    async def _find(self, claims: Claims, request: ReadVariable, now: int) -> Variable | None:
        """The variable that holds for the copy; of somebody without a valid key none is the key's. Raises RefusedError, StorageError."""
        granted, facts = await self._heartbeat.permit(claims, request.sequence, now)
        user_id = claims.user_id if granted.premium else None
        return foremost(
            await variables.named(
                self._database, facts.project_id, request.name, script_id=claims.script, user_id=user_id
            )
        )

    def _opened(self, variable: Variable) -> bytes:
        return self._backend.keyring.open_secret(SERVER_VARIABLE, variable.id, variable.value).encode()
