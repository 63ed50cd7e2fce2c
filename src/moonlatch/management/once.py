"""Idempotency keys: a call that carries one is carried out once, however often it is sent (draft-ietf-httpapi-idempotency-key-header).

The answer is kept in the change's own transaction where there is one: a crash between commit and answer replays it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.types import Message

from moonlatch import crypto
from moonlatch.clock import DAY_MS
from moonlatch.crypto import IDEMPOTENT_REPLY
from moonlatch.errors import invalid_field, still_running, used_for_another
from moonlatch.management.auth import caller_of
from moonlatch.management.backend import backend_of
from moonlatch.management.body import read_bounded
from moonlatch.management.envelope import api_error_of
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import World
from moonlatch.storage import idempotency
from moonlatch.storage.idempotency import Kept
from moonlatch.storage.interface import Transaction, UniqueViolation

KEY_HEADER = "idempotency-key"
KEPT_MS = DAY_MS
_NOT_KEPT = frozenset({400, 401, 403, 408, 413, 415, 429, 500, 503})
"""Answers that say nothing about the change: the same call may well get another one later."""

KEY_PATTERN = r'^("[ !#-\[\]-~]{1,255}"|[!#-~]{1,255})$'
"""Quoted or bare, 1 to 255 printable ASCII characters."""

_IN_WORK: set[tuple[str, str]] = set()
"""Account and key of the calls that this process answers now."""


@dataclass(slots=True)
class Once:
    """One call that is to be carried out once."""

    world: World
    account_id: str
    key: str
    content_sha256: bytes
    is_kept: bool = False

    async def keep(self, tx: Transaction, status: int, reply: bytes) -> None:
        """Write the answer down, sealed. Raises UniqueViolation where another process was faster."""
        now = self.world.clock()
        keyring = keyring_of(self.world)
        sealed = keyring.seal_secret(IDEMPOTENT_REPLY, self._owner, reply.decode())
        request_hash = keyring.request_hash(self.content_sha256)
        kept = Kept(request_hash=request_hash, status=status, reply=sealed, created_at=now)
        await idempotency.insert(tx, self.account_id, self._hashed_key, kept, expired_before=now - KEPT_MS)
        self.is_kept = True

    async def replay(self) -> Response | None:
        """The answer of before; None when there was none. Raises ApiError for a key of another call."""
        database = self.world.database
        kept = await idempotency.find(database, self.account_id, self._hashed_key)
        if kept is None:  # an earlier version may have kept it, as it was
            kept = await idempotency.find(database, self.account_id, self.key)
        if kept is None or kept.created_at <= self.world.clock() - KEPT_MS:
            return None
        keyring = keyring_of(self.world)
        if not keyring.is_request_hash(self.content_sha256, kept.request_hash):
            raise used_for_another()
        body = keyring.open_secret(IDEMPOTENT_REPLY, self._owner, kept.reply)
        return Response(
            body.encode(), kept.status, headers={"Idempotency-Replayed": "true"}, media_type="application/json"
        )

    @property
    def _hashed_key(self) -> str:
        """What is stored: a caller may have put a user's key or a token into theirs. Stays the same under another master key."""
        return keyring_of(self.world).fingerprint(self.account_id, "idempotency key", self.key).hex()

    @property
    def _owner(self) -> str:
        return f"{self.account_id}\n{self.key}"


async def answered_once(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer a call with an idempotency key, or give the answer that it got before."""
    backend, caller = backend_of(request), caller_of(request)
    key = _key_of(request.headers[KEY_HEADER])
    body = await read_bounded(request, backend.max_body_bytes)
    # What one token or member is answered is nobody else's: it may be a secret, or of a project that others do not reach.
    actor = f"{caller.actor.kind} {caller.actor.id}"
    head = f"{request.method}\n{request.url.path}\n{request.url.query}\n{actor}"
    content_sha256 = crypto.sha256(head.encode() + b"\n" + body)
    once = Once(backend.world, caller.account.id, key, content_sha256)
    mark = (once.account_id, once.key)
    if mark in _IN_WORK:
        raise still_running()
    _IN_WORK.add(mark)
    try:
        replayed = await once.replay()
        if replayed is not None:
            return replayed
        return await _answer(Request(request.scope, _replaying(body, request)), answer, once)
    finally:
        _IN_WORK.discard(mark)


async def _answer(request: Request, answer: Callable[[Request], Awaitable[Response]], once: Once) -> Response:
    request.state.once = once
    try:
        response = await answer(request)
    except UniqueViolation:
        replayed = await once.replay()
        if replayed is None:
            raise
        return replayed
    except RequestValidationError:
        raise
    except Exception as error:
        refusal = api_error_of(request, error)
        if refusal is not None and refusal.status not in _NOT_KEPT:
            await _keep_alone(once, refusal.status, msgspec.json.encode(refusal.body()))
        raise
    if not once.is_kept and "dry_run" not in request.query_params:
        await _keep_alone(once, response.status_code, bytes(response.body))
    return response


async def _keep_alone(once: Once, status: int, reply: bytes) -> None:
    try:
        await once.world.database.run(lambda tx: once.keep(tx, status, reply))
    except UniqueViolation:
        return


def _key_of(header: str) -> str:
    key = header.strip()
    if not re.match(KEY_PATTERN, key):
        raise invalid_field("Idempotency-Key", "must be 1 to 255 printable ASCII characters, quoted or bare")
    return key[1:-1] if key[0] == '"' else key


def _replaying(body: bytes, request: Request) -> Callable[[], Awaitable[Message]]:
    """A `receive` that gives the body that was read already, and then whatever comes."""
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            first: Message = waiting.pop()
            return first
        return await request.receive()

    return receive
