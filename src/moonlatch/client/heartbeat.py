"""`POST /client/v1/heartbeat`: whether an instance may go on. The hottest path: one query, no task, nothing stored but its presence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from sys import intern
from typing import TypeVar

from moonlatch.client.backend import Backend
from moonlatch.client.moments import PAST_MS
from moonlatch.client.replies import REPLAYED, RefusedError, invalid
from moonlatch.client.tokens import CLAIMS_VERSION, Claims, TokenReader, agree, issue, renewed
from moonlatch.client.transcript import heartbeat_mac, renewing_mac
from moonlatch.client.wire import Heartbeat
from moonlatch.crypto import FixedKeyHmac
from moonlatch.licensing.key import seconds_left
from moonlatch.licensing.verdict import INSTANCE_UNKNOWN, SESSIONS_REQUIRED, Granted, Refusal, RunningFacts
from moonlatch.live.interface import Instance

T = TypeVar("T")


class NotOursError(RefusedError):
    """The token is none that this server gave to the instance."""


class HeartbeatEndpoint:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._tokens = TokenReader(backend.keyring, backend.loader_keys)

    async def beat(self, request: Heartbeat) -> bytes:
        """Take one beat; gives the reply's body. Raises RefusedError, StorageError."""
        now = self._backend.clock()
        claims, live = self.token_of(request, now)
        if claims.tells_moments():
            await self._backend.check_moment(claims.instance, request.sequence, now)
        if claims.version != CLAIMS_VERSION:
            claims = await self._backend.up_to_date(claims)
        known = await self._backend.roster.find(claims.instance)
        if known is not None and request.sequence <= known.sequence:
            raise RefusedError(REPLAYED)

        def go_on(facts: RunningFacts, granted: Granted) -> Awaitable[bool]:
            instance = known or instance_of(claims, facts, now)
            required = bool(facts.require_sessions)
            return self._backend.roster.beat(instance, request.sequence, required, limit=granted.max_instances)

        copy = claims.running(overdue_session=_is_overdue(known, now))
        known_changes = self._backend.roster.changes
        judged = await self._backend.judge.judge(copy, now, go_on, shows_user=False)
        if self._backend.roster.changes != known_changes and not isinstance(judged, Refusal):
            # What ended meanwhile has just been counted as alive again.
            judged = await self._backend.judge.judge(copy, now, _as_admitted(judged[1]), shows_user=False)
        if isinstance(judged, Refusal):
            self._backend.history.stopped(copy, judged, "heartbeat", now)
            await self._backend.roster.spend(claims.instance, request.sequence, now + PAST_MS)
            # Forgotten, an overdue instance would come back with its next beat as one whose session is not due yet.
            if judged is not SESSIONS_REQUIRED:
                await self._backend.roster.release(claims.instance)
            raise RefusedError(judged)
        granted, is_new = judged
        if not is_new:
            raise RefusedError(REPLAYED)  # by another copy of this request, while facts were asked for
        left = seconds_left(granted.key_expires, now)
        if claims.tells_moments():
            live, next_token = self.next_token(claims, live, request.share, now)
            return renewing_reply(live, request.sequence, left, next_token)
        mac = heartbeat_mac(live, request.sequence, left)
        return f'{{"success":true,"seconds_left":{"null" if left is None else left},"mac":"{mac}"}}'.encode()

    async def permit(self, claims: Claims, sequence: int, now: int) -> tuple[Granted, RunningFacts]:
        """What a copy that asks something, in its request of that sequence, is granted, and the facts: as a beat of its is.

        Who beats is counted already, and a question may overtake what opens a session. Who should have beaten and has not is forgotten and counts
        nowhere: where that matters it is counted now, as by its next beat, or has no place. Raises RefusedError, StorageError.
        """
        roster = self._backend.roster
        known = await roster.find(claims.instance)
        is_counted = True

        async def count(facts: RunningFacts, granted: Granted) -> RunningFacts:
            nonlocal is_counted
            required, limit = bool(facts.require_sessions), granted.max_instances
            if known is None and facts.use_heartbeat and (required or limit is not None):
                is_counted = await roster.beat(instance_of(claims, facts, now), sequence, required, limit=limit)
            return facts

        copy = claims.running(overdue_session=_is_overdue(known, now))
        known_changes = roster.changes
        judged = await self._backend.judge.judge(copy, now, count, shows_user=False)
        if known is None and roster.changes != known_changes and not isinstance(judged, Refusal):
            # What ended meanwhile has just been counted as alive again.
            judged = await self._backend.judge.judge(copy, now, _as_admitted(judged[1]), shows_user=False)
            if isinstance(judged, Refusal):
                await roster.release(claims.instance)
        if isinstance(judged, Refusal):
            raise RefusedError(judged)
        if not is_counted and await roster.find(claims.instance) is None:
            raise RefusedError(REPLAYED)  # from before it was refused a beat
        return judged

    def token_of(self, request: Heartbeat, now: int) -> tuple[Claims, FixedKeyHmac]:
        """What a copy's token holds, and the root of its replies' macs. Raises NotOursError, RefusedError for one that has ended."""
        token = self._tokens.read(request.token, request.instance)
        if token is None:
            raise NotOursError(INSTANCE_UNKNOWN)
        if token[0].is_over(now):
            raise RefusedError(INSTANCE_UNKNOWN)
        return token

    def next_token(
        self, claims: Claims, live: FixedKeyHmac, share: str | None, now: int
    ) -> tuple[FixedKeyHmac, str | None]:
        """The root of this reply's mac and the token that the copy uses from now on; mostly as before, and None. Raises RefusedError."""
        further = renewed(claims, now)
        if share is not None and claims.copy_key is None:
            further, live = self._agree(further or claims, share)
        return live, None if further is None else issue(self._backend.keyring, further)

    def loader_of(self, request: Heartbeat) -> str | None:
        """Id of the loader that a beat's copy was started by; None where its token is none of ours."""
        token = self._tokens.read(request.token, request.instance)
        return None if token is None else token[0].loader

    def _agree(self, claims: Claims, share: str) -> tuple[Claims, FixedKeyHmac]:
        """The claims of the next token, and the key that its copy has from now on. Raises RefusedError."""
        try:
            agreed, key = agree(self._backend.keyring, self._backend.loader_keys, claims, share)
        except ValueError:
            raise invalid("`share` is not a public value of X25519 in hex") from None
        return agreed, FixedKeyHmac(key)


def _is_overdue(known: Instance | None, now: int) -> bool:
    """Return whether a copy has gone without a session for longer than it may."""
    return known is not None and known.session_due is not None and known.session_due <= now


def _as_admitted(what: T) -> Callable[[RunningFacts, Granted], Awaitable[T]]:
    """For one that has been counted already."""

    async def admit(_facts: RunningFacts, _granted: Granted) -> T:
        return what

    return admit


def renewing_reply(live: FixedKeyHmac, sequence: int, left: int | None, token: str | None) -> bytes:
    """The reply to a client that takes the next token."""
    mac = renewing_mac(live, sequence, left, token)
    shown = "null" if token is None else f'"{token}"'
    return (
        f'{{"success":true,"seconds_left":{"null" if left is None else left},"token":{shown},"mac":"{mac}"}}'.encode()
    )


def instance_of(claims: Claims, facts: RunningFacts, now: int) -> Instance:
    """An instance that presence does not know (any more), as its token tells it."""
    return Instance(
        id=claims.instance,
        script_id=intern(claims.script),
        project_id=intern(facts.project_id),
        user_id=claims.user_id,
        build=claims.build,
        started_at=claims.started_at,
        alive_until=now,
        fingerprint=claims.fingerprint,
    )
