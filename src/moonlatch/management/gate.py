"""What happens to every call around its handler: request id, identity, rate limit, deadline, access log. Knows no resource."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moonlatch import crypto
from moonlatch.errors import ApiError, body_too_slow, internal, rate_limited, unavailable
from moonlatch.live.interface import LiveUnavailableError
from moonlatch.logs import every, fields, request_id
from moonlatch.management.backend import Backend
from moonlatch.management.envelope import error_reply
from moonlatch.management.identity import Caller, identify, presented_token
from moonlatch.metrics.counts import Traffic
from moonlatch.storage.interface import Unavailable
from moonlatch.web.counted import METHODS
from moonlatch.web.limits import Allowance, NetworkLimit, RateLimit

log = logging.getLogger("moonlatch.management")
access_log = logging.getLogger("moonlatch.access")

METRICS_PATH = "/metrics"
_WITHOUT_API_TOKEN = ("/health/live", "/health/ready", METRICS_PATH)
"""Answered to programs that watch this one, also while no token can be looked up."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Who may call how often: a good token or member, an address without one, and an address that tries bad tokens."""

    per_token: RateLimit
    per_address: NetworkLimit
    failures: NetworkLimit


class Gate:
    """ASGI middleware around the whole API."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        backend: Backend,
        limits: CallLimits,
        deadline_seconds: float,
        monotonic_seconds: Callable[[], float],
        traffic: Traffic,
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._backend = backend
        self._limits = limits
        self._deadline_seconds = deadline_seconds
        self._monotonic_seconds = monotonic_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._monotonic_seconds()
        call = _Call(crypto.new_id(), send)
        token = request_id.set(call.request_id)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._answer(call, scope, call.reading(receive))
        except ClientDisconnect:
            call.status = 499
        except (Unavailable, LiveUnavailableError) as error:
            log.warning("an engine is unavailable: %s", error or type(error).__name__)
            if call.status is None:
                await error_reply(unavailable())(scope, receive, call.send)
        except Exception as error:
            if isinstance(error, TimeoutError) and call.is_being_read:
                if call.status is None:
                    await error_reply(body_too_slow(self._deadline_seconds))(scope, receive, call.send)
                return
            log.exception("a request failed")
            if call.status is None:
                await error_reply(internal(call.request_id))(scope, receive, call.send)
        finally:
            self._record(call, scope, self._monotonic_seconds() - started)
            request_id.reset(token)

    async def _answer(self, call: _Call, scope: Scope, receive: Receive) -> None:
        peer = scope.get("client")
        address = str(peer[0]) if peer else "unknown"
        identity = await self._identity(scope, address)
        allowance = await self._count(identity, scope, address)
        call.allowance = allowance
        if not allowance.allowed:
            await error_reply(rate_limited(allowance.retry_after_seconds))(scope, receive, call.send)
            return
        scope.setdefault("state", {})["identity"] = identity
        answering = self._app(scope, receive, call.send)
        # Without a caller little is done, and whoever watches the server waits for no developer.
        if isinstance(identity, Caller):
            await self._backend.turns.paced(answering, identity.actor.account_id)
        else:
            await answering

    def _record(self, call: _Call, scope: Scope, seconds: float) -> None:
        """Count the call, and write its line."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        # The route's template, never the path itself: user keys are in paths.
        route = getattr(scope.get("route"), "path", "-")
        self._traffic.route(method, route).add(call.status or 0, seconds)
        extra = fields(method=method, route=route, status=call.status, duration_ms=round(seconds * 1000, 1))
        access_log.info("request", extra=extra if call.status == 429 else every(extra))

    async def _identity(self, scope: Scope, address: str) -> Caller | ApiError | None:
        if scope["path"] in _WITHOUT_API_TOKEN:
            return None
        try:
            return await identify(self._backend, scope, address)
        except ApiError as error:
            return error

    async def _count(self, identity: Caller | ApiError | None, scope: Scope, address: str) -> Allowance:
        """Good tokens and members have their own limit, so nobody behind the same address can use it up with bad ones."""
        if isinstance(identity, Caller):
            return await self._limits.per_token.take(identity.actor.id)
        # A session that has ended is not a guess: browsers send it until its member signs in again.
        if isinstance(identity, ApiError) and presented_token(scope["headers"]) is not None:
            return await self._limits.failures.take(address)
        return await self._limits.per_address.take(address)


class _Call:
    """One request's reply on its way out: gets the headers that every reply carries."""

    def __init__(self, request_id: str, send: Send) -> None:
        self.request_id = request_id
        self.status: int | None = None
        self.allowance: Allowance | None = None
        self.is_being_read = False
        """Whether somebody waits for more of its body."""
        self._send = send

    def reading(self, receive: Receive) -> Receive:
        """`receive`, watched for how long it takes."""
        is_whole = False

        async def watched() -> Message:
            nonlocal is_whole
            self.is_being_read = not is_whole  # behind its end only its connection's end is waited for
            message = await receive()
            is_whole = not message.get("more_body")
            self.is_being_read = False
            return message

        return watched

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            headers.append((b"x-request-id", self.request_id.encode()))
            if self.allowance is not None:
                headers += self.allowance.headers()
            if all(name.lower() != b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))  # replies hold user keys, and once a token
            message["headers"] = headers
        await self._send(message)
